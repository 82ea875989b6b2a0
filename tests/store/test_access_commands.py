"""`token` and `user` as an administrator types them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher

from gateway.actions import passwords
from tests import command, stores

DOCUMENT = {"associates": [{"key": "kari", "name": "Kari", "email": "kari@crm.example"}]}


class Administrator:
    def __init__(self, folder: Path) -> None:
        self.environment = {
            "GATEWAY_STORE__URL": f"sqlite:///{folder}/store.db",
            "GATEWAY_MAIL__ADDRESS": "invites@crm.example",
            "GATEWAY_WEB__PUBLIC_URL": "https://gateway.example",
        }
        stores.upgraded(self.environment["GATEWAY_STORE__URL"])
        self.run("load", "-", stdin=json.dumps(DOCUMENT))

    def run(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        done = command.run(*arguments, environment=self.environment, stdin=stdin)
        assert done.returncode == code, done.stderr
        return done.stderr if code else done.stdout

    def rows(self, *arguments: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run(*arguments, "--json").splitlines()]


@pytest.fixture
def administrator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Administrator:
    """Passwords are hashed with less memory than people get, for the sake of time."""
    light = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", light)
    return Administrator(tmp_path)


def test_a_token_is_made_listed_and_revoked(administrator: Administrator) -> None:
    assert administrator.run("token", "list") == "There is no token.\n"
    secret = administrator.run("token", "create", "CRM", "--role", "crm")
    assert re.fullmatch(r"igt_[\w-]{43}\n", secret)
    [made] = administrator.rows("token", "create", "Kari", "--role", "user", "--associate", "kari")
    assert re.fullmatch(r"igt_[\w-]{43}", made.pop("token"))
    assert administrator.rows("token", "list")[1] == made
    assert secret.strip() not in administrator.run("token", "list")
    [revoked] = administrator.rows("token", "revoke", "1")
    assert revoked["revoked_at"]
    assert administrator.rows("token", "list")[0]["revoked_at"] == revoked["revoked_at"]
    assert "there is no token 9" in administrator.run("token", "revoke", "9", code=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("x", "--role", "user"), "associate: is missing"),
        (("x", "--role", "user", "--associate", "nobody"), "there is no associate 'nobody'"),
        (("x", "--role", "crm", "--associate", "kari"), "associate: goes with the kind user only"),
        ((" ", "--role", "crm"), "name: is 1 to 100 characters"),
    ],
)
def test_a_token_that_cannot_be(
    administrator: Administrator, arguments: tuple[str, ...], words: str
) -> None:
    assert words in administrator.run("token", "create", *arguments, code=1)
    assert administrator.rows("token", "list") == []


def test_a_user_is_made_with_a_password(administrator: Administrator) -> None:
    create = ("user", "create", "Kari", "--associate", "kari", "--password-stdin")
    assert "has 10 to 500" in administrator.run(*create, stdin="short\n", code=1)
    administrator.run(*create, stdin="a long password\n")
    [user] = administrator.rows("user", "list")
    assert (user["name"], user["role"], user["associate"]) == ("kari", "user", "kari")
    assert user["has_password"]
    assert user["disabled_at"] is None
    again = administrator.run(*create, stdin="a long password\n", code=1)
    assert "there is a user kari already" in again
    administrator.run("user", "password", "kari", "--password-stdin", stdin="another password\n")
    administrator.run("user", "disable", "KARI")
    assert administrator.rows("user", "list")[0]["disabled_at"]
    assert "is disabled" in administrator.run("user", "password", "kari", "--link", code=1)
    administrator.run("user", "disable", "kari", "--undo")
    assert administrator.rows("user", "list")[0]["disabled_at"] is None
    assert "there is no user nobody" in administrator.run("user", "disable", "nobody", code=1)


def test_a_user_is_given_another_role(administrator: Administrator) -> None:
    administrator.run("user", "create", "chief", "--role", "admin", "--link")
    assert "is missing" in administrator.run("user", "role", "chief", "user", code=1)
    [changed] = administrator.rows("user", "role", "Chief", "user", "--associate", "kari")
    assert (changed["role"], changed["associate"]) == ("user", "kari")
    [user] = administrator.rows("user", "role", "chief", "read")
    assert (user["role"], user["associate"]) == ("read", "")
    assert administrator.rows("user", "list") == [user]


def test_a_user_is_made_with_a_link(administrator: Administrator) -> None:
    link = administrator.run("user", "create", "chief", "--role", "admin", "--link")
    assert re.fullmatch(r"https://gateway\.example/sign-in/link\?token=[\w-]{43}\n", link)
    [user] = administrator.rows("user", "password", "chief", "--link")
    assert user["link"].startswith("https://gateway.example/sign-in/link?token=")
    assert not user["has_password"]


@pytest.mark.parametrize("name", ["", "-x", "a b", "ø", "x" * 101])
def test_a_name_that_cannot_be(administrator: Administrator, name: str) -> None:
    words = administrator.run("user", "create", "--role", "admin", "--link", "--", name, code=1)
    assert "name: is 1 to 100 of a-z" in words


def test_a_password_is_no_argument(administrator: Administrator) -> None:
    """Every user of the machine reads arguments."""
    assert passwords.SHORTEST
    administrator.run("user", "create", "chief", "--password", "x", code=2)
