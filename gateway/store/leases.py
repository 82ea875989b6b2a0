"""Who is alive and who has what: leases with a fencing number, so that several gateways may share
one store.

A gateway holds a lease of its own, renewed while it lives; letters it claimed, and mailboxes it
reads, are free again when that lease has run out. On one host a dead process is recognised at once
by its process number.
"""

import os
import secrets
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.store import upsert
from gateway.store.schema import lease

LIFE = timedelta(seconds=45)
RENEWAL_SECONDS = 10.0
NOBODY = ""
GATEWAY = "gateway:"
"""Before a gateway's name: the lease that says that it lives."""
MAILBOX = "mailbox:"
"""Before account and folder: the lease of whoever reads it."""
TIME_ZONES = "time zones:"
"""Before a release of the time zone data: the lease of one of the gateways that use it."""


def identity() -> str:
    """A name for this process that no other has:
    place (host, boot, process namespace), number, and chance.
    """
    return f"{_place()}:{os.getpid()}:{secrets.token_hex(4)}"


def take(connection: Connection, name: str, holder: str, now: datetime) -> int | None:
    """The fencing number, or None while another holds it. Taking one's own again renews it."""
    # The row is there before it is read, or two gateways that both find none would both have it.
    upsert.unless_there(
        connection, lease, {"name": name}, {"holder": NOBODY, "fence": 0, "expires_at": now}
    )
    row = connection.execute(sa.select(lease).where(lease.c.name == name).with_for_update()).one()
    if row.holder not in (NOBODY, holder) and row.expires_at > now and not _dead(row.holder):
        return None
    fence: int = row.fence + (row.holder != holder)
    connection.execute(
        sa.update(lease)
        .where(lease.c.name == name)
        .values(holder=holder, fence=fence, expires_at=now + LIFE)
    )
    return fence


def release(connection: Connection, name: str, holder: str) -> None:
    """Give a lease up, where it is still one's own.
    It keeps its fencing number, which never goes back.
    """
    connection.execute(
        sa.update(lease).where(lease.c.name == name, lease.c.holder == holder).values(holder=NOBODY)
    )


def alive(connection: Connection, holders: Sequence[str], now: datetime) -> set[str]:
    """Which of the gateways still live."""
    query = sa.select(lease.c.holder).where(
        lease.c.name.in_([f"{GATEWAY}{one}" for one in holders]),
        lease.c.holder != NOBODY,
        lease.c.expires_at > now,
    )
    return {row.holder for row in connection.execute(query) if not _dead(row.holder)}


def held(connection: Connection, prefix: str, now: datetime) -> list[str]:
    """What follows the prefix in the names of the leases that living gateways hold."""
    query = sa.select(lease.c.name, lease.c.holder).where(
        lease.c.name.startswith(prefix, autoescape=True),
        lease.c.holder != NOBODY,
        lease.c.expires_at > now,
    )
    rows = connection.execute(query.order_by(lease.c.name)).all()
    return [row.name.removeprefix(prefix) for row in rows if not _dead(row.holder)]


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()}/{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        # no such system: only the clock tells the dead
        return f"{socket.gethostname()}/{secrets.token_hex(4)}"


def _dead(holder: str) -> bool:
    place, number, _ = holder.rsplit(":", 2)
    if place != _place():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
