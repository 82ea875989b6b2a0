"""Facts about the store itself."""

import secrets

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store.schema import meta


def site_secret(connection: Connection) -> bytes:
    """The key of Message-IDs and answer links, made once per store. Needs a writing connection the first time."""
    found = connection.execute(sa.select(meta.c.value).where(meta.c.key == "site_secret")).scalar_one_or_none()
    if found is None:
        found = secrets.token_hex(32)
        connection.execute(sa.insert(meta).values(key="site_secret", value=found))
    return bytes.fromhex(found)
