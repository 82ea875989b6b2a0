"""Signatures: the examples of the standards, every kind of letter before a foreign verifier, and what must break one."""

import base64
import hashlib
import re

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from gateway.errors import InputError
from gateway.itip import preflight
from gateway.mail import dkim
from gateway.model import Letter
from gateway.outbound import render
from tests.core import signing, specimens
from tests.core.specimens import MAIL, SECRET

LETTERS = [*(one for change in specimens.CHANGES for one in specimens.sample(change)), specimens.delegated(), specimens.passed_on(),
           specimens.words("Jeg blir nok litt sen.\n\n\n  Hilsen\tOla  \n\n")]
SIGNERS = {kind: signing.signer(kind) for kind in signing.KINDS}

# RFC 8463 appendix A: the message, its signature and its key.
FOOTBALL = b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")
FOOTBALL_SECRET = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
FOOTBALL_RECORD = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="


def signed(one: Letter, kind: str = "rsa") -> bytes:
    return render.render(one, MAIL, SECRET, signer=SIGNERS[kind])


def test_the_canonical_forms_of_rfc_6376() -> None:
    """§3.4.5, and what §3.4.4 says of bodies that are empty or end without CRLF."""
    assert dkim.relaxed_field(b"A: X") == b"a:X"
    assert dkim.relaxed_field(b"B : Y\t\r\n\tZ  ") == b"b:Y Z"
    assert dkim.relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n") == b" C\r\nD E\r\n"
    assert [dkim.relaxed_body(body) for body in (b"", b"\r\n\r\n", b" \t\r\n \r\n", b"x", b"x\r\n \r\n ")] == [
        b"", b"", b"", b"x\r\n", b"x\r\n"]


def test_the_example_of_rfc_8463_is_signed_as_it_is_there() -> None:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(base64.b64decode(FOOTBALL_SECRET))
    signer = dkim.Signer(key, "brisbane", "football.example.com")
    assert (signer.name, signer.record) == ("brisbane._domainkey.football.example.com", FOOTBALL_RECORD)
    header, _, body = FOOTBALL.partition(b"\r\n\r\n")
    assert base64.b64encode(hashlib.sha256(dkim.relaxed_body(body)).digest()) in header
    own, sender, to, subject, date, message_id = re.split(rb"\r\n(?=\S)", header)
    unsigned, _, signature = own.partition(b" b=")
    covered = b"\r\n".join(map(dkim.relaxed_field, [sender, to, subject, date, message_id, unsigned + b" b="]))
    assert base64.b64encode(signer.signature(covered)) == b"".join(signature.split())
    # Ours of the same message is good for the same key.
    assert signing.verifies(FOOTBALL, FOOTBALL_RECORD, signer.name)
    assert signing.verifies(signer.sign(FOOTBALL[FOOTBALL.index(b"From:"):]), FOOTBALL_RECORD, signer.name)


@pytest.mark.parametrize("kind", signing.KINDS)
def test_every_letter_verifies_and_a_repeat_is_the_same(kind: str) -> None:
    again = signing.signer(kind)
    for one in LETTERS:
        content = signed(one, kind)
        assert signing.verifies(content, SIGNERS[kind].record), content
        assert content == render.render(one, MAIL, SECRET, signer=again), "a repeat is byte for byte the same"
        assert content.endswith(render.render(one, MAIL, SECRET)), "what is signed is what would have left"
        assert preflight.check(content, one) == []


@pytest.mark.parametrize("kind", signing.KINDS)
def test_the_signature_covers_every_field_and_says_no_more_than_it_must(kind: str) -> None:
    content = signed(specimens.letter(), kind)
    fields = re.split(r"\r\n(?=\S)", content.partition(b"\r\n\r\n")[0].decode())
    assert max(map(len, fields[0].split("\r\n"))) <= 78
    tags = dict(tag.strip().split("=", 1) for tag in re.sub(r"\s+", "", fields[0].removeprefix("DKIM-Signature:")).split(";"))
    assert {name: tags[name] for name in "vacds"} == {"v": "1", "a": f"{kind}-sha256", "c": "relaxed/relaxed", "d": "crm.example", "s": "s1"}
    assert tags.keys() == {*"vacdshb", "bh"}, "no l=, for it leaves room; no t=, for it would be another one in a repeat"
    written = sorted(field.partition(":")[0] for field in fields[1:])
    assert {"From", "To", "Date", "Subject", "Reply-To", "Message-ID", "Content-Type", "MIME-Version", "Auto-Submitted"} <= {*written}
    assert sorted(tags["h"].split(":")) == sorted(written * 2)


