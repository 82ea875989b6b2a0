"""Keys to sign with, made once a run, and dkimpy as the judge of what was signed: it shares no code
with the gateway.
"""

import logging
from functools import cache

import dkim as dkimpy
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from gateway.mail import dkim

SELECTOR, DOMAIN = "s1", "crm.example"
KINDS = ("rsa", "ed25519")


@cache
def pem(kind: str) -> str:
    """A private key as openssl writes it:
    `rsa`, `ed25519`, `ec`, or `rsa` with a size, as in `rsa1024`.
    """
    made = (
        ed25519.Ed25519PrivateKey.generate()
        if kind == "ed25519"
        else ec.generate_private_key(ec.SECP256R1())
        if kind == "ec"
        else rsa.generate_private_key(65537, int(kind.removeprefix("rsa") or 2048))
    )
    return made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def signer(kind: str, domain: str = DOMAIN) -> dkim.Signer:
    """One with a key read anew."""
    return dkim.Signer(dkim.key(pem(kind)), SELECTOR, domain)


def verifies(content: bytes, record: str, name: str = f"{SELECTOR}._domainkey.{DOMAIN}") -> bool:
    """Whether dkimpy finds the signature good, where DNS has this TXT record
    under this name and nothing else.
    """

    def published(asked: bytes, timeout: int = 5) -> bytes | None:
        return record.encode() if asked == f"{name}.".encode() else None

    return bool(dkimpy.verify(content, dnsfunc=published, logger=logging.getLogger("dkimpy")))
