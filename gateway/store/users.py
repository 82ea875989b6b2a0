"""Who signs in to the page, their sessions, the links that let them in once, and wrong tries.

Security: see `schema_access`. Of a session that is over nothing is told but that there is none.
Limits: a session ends `IDLE` after its last request and `LONGEST` after it began.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.model import Access, Actor
from gateway.store.schema_access import failed_sign_in, site_link, site_session, site_user
from gateway.store.tokens import digest

BYTES = 32
IDLE = timedelta(hours=12)
LONGEST = timedelta(days=30)
NOTED = timedelta(minutes=1)
"""How exactly it is known when a session was used last; each note of it is a write."""
HANDLE = 16
"""Characters of a handle."""
FAILURES_COUNT = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may sign in. `has_password`: else only a link lets them in."""

    id: int
    name: str
    role: Access
    associate: str
    created_at: datetime
    created_by: str
    disabled_at: datetime | None = None
    has_password: bool = False

    @property
    def actor(self) -> Actor:
        """An associate acts in the own name, whatever the user is called."""
        return Actor(self.role, self.associate, "" if self.associate else self.name)


@dataclass(frozen=True, slots=True)
class Opened:
    """A session as its user sees it. `handle`: the beginning of what is kept of it, which lets
    nobody in.
    """

    handle: str
    created_at: datetime
    used_at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    user: User
    used_at: datetime


def add(connection: Connection, user: User, password: str) -> int | None:
    """The number of a new user; None where the name is taken. `password`: its hash."""
    if of(connection, user.name) is not None:
        return None
    values = {
        "name": user.name,
        "password": password,
        "role": user.role.value,
        "associate": user.associate or None,
        "created_at": user.created_at,
        "created_by": user.created_by,
    }
    number: int = connection.execute(
        sa.insert(site_user).values(values).returning(site_user.c.id)
    ).scalar_one()
    return number


def of(connection: Connection, name: str) -> User | None:
    row = connection.execute(sa.select(site_user).where(site_user.c.name == name)).one_or_none()
    return None if row is None else _user(row)


def password(connection: Connection, name: str) -> str:
    """The hash of their password; "" where there is nobody of that name who may sign in with
    one.
    """
    query = sa.select(site_user.c.password).where(
        site_user.c.name == name, site_user.c.disabled_at.is_(None)
    )
    return connection.execute(query).scalar_one_or_none() or ""


def every(connection: Connection, after: str = "", limit: int | None = None) -> Sequence[User]:
    query = sa.select(site_user).where(site_user.c.name > after).order_by(site_user.c.name)
    return [_user(row) for row in connection.execute(query.limit(limit))]


