"""What each gateway measures of itself, for a scraper that asks another one: of several processes
on one store not each has a page.

A row of `meta` for each gateway, which counts as long as that gateway lives (`leases`). Limits: it
is as old as the gateway's last look (`daemon.health`).
"""

import json
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.health import Vitals
from gateway.store import leases, upsert
from gateway.store.schema import meta

PREFIX = "vitals:"
"""Before a gateway's name, in the keys of `meta`."""
_THEIRS = meta.c.key.startswith(PREFIX, autoescape=True)


def hold(connection: Connection, gateway: str, own: Vitals) -> None:
    """Make what is told of a gateway be just this."""
    values = {
        "stops": own.stops,
        "looks": {account: at.isoformat() for account, at in own.looks.items()},
        "certificates": {server: end.isoformat() for server, end in own.certificates.items()},
    }
    upsert.one(connection, meta, {"key": f"{PREFIX}{gateway}"}, {"value": json.dumps(values)})


def drop(connection: Connection, gateway: str) -> None:
    """Nothing is told of it any more."""
    connection.execute(sa.delete(meta).where(meta.c.key == f"{PREFIX}{gateway}"))


def read(connection: Connection, now: datetime, *, but: str) -> dict[str, Vitals]:
    """Of living gateways, by name; `but`: one that is left out."""
    by_gateway = _all(connection)
    living = leases.alive(connection, sorted(by_gateway), now) - {but}
    return {gateway: _read(by_gateway[gateway]) for gateway in sorted(living)}


def forget(connection: Connection, now: datetime) -> None:
    """Delete what dead gateways told."""
    by_gateway = _all(connection)
    for gateway in by_gateway.keys() - leases.alive(connection, sorted(by_gateway), now):
        drop(connection, gateway)


def _all(connection: Connection) -> dict[str, str]:
    rows = connection.execute(sa.select(meta.c.key, meta.c.value).where(_THEIRS))
    return {row.key.removeprefix(PREFIX): row.value for row in rows}


def _read(value: str) -> Vitals:
    values = json.loads(value)
    return Vitals(
        values["stops"],
        {account: datetime.fromisoformat(at) for account, at in values["looks"].items()},
        {server: datetime.fromisoformat(end) for server, end in values["certificates"].items()},
    )
