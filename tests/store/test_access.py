"""Requests with an Idempotency-Key, users, sessions and wrong tries, on both databases."""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from gateway import settings as configuration
from gateway.actions import access, desk
from gateway.actions import users as sessions
from gateway.errors import StoreError
from gateway.model import Access, Actor
from gateway.store import engine, requests, schema, schema_access, tokens, upkeep, users, webhooks
from gateway.store.engine import Store
from gateway.store.requests import Answer
from gateway.store.tokens import Token
from gateway.store.users import User
from tests.store.rows import NOW

DAY = timedelta(days=1)
DEADLINE = 60.0
OPERATOR = Actor(Access.ADMIN, name="operator")


def _token(store: Store) -> int:
    with store.write() as connection:
        return tokens.add(connection, Token(0, "crm", Access.CRM, "", NOW, "test"), "secret")


def _user(store: Store, name: str = "kari") -> int:
    with store.write() as connection:
        user = User(0, name, Access.READ, "", NOW, "test")
        number = users.add(connection, user, "hash")
        assert number is not None
        return number


def _count(store: Store, table: sa.Table) -> int:
    with store.read() as connection:
        number: int = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        return number


def test_two_that_ask_the_same_at_once_have_one_effect(store: Store) -> None:
    """Each in a transaction of its own, as two processes: one has the effect, the other is told to
    wait (PostgreSQL) or gets the answer (SQLite, where it waited).
    """
    token, begin = _token(store), threading.Barrier(2)

    def ask(_: int) -> str:
        begin.wait(60)
        with store.write() as connection:
            if requests.is_running(connection, token, "k"):
                return "running"
            if requests.answered(connection, token, "k", NOW) is not None:
                return "replayed"
            _effect(store, connection)
            requests.keep(connection, token, "k", Answer("asked", 200, "{}"), NOW)
            return "done"

    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(ask, range(2)))
    assert results[0] == "done"
    assert results[1] in ("replayed", "running")
    assert _count(store, schema_access.failed_sign_in) == 1


def _effect(store: Store, connection: sa.Connection) -> None:
    users.note_failure(connection, "effect", "", NOW)


def test_an_answer_is_kept_for_a_day(store: Store) -> None:
    token, answer = _token(store), Answer("asked", 201, '{"ø": 1}', {"ETag": '"x"'})
    with store.write() as connection:
        requests.keep(connection, token, "k", answer, NOW)
    with store.write() as connection:
        assert requests.answered(connection, token, "k", NOW + DAY) == answer
        assert requests.answered(connection, token, "other", NOW) is None
        late = NOW + DAY + timedelta(seconds=1)
        assert requests.answered(connection, token, "k", late) is None
        requests.keep(connection, token, "k", answer, late)


def test_upkeep_forgets_what_nobody_may_ask_for(store: Store) -> None:
    token, user = _token(store), _user(store)
    for age in (timedelta(), timedelta(days=31)):
        with store.write() as connection:
            key = str(age)
            requests.keep(connection, token, key, Answer("asked", 200, ""), NOW - age)
            users.begin_session(connection, user, NOW - age)
            users.add_link(connection, user, NOW - age + timedelta(hours=1))
            users.note_failure(connection, "kari", "192.0.2.1", NOW - age)
    upkeep.tidy(store, NOW)
    tables = ("api_request", "site_session", "site_link", "failed_sign_in")
    assert {name: _count(store, getattr(schema_access, name)) for name in tables} == dict.fromkeys(
        tables, 1
    )


def test_a_session_in_use_is_over_after_thirty_days_all_the_same(store: Store) -> None:
    user = _user(store)
    with store.write() as connection:
        secret = users.begin_session(connection, user, NOW)
        users.note_use(connection, secret, NOW + users.LONGEST)
    with store.read() as connection:
        assert users.session(connection, secret, NOW + users.LONGEST - DAY) is not None
        assert users.session(connection, secret, NOW + users.LONGEST) is None
        assert users.session(connection, "other", NOW) is None


@contextlib.contextmanager
def unwritable(store: Store) -> Iterator[Store]:
    """The same store, where somebody else writes and comes to no end; it waits a moment only."""
    other, closed = Store(_url(store)), Store(_url(store))
    event.listen(closed.engine, "connect", _hurry)
    try:
        with other.write() as connection:
            if not store.is_sqlite:
                connection.execute(sa.text("LOCK TABLE site_session IN EXCLUSIVE MODE"))
            yield closed
    finally:
        closed.close()
        other.close()


def _url(store: Store) -> str:
    return store.url.render_as_string(hide_password=False)


