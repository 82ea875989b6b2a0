"""What is kept of a password, and that nobody has none."""

import pytest
from argon2 import PasswordHasher

from gateway.actions import passwords
from gateway.errors import InputError


def test_a_password_is_kept_as_argon2id() -> None:
    kept = passwords.hashed("correct horse")
    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert passwords.is_right("correct horse", kept)
    assert not passwords.is_right("correct horse ", kept)
    assert not passwords.is_old(kept)


def test_nobody_has_the_password_of_nobody() -> None:
    assert not passwords.is_right("", "")
    assert not passwords.is_right("x", "no hash at all")
    assert not passwords.is_old(passwords.DUMMY), "it would take another time"


def test_letters_are_the_same_however_they_are_composed() -> None:
    assert passwords.is_right("passa\u030anger 10", passwords.hashed("pass\u00e5nger 10"))


def test_what_was_kept_by_weaker_rules_is_noticed() -> None:
    assert passwords.is_old(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x"))


@pytest.mark.parametrize("password", ["", "short", "x" * 501, " " * 20])
def test_what_is_no_password(password: str) -> None:
    with pytest.raises(InputError, match="password: has 10 to 500 characters") as caught:
        passwords.hashed(password)
    assert caught.value.places == ((("password",), "has 10 to 500 characters"),)
