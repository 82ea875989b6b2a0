"""Facts about the store itself."""

import secrets

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import upsert
from gateway.store.schema import meta


def site_secret(connection: Connection) -> bytes:
    """The key of UIDs, tokens, Message-IDs and answer links, made with the store: a copy that was
    taken before the first letter has it, too. Needs a writing connection the first time.
    """
    query = sa.select(meta.c.value).where(meta.c.key == "site_secret")
    found = connection.execute(query).scalar_one_or_none()
    if (
        found is None
    ):  # on PostgreSQL others may be making it at this moment; all take what is there then
        upsert.unless_there(
            connection, meta, {"key": "site_secret"}, {"value": secrets.token_hex(32)}
        )
        found = connection.execute(query).scalar_one()
    return bytes.fromhex(found)


def note_adoption(connection: Connection) -> None:
    """Invitations of an earlier system were taken over: nobody knows how old they are."""
    upsert.one(connection, meta, {"key": "adopted"}, {"value": "1"})


def has_adopted(connection: Connection) -> bool:
    """Whether this store ever took over an invitation of an earlier system."""
    query = sa.select(meta.c.key).where(meta.c.key == "adopted")
    return connection.execute(query).first() is not None


def sequence_floor(connection: Connection) -> int:
    """The SEQUENCE below which nothing leaves any more, 0 where the store was never restored."""
    query = sa.select(meta.c.value).where(meta.c.key == "sequence_floor")
    return int(connection.execute(query).scalar_one_or_none() or 0)


def raise_sequence_floor(connection: Connection, to: int) -> int:
    """Never lower than it is. Returns what it is now."""
    floor = max(to, sequence_floor(connection))
    upsert.one(connection, meta, {"key": "sequence_floor"}, {"value": str(floor)})
    return floor
