"""Facts about the store itself."""

import secrets
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import upsert
from gateway.store.engine import Store
from gateway.store.schema import meta

DONE = "\N{HEAVY CHECK MARK}"
"""Instead of a key: there are no more."""


def site_secret(connection: Connection) -> bytes:
    """The key of UIDs, tokens, Message-IDs and answer links, made with the store: a copy that was
    taken before the first letter has it, too. Needs a writing connection the first time.
    """
    query = sa.select(meta.c.value).where(meta.c.key == "site_secret")
    secret = connection.execute(query).scalar_one_or_none()
    if (
        secret is None
    ):  # on PostgreSQL others may be making it at this moment; all take what is there then
        upsert.unless_there(
            connection, meta, {"key": "site_secret"}, {"value": secrets.token_hex(32)}
        )
        secret = connection.execute(query).scalar_one()
    return bytes.fromhex(secret)


def secret_of(store: Store) -> bytes:
    """The same in a transaction of its own."""
    with store.write() as connection:
        return site_secret(connection)


def note_adoption(connection: Connection) -> None:
    """Invitations of an earlier system were taken over: nobody knows how old they are."""
    upsert.one(connection, meta, {"key": "adopted"}, {"value": "1"})


def has_adopted(connection: Connection) -> bool:
    """Whether this store ever took over an invitation of an earlier system."""
    query = sa.select(meta.c.key).where(meta.c.key == "adopted")
    return connection.execute(query).first() is not None


def decided_up_to(connection: Connection) -> str | None:
    """The follow-up up to which decisions were opened for what waited before there were any, ""
    before the first; None: for all.
    """
    query = sa.select(meta.c.value).where(meta.c.key == "decided_up_to")
    value = connection.execute(query).scalar_one_or_none()
    return None if value == DONE else (value or "")


def decide_up_to(connection: Connection, key: str | None) -> None:
    """None: that was the last one."""
    upsert.one(connection, meta, {"key": "decided_up_to"}, {"value": DONE if key is None else key})


def sequence_floor(connection: Connection) -> int:
    """The SEQUENCE below which nothing leaves any more, 0 where the store was never restored."""
    query = sa.select(meta.c.value).where(meta.c.key == "sequence_floor")
    return int(connection.execute(query).scalar_one_or_none() or 0)


def raise_sequence_floor(connection: Connection, to: int) -> int:
    """Never lower than it is. Returns what it is now."""
    floor = max(to, sequence_floor(connection))
    upsert.one(connection, meta, {"key": "sequence_floor"}, {"value": str(floor)})
    return floor


def diaries_begun(connection: Connection) -> str | None:
    """The key up to which follow-ups of an earlier program have their entries in diaries; None
    where all have.
    """
    query = sa.select(meta.c.key, meta.c.value).where(meta.c.key.in_(["diaries", "diaries_begun"]))
    values = {row.key: row.value for row in connection.execute(query)}
    return None if "diaries" in values else values.get("diaries_begun", "")


def note_diaries(connection: Connection, key: str | None) -> None:
    """Keep how far that is; None: all of them."""
    name, value = ("diaries", "1") if key is None else ("diaries_begun", key)
    upsert.one(connection, meta, {"key": name}, {"value": value})


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing leaves until a person says so."""

    since: datetime
    by: str


def paused(connection: Connection) -> Pause | None:
    """Whether somebody has paused sending, for all accounts and gateways."""
    query = sa.select(meta.c.value).where(meta.c.key == "paused")
    value = connection.execute(query).scalar_one_or_none()
    if value is None:
        return None
    since, _, by = value.partition(" ")
    return Pause(datetime.fromisoformat(since), by)


def pause(connection: Connection, now: datetime, by: str) -> None:
    upsert.one(connection, meta, {"key": "paused"}, {"value": f"{now.isoformat()} {by}"})


def go_on(connection: Connection) -> None:
    connection.execute(sa.delete(meta).where(meta.c.key == "paused"))


READ_NOW, WAS_READ = "read_now ", "was_read "
"""When an account's mailbox was to be read at once, and which of these wishes was met."""


def ask_to_read(connection: Connection, account: str, now: datetime) -> str:
    """Have the gateway that reads that mailbox look into it at once. Returns what `was_read` will
    say.
    """
    wish = now.isoformat()
    upsert.one(connection, meta, {"key": f"{READ_NOW}{account}"}, {"value": wish})
    return wish


def asked_to_read(connection: Connection, account: str) -> str:
    """The newest such wish that has not been met; "" where there is none."""
    wish_key = f"{READ_NOW}{account}"
    met_key = f"{WAS_READ}{account}"
    query = sa.select(meta.c.key, meta.c.value).where(meta.c.key.in_([wish_key, met_key]))
    values: dict[str, str] = {row.key: row.value for row in connection.execute(query)}
    wish = values.get(wish_key, "")
    return "" if wish == values.get(met_key) else wish


def note_read(connection: Connection, account: str, wish: str) -> None:
    """That mailbox was looked into for this wish."""
    upsert.one(connection, meta, {"key": f"{WAS_READ}{account}"}, {"value": wish})