def _hurry(connection: sqlite3.Connection | psycopg.Connection, _: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA busy_timeout = 10")
    else:
        connection.execute("SET lock_timeout = 10")
        connection.commit()


def test_a_store_that_takes_nothing_still_says_who_is_signed_in(store: Store) -> None:
    """When a session or a token was used last is good to know, and no reason to read nothing."""
    user = _user(store)
    with store.write() as connection:
        secret = users.begin_session(connection, user, NOW)
    with unwritable(store) as closed:
        signed_in = sessions.session(closed, secret, NOW + users.NOTED)
        assert signed_in is not None
        with pytest.raises(StoreError):
            sessions.sign_out(closed, secret, signed_in)
    with store.read() as connection:
        current = users.session(connection, secret, NOW)
    assert current is not None
    assert current.used_at == NOW


def test_nobody_waits_for_the_note_of_a_session(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes may hold the store for as long as it likes; a page waits an hour for that."""
    hour = 3_600_000
    monkeypatch.setattr(engine, "BUSY_MILLISECONDS", hour)
    user = _user(store)
    with store.write() as connection:
        secret = users.begin_session(connection, user, NOW)
    other, read = Store(_url(store)), Store(_url(store))
    asked = threading.Thread(
        target=lambda: seen.append(sessions.session(read, secret, NOW + users.NOTED))
    )
    seen = list[User | None]()
    with contextlib.closing(other), contextlib.closing(read):
        with other.write() as connection:
            if not store.is_sqlite:
                connection.execute(sa.text("LOCK TABLE site_session IN EXCLUSIVE MODE"))
            asked.start()
            asked.join(DEADLINE)
            assert not asked.is_alive()
        assert [one is not None for one in seen] == [True]
        # It is noted at the next use, and whoever has something to say waits as before.
        assert sessions.session(read, secret, NOW + users.NOTED) is not None
        with store.read() as connection:
            current = users.session(connection, secret, NOW)
        assert current is not None
        assert current.used_at == NOW + users.NOTED
        if store.is_sqlite:
            with read.read() as connection:
                assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one() == hour


def test_nothing_that_lets_in_stands_in_the_store(store: Store) -> None:
    _token(store)
    user = _user(store)
    with store.write() as connection:
        kept = users.begin_session(connection, user, NOW), users.add_link(connection, user, NOW)
    with store.read() as connection:
        rows = [
            str(connection.execute(sa.select(table)).all())
            for table in schema.metadata.sorted_tables
            if table.name in ("api_token", "site_session", "site_link")
        ]
    assert not [secret for secret in (*kept, "'secret'") for row in rows if secret in row]


def test_a_link_is_used_once_by_two_at_once(store: Store) -> None:
    user, begin = _user(store), threading.Barrier(2)
    with store.write() as connection:
        secret = users.add_link(connection, user, NOW + DAY)

    def follow(_: int) -> int | None:
        begin.wait(60)
        with store.write() as connection:
            return users.use_link(connection, secret, NOW)

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(follow, range(2)), key=str) == [user, None]


def test_tries_at_once_are_no_way_around_the_limit(store: Store) -> None:
    begin = threading.Barrier(6)

    def attempt(_: int) -> bool:
        begin.wait(60)
        with store.write() as connection:
            theirs, _any = users.failures(connection, "kari", "192.0.2.1", NOW)
            if theirs >= 3:
                return False
            users.note_failure(connection, "kari", "192.0.2.1", NOW)
            return True

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(attempt, range(6))) == [False] * 3 + [True] * 3


def test_a_name_is_one_users(store: Store) -> None:
    _user(store)
    with store.write() as connection:
        again = users.add(connection, User(0, "kari", Access.READ, "", NOW, "test"), "")
        assert again is None
        assert users.is_any(connection)
        users.disable(connection, 1, NOW)
        assert not users.is_any(connection)
        assert users.password(connection, "kari") == ""


def test_who_is_not_let_in_is_told_nothing(store: Store) -> None:
    """Whose last token was revoked; another one of the same name goes on."""
    settings = configuration.load()
    first, second = _token(store), _another(store)
    with store.write() as connection:
        crm = Actor(Access.CRM, name="crm")
        webhooks.create(connection, "https://crm.example/", (), "whsec_x", crm, NOW)
    for number, active in ((first, [True]), (second, [False])):
        revoke = partial(access.revoke_token, number=number)
        desk.perform(store, settings, NOW, OPERATOR, revoke)
        with store.read() as connection:
            assert [one.active for one in webhooks.find(connection, NOW)] == active


def _another(store: Store) -> int:
    with store.write() as connection:
        return tokens.add(connection, Token(0, "crm", Access.CRM, "", NOW, "test"), "another")
