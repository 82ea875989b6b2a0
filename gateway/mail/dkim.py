"""DKIM: the signature by which a recipient's server knows that our domain answers for a letter, and
that nobody changed it.

Standards: RFC 6376 (relaxed/relaxed), RFC 8301 (rsa-sha256, sizes of keys), RFC 8463
(ed25519-sha256). On failure: a text without a key to sign with raises `InputError` when it is read;
signing itself does not fail. Security: every header field is covered, and that there is no further
one of its name, so that no second From, Subject or Content-Type can be added (RFC 6376 §8.15); nor
can one of `ABSENT` where we wrote none. What relays and lists add to their right breaks nothing:
Received, List-*, a Sender where there is none. The body is covered to its end (no l=). A key never
shows in a repr. Limits: one signature a letter. Neither t= nor x=: the same letter gives the same
bytes, and when it was written is in its Date. What `compose` writes is 7-bit, so no relay has cause
to encode it anew (RFC 6376 §5.3); preflight refuses anything else.
"""

import base64
import hashlib
import re
import textwrap
from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa

from gateway.errors import InputError

Key = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

CRLF = b"\r\n"
LINE = 72
"""Longest run of names or of base64; what stands around them fits in RFC 5322's 78."""
WEAK_BITS = 2048
"""RSA keys below this are read by every server and trusted by fewer and fewer (RFC 8301 §3.2)."""
ABSENT = ("Cc", "Content-Transfer-Encoding", "Content-Disposition", "Disposition-Notification-To")
"""Fields that change how a letter is read, to whom it seems to have gone or who hears of it; nobody
else has cause to add one.
"""
BITS = range(1024, 4096 + 1)
"""What every server must be able to verify (RFC 8301 §3.2)."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for `domain` with the private half of the key that is published under `selector`. Both
    are ASCII.
    """

    key: Key = field(repr=False)
    selector: str
    domain: str

    def sign(self, content: bytes) -> bytes:
        """The letter with a DKIM-Signature in front; the same bytes for the same letter."""
        header, _, body = content.partition(CRLF + CRLF)
        # §5.4.2: of several fields of one name the last is meant first, so they are taken from
        # below.
        fields = re.split(rb"\r\n(?![ \t])", header)[::-1]
        names = [field.partition(b":")[0].decode("ascii") for field in fields]
        # Named once more than it is there: the missing one counts as nothing, and a forged one as
        # something (§5.4.2).
        covered_names = _folded([*names, *dict.fromkeys((*names, *ABSENT))])
        body_hash = _base64(hashlib.sha256(relaxed_body(body)).digest())
        tags = [
            f"DKIM-Signature: v=1; a={self.algorithm}-sha256; c=relaxed/relaxed;",
            f"d={self.domain}; s={self.selector};",
            f"h={covered_names};",
            f"bh={body_hash};",
            "b=",
        ]
        unsigned = "\r\n ".join(tags)
        covered = CRLF.join(
            map(relaxed_field, [*fields, unsigned.encode("ascii")])
        )  # §3.7: the own field without its CRLF
        signature = "\r\n ".join(textwrap.wrap(_base64(self.signature(covered)), LINE))
        return f"{unsigned}{signature}\r\n".encode("ascii") + content

    @property
    def algorithm(self) -> str:
        """`rsa` or `ed25519`, as in the tags a= and k=."""
        return "rsa" if isinstance(self.key, rsa.RSAPrivateKey) else "ed25519"

    @property
    def bits(self) -> int:
        """The size of the key."""
        return self.key.key_size if isinstance(self.key, rsa.RSAPrivateKey) else 256

    @property
    def name(self) -> str:
        """Where the record stands in DNS (RFC 6376 §3.6.2.1)."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """The TXT record by which others verify (RFC 6376 §3.6.1)."""
        public = self.key.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            public_bytes = public.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        else:
            # RFC 8463 §4: the bare key, without the wrapping of RSA's.
            public_bytes = public.public_bytes_raw()
        return f"v=DKIM1; k={self.algorithm}; p={_base64(public_bytes)}"

    def signature(self, covered: bytes) -> bytes:
        """The bare signature of what `sign` has put together."""
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(covered, padding.PKCS1v15(), hashes.SHA256())
        # RFC 8463 §3: the hash is what is signed.
        return self.key.sign(hashlib.sha256(covered).digest())


def key(pem: str) -> Key:
    """The private key in a PEM text. Raises `InputError`, whose words follow upon what it was read
    from.

    Files of environment variables have one line for each: line ends that came from there are a
    backslash and an n.
    """
    if "\n" not in pem.strip():
        pem = pem.replace("\\n", "\n")
    try:
        private_key = serialization.load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise InputError("has a passphrase, which nobody can type for a service") from None
    except (ValueError, UnsupportedAlgorithm):
        raise InputError("is no private key in PEM") from None
    if isinstance(private_key, ed25519.Ed25519PrivateKey):
        return private_key
    if not isinstance(private_key, rsa.RSAPrivateKey):
        raise InputError("is neither an RSA nor an Ed25519 key")
    if private_key.key_size not in BITS:
        raise InputError(
            f"is an RSA key of {private_key.key_size} bits; servers verify {BITS[0]} to {BITS[-1]}"
            " (RFC 8301)"
        )
    return private_key


def relaxed_field(field: bytes) -> bytes:
    """A header field as it is signed, without the CRLF behind it (RFC 6376 §3.4.2)."""
    name, _, value = field.partition(b":")
    value = re.sub(rb"[ \t]+", b" ", value.replace(CRLF, b""))
    return name.rstrip(b" \t").lower() + b":" + value.strip(b" ")


def relaxed_body(body: bytes) -> bytes:
    """A body as it is signed: white space as one space, none at the end of a line, no empty line at
    the end (RFC 6376 §3.4.4).
    """
    lines = re.sub(rb"[ \t]+", b" ", body).replace(b" \r\n", CRLF).rstrip(b" \r\n")
    return lines + CRLF if lines else b""


def _folded(names: list[str]) -> str:
    lines = textwrap.wrap(" ".join(names), LINE, break_on_hyphens=False, break_long_words=False)
    return ":\r\n ".join(line.replace(" ", ":") for line in lines)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
