"""Passwords as argon2id keeps them (RFC 9106, with the library's own choice of its second
recommendation: 64 MiB, three passes).

Security: a name that is unknown costs the same time as a wrong password (`DUMMY`). Limits: one
check takes about a tenth of a second of one core, and memory; the caller bounds how many go on at
once.
"""

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from gateway.errors import InputError
from gateway.i18n import marked

SHORTEST, LONGEST = 10, 500
HASHER = PasswordHasher()
DUMMY = (
    "$argon2id$v=19$m=65536,t=3,p=4$hXg+dCE4DOSvACoyvq3oEg"
    "$XrAl6OYpTMomrGhq8Bd0l7vvWhfsPu8VwX/hH/vw/bU"
)
"""Of a password that was thrown away."""


def hashed(password: str) -> str:
    """What the store keeps. Raises `InputError` for a password that is none."""
    if not SHORTEST <= len(password) <= LONGEST or not password.strip():
        words = marked("password: has %(least)s to %(most)s characters")
        place = ("password",), f"has {SHORTEST} to {LONGEST} characters"
        raise InputError(words, [place], least=SHORTEST, most=LONGEST)
    return HASHER.hash(_bytes(password))


def is_right(password: str, stored: str) -> bool:
    """`stored` "": of nobody, which takes as long."""
    try:
        is_the_same = HASHER.verify(stored or DUMMY, _bytes(password))
    except (Argon2Error, InvalidHashError):
        return False
    return is_the_same and bool(stored)


def is_old(stored: str) -> bool:
    """Whether it was kept by weaker rules than those of today."""
    return HASHER.check_needs_rehash(stored)


def _bytes(password: str) -> bytes:
    """The same letters are the same password, however the keyboard composes them (RFC 8265)."""
    return unicodedata.normalize("NFC", password[:LONGEST]).encode("utf-8", "surrogatepass")
