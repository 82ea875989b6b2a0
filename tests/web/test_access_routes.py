"""Tokens and users by the API (docs/api.md)."""

from typing import Any

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from gateway.actions import passwords, users
from gateway.store import schema
from tests.web.world import Office


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passwords are hashed with less memory than people get, for the sake of time."""
    light = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "HASHER", light)


async def test_tokens_are_made_shown_and_revoked(office: Office) -> None:
    wanted = {"name": "Sync", "role": "user", "associate": "per"}
    made = await office.ask("POST", "/tokens", "admin", json=wanted)
    assert made.status_code == 201
    office.tokens["new"] = made.json()["token"]
    assert (await office.ask("GET", "/tokens", "new")).status_code == 403
    path = made.headers["location"].removeprefix("/api/v1")
    shown = await office.ask("GET", path, "admin")
    assert "token" not in shown.json()
    assert shown.json()["created_by"] == "admin"
    assert (await office.ask("DELETE", path, "admin")).status_code == 428
    match = {"If-Match": shown.headers["etag"]}
    assert (await office.ask("DELETE", path, "admin", match)).status_code == 200
    assert (await office.ask("DELETE", path, "admin", match)).status_code == 412
    assert (await office.ask("GET", "/tokens", "new")).status_code == 401


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"name": " ", "role": "crm"}, "/name"),
        ({"name": "x" * 101, "role": "crm"}, "/name"),
        ({"name": "a\nb", "role": "crm"}, "/name"),
        ({"name": "x", "role": "owner"}, "/role"),
        ({"name": "x", "role": "user"}, "/associate"),
        ({"name": "x", "role": "user", "associate": "nobody"}, "/associate"),
        ({"name": "x", "role": "crm", "associate": "kari"}, "/associate"),
    ],
)
async def test_a_token_that_cannot_be(office: Office, wanted: Any, pointer: str) -> None:
    answer = await office.ask("POST", "/tokens", "admin", json=wanted)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("path", "wanted", "secret"),
    [
        ("/tokens", {"name": "x", "role": "crm"}, "token"),
        ("/users", {"name": "x", "role": "admin"}, "link"),
    ],
)
async def test_a_secret_is_shown_once_and_kept_nowhere(
    office: Office, path: str, wanted: Any, secret: str
) -> None:
    once = {"Idempotency-Key": "k"}
    first = (await office.ask("POST", path, "admin", once, json=wanted)).json()
    again = await office.ask("POST", path, "admin", once, json=wanted)
    assert again.headers["idempotent-replayed"] == "true"
    shown = first.pop(secret)
    assert again.json() == first
    with office.store.read() as connection:
        for table in schema.metadata.sorted_tables:
            rows = str(connection.execute(sa.select(table)).all())
            assert shown.rpartition("=")[2] not in rows, table.name


async def test_users_are_made_changed_and_disabled(office: Office, quick: None) -> None:
    wanted = {"name": "Kari", "associate": "kari", "password": "a long password"}
    made = await office.ask("POST", "/users", "admin", json=wanted)
    assert made.status_code == 201
    assert "link" not in made.json()
    assert "password" not in made.json()
    again = await office.ask("POST", "/users", "admin", json=wanted)
    assert (again.status_code, again.json()["detail"]) == (409, "there is a user kari already")

    def signed_in(password: str) -> str:
        done = users.sign_in(office.store, "kari", password, "192.0.2.1", office.now)
        return done.session

    session, match = signed_in("a long password"), {"If-Match": "*"}
    assert session
    other = {"password": "another password"}
    changed = await office.ask("PATCH", "/users/kari", "admin", match, json=other)
    assert changed.status_code == 200
    assert users.session(office.store, session, office.now) is None, "signed out everywhere"
    assert signed_in("another password")
    for is_disabled in (True, False):
        change = {"disabled": is_disabled}
        done = await office.ask("PATCH", "/users/kari", "admin", match, json=change)
        assert (done.json()["disabled_at"] is not None) is is_disabled
        assert bool(signed_in("another password")) is not is_disabled
    session = signed_in("another password")
    for said, status in (
        ({"role": "admin", "associate": "kari"}, 422),
        ({"associate": "per"}, 422),
        ({"role": "user", "associate": "per"}, 200),
        ({"role": "admin"}, 200),
    ):
        done = await office.ask("PATCH", "/users/kari", "admin", match, json=said)
        assert done.status_code == status, done.text
    assert (done.json()["role"], done.json()["associate"]) == ("admin", "")
    assert users.session(office.store, session, office.now) is None, "signed out everywhere"
    names = [row["name"] for row in (await office.ask("GET", "/users", "admin")).json()["items"]]
    assert names == ["administrator", "kari"]
    assert (await office.ask("GET", "/users/nobody", "admin")).status_code == 404


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"name": "a b", "role": "admin"}, "/name"),
        ({"name": "x", "role": "crm"}, "/role"),
        ({"name": "x"}, "/associate"),
        ({"name": "x", "associate": "nobody"}, "/associate"),
        ({"name": "x", "role": "admin", "password": "short"}, "/password"),
    ],
)
async def test_a_user_that_cannot_be(office: Office, wanted: Any, pointer: str) -> None:
    answer = await office.ask("POST", "/users", "admin", json=wanted)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_nobody_has_passwords_hashed_who_may_not(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes a tenth of a second of a core."""
    monkeypatch.setattr(passwords, "HASHER", None)
    wanted = {"name": "x", "role": "admin", "password": "a long password"}
    for name in ("kari", "read", "crm"):
        assert (await office.ask("POST", "/users", name, json=wanted)).status_code == 403