def is_any(connection: Connection) -> bool:
    """Whether anybody may sign in."""
    query = sa.select(site_user.c.id).where(site_user.c.disabled_at.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def set_password(connection: Connection, number: int, hashed: str) -> None:
    connection.execute(sa.update(site_user).where(site_user.c.id == number).values(password=hashed))


def set_role(connection: Connection, number: int, role: Access, associate: str) -> None:
    changed = {"role": role.value, "associate": associate or None}
    connection.execute(sa.update(site_user).where(site_user.c.id == number).values(changed))


def disable(connection: Connection, number: int, at: datetime | None) -> None:
    """They cannot sign in from now on, or with None can again."""
    connection.execute(sa.update(site_user).where(site_user.c.id == number).values(disabled_at=at))


def begin_session(connection: Connection, number: int, now: datetime) -> str:
    """A new session; what its cookie says."""
    secret = secrets.token_urlsafe(BYTES)
    connection.execute(
        sa.insert(site_session).values(
            hash=digest(secret), user=number, created_at=now, used_at=now
        )
    )
    return secret


def session(connection: Connection, secret: str, now: datetime) -> Session | None:
    """The session, None where it is unknown or over, or its user may not sign in any more."""
    lives = [
        site_session.c.hash == digest(secret),
        site_session.c.used_at > now - IDLE,
        site_session.c.created_at > now - LONGEST,
        site_user.c.disabled_at.is_(None),
    ]
    joined = sa.select(site_user, site_session.c.used_at).join(
        site_session, site_session.c.user == site_user.c.id
    )
    query = joined.where(*lives)
    row = connection.execute(query).one_or_none()
    return None if row is None else Session(_user(row), row.used_at)


def sessions(
    connection: Connection, numbers: Sequence[int], now: datetime
) -> dict[int, list[Opened]]:
    """By user: those that are not over, the one that was used last first."""
    row = site_session.c
    lives = row.user.in_(numbers), row.used_at > now - IDLE, row.created_at > now - LONGEST
    query = sa.select(site_session).where(*lives).order_by(row.used_at.desc(), row.hash)
    by_user = dict[int, list[Opened]]()
    for stored_session in connection.execute(query):
        opened = Opened(
            stored_session.hash[:HANDLE], stored_session.created_at, stored_session.used_at
        )
        by_user.setdefault(stored_session.user, []).append(opened)
    return by_user


def handle(secret: str) -> str:
    """By which a session is known among those of its user."""
    return digest(secret)[:HANDLE]


def end_one(connection: Connection, number: int, name: str) -> None:
    """The session of a user that goes by this handle, if there is one."""
    row = site_session.c
    is_session = row.user == number, sa.func.substr(row.hash, 1, HANDLE) == name
    connection.execute(sa.delete(site_session).where(*is_session))


def note_use(connection: Connection, secret: str, now: datetime) -> None:
    connection.execute(
        sa.update(site_session).where(site_session.c.hash == digest(secret)).values(used_at=now)
    )


def end_session(connection: Connection, secret: str) -> None:
    connection.execute(sa.delete(site_session).where(site_session.c.hash == digest(secret)))


def end_sessions(connection: Connection, number: int) -> int:
    """Everywhere; links that were not used let nobody in any more, too."""
    connection.execute(sa.delete(site_link).where(site_link.c.user == number))
    return connection.execute(sa.delete(site_session).where(site_session.c.user == number)).rowcount


def add_link(connection: Connection, number: int, until: datetime) -> str:
    """A link that signs them in once; its secret."""
    secret = secrets.token_urlsafe(BYTES)
    connection.execute(
        sa.insert(site_link).values(hash=digest(secret), user=number, expires_at=until)
    )
    return secret


def use_link(connection: Connection, secret: str, now: datetime) -> int | None:
    """Whom the link lets in; it is used up with that."""
    statement = (
        sa.delete(site_link)
        .where(site_link.c.hash == digest(secret))
        .returning(site_link.c.user, site_link.c.expires_at)
    )
    row = connection.execute(statement).one_or_none()
    if row is None or row.expires_at <= now:
        return None
    query = sa.select(site_user.c.id).where(
        site_user.c.id == row.user, site_user.c.disabled_at.is_(None)
    )
    return connection.execute(query).scalar_one_or_none()


def failures(connection: Connection, name: str, address: str, now: datetime) -> tuple[int, int]:
    """Recent wrong tries of this name from this address, and of any name from it. Who asks for an
    address waits until those who asked before have noted their own try.
    """
    if connection.dialect.name != "sqlite":
        octets = hashlib.sha256(address.encode()).digest()[:8]
        turn = int.from_bytes(octets, "big", signed=True)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(turn)))
    any_name = sa.select(sa.func.count()).where(
        failed_sign_in.c.address == address,
        failed_sign_in.c.at > now - FAILURES_COUNT,
    )
    of_name = any_name.where(failed_sign_in.c.name == name)
    tries = connection.execute(of_name).scalar_one()
    tries_of_address = connection.execute(any_name).scalar_one()
    return tries, tries_of_address


def note_failure(connection: Connection, name: str, address: str, now: datetime) -> int:
    number: int = connection.execute(
        sa.insert(failed_sign_in)
        .values(name=name, address=address, at=now)
        .returning(failed_sign_in.c.id)
    ).scalar_one()
    return number


def forgive(connection: Connection, name: str, address: str, number: int | None = None) -> None:
    """It was no wrong try after all: that one, and those of this name from this address."""
    is_theirs = sa.and_(failed_sign_in.c.name == name, failed_sign_in.c.address == address)
    connection.execute(sa.delete(failed_sign_in).where(is_theirs))
    connection.execute(sa.delete(failed_sign_in).where(failed_sign_in.c.id == number))


def forget(connection: Connection, now: datetime) -> int:
    """Sessions, links and wrong tries that mean nothing any more."""
    over = sa.or_(site_session.c.used_at <= now - IDLE, site_session.c.created_at <= now - LONGEST)
    statements: list[sa.Delete] = [
        sa.delete(site_session).where(over),
        sa.delete(site_link).where(site_link.c.expires_at <= now),
        sa.delete(failed_sign_in).where(failed_sign_in.c.at <= now - FAILURES_COUNT),
    ]
    return sum(connection.execute(statement).rowcount for statement in statements)


def _user(row: sa.Row[Any]) -> User:
    values = row._mapping
    return User(
        id=values["id"],
        name=values["name"],
        role=Access(values["role"]),
        associate=values["associate"] or "",
        created_at=values["created_at"],
        created_by=values["created_by"],
        disabled_at=values["disabled_at"],
        has_password=bool(values["password"]),
    )