@pytest.mark.parametrize("kind", signing.KINDS)
@pytest.mark.parametrize(("what", "becomes"), [
    (rb"^From: [^\r]*", b'From: "Kari" <invites@crm.example>'), (rb"^To: [^\r]*", b"To: eva@ext.example"), (rb"^Subject: ", rb"\g<0>Re: "),
    (rb"^Date: Fri", b"Date: Sat"), (rb"^Reply-To: [^\r]*", b"Reply-To: x@evil.example"), (rb"^Message-ID: <", rb"\g<0>x"),
    (rb"^Auto-Submitted: auto-generated", b"Auto-Submitted: no"), (rb"^Auto-Submitted: auto-generated\r\n", b""),
    *((rb"\A", extra + b"\r\n") for extra in (
        b"From: Boss <boss@crm.example>", b"Subject: Pay", b"To: a@b.example", b"Date: Sat, 21 Nov 2026 04:15:00 +0000",
        b"Reply-To: x@evil.example", b"Content-Type: text/html", b"MIME-Version: 1.0", b"Message-ID: <x@crm.example>")),
    (rb"Kick-off\r\n=3D", b"Kick-out\r\n=3D"), (rb"\Z", b"<b>more</b>\r\n"), (rb"\r\n\r\n", b"\r\n\r\nmore\r\n"),
    (rb" d=crm\.example", b" d=ext.example"), (rb"; s=s1", b"; s=s2"), (rb"^ h=", b" h=Sender:")])
def test_what_somebody_changed_does_not_verify(kind: str, what: bytes, becomes: bytes) -> None:
    content = signed(specimens.letter(), kind)
    changed, number = re.subn(what, becomes, content, count=1, flags=re.MULTILINE)
    assert number == 1
    assert changed != content
    assert not signing.verifies(changed, SIGNERS[kind].record)


@pytest.mark.parametrize("kind", signing.KINDS)
@pytest.mark.parametrize(("what", "becomes"), [
    (rb"\A", b"Received: from a by b; Fri, 20 Nov 2026 04:15:00 +0000\r\nDelivered-To: ola@ext.example\r\n"),
    (rb"\r\n (?=boundary)", b"\r\n\t  "), (rb"^From: (.*) <", b"From:\r\n \\1\r\n <"), (rb"^Subject: ", b"subject:   "),
    (rb"\Z", b"\r\n\r\n"), (rb"kl\. 09\.00=E2", b"kl.  09.00=E2"), (rb"(?<=Kick-off)\r\n=3D", b" \t\\g<0>")])
def test_what_relays_do_leaves_the_signature_good(kind: str, what: bytes, becomes: bytes) -> None:
    content = signed(specimens.letter(), kind)
    changed, number = re.subn(what, becomes, content, count=1, flags=re.MULTILINE)
    assert number == 1
    assert signing.verifies(changed, SIGNERS[kind].record)


def test_another_key_does_not_verify_it() -> None:
    assert not signing.verifies(signed(specimens.letter()), signing.signer("rsa1024").record)


@pytest.mark.parametrize(("text", "says"), [
    ("", "is no private key in PEM"), ("secret", "is no private key in PEM"), (signing.pem("rsa")[:200], "is no private key in PEM"),
    (signing.pem("ec"), "is neither an RSA nor an Ed25519 key")])
def test_what_cannot_sign_is_refused_when_it_is_read(text: str, says: str) -> None:
    with pytest.raises(InputError, match=f"^{says}$"):
        dkim.key(text)


def test_a_public_key_or_one_with_a_passphrase_cannot_sign() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(InputError, match="is no private key"):
        dkim.key(public.decode())
    locked = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x"))
    with pytest.raises(InputError, match="has a passphrase"):
        dkim.key(locked.decode())


def test_a_key_of_a_size_that_servers_need_not_verify_is_refused() -> None:
    p, q, e = 2**521 - 1, 2**127 - 1, 65537  # primes of Mersenne: no library makes such a key any more
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), rsa.rsa_crt_iqmp(p, q), rsa.RSAPublicNumbers(e, p * q))
    short = numbers.private_key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(InputError, match=r"648 bits; servers verify 1024 to 4096"):
        dkim.key(short.decode())
    assert dkim.key(signing.pem("rsa1024"))


def test_a_key_shows_in_no_repr() -> None:
    assert repr(SIGNERS["rsa"]) == "Signer(selector='s1', domain='crm.example')"
