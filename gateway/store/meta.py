"""Facts about the store itself."""

import secrets

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import upsert
from gateway.store.schema import meta


def site_secret(connection: Connection) -> bytes:
    """The key of Message-IDs and answer links, made once per store. Needs a writing connection the
    first time.
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
