"""Who is alive and who has what: leases with a fencing number, so that several gateways may share
one store.

A gateway holds a lease of its own, renewed while it lives; letters it claimed, and mailboxes it
reads, are free again when that lease has run out. On one host the process itself is looked at: its
claims are free at once when it has ended, and stay its own while it runs, also where a store that
was locked kept it from renewing. Elsewhere the clock decides; an end further ahead than a lease
lasts is not believed, for the clock was set back since. Who takes letters over takes the lease away
first: the former holder gets it back with another fencing number, and learns it by that
(`outbound.lease`). A gateway that writes under a lease asks for it in the same transaction
(`require`), so that one that was held up commits nothing after another has taken over.

Limits: a process that runs and renews nothing for `HANGS` is taken for one that hangs. Of gateways
whose clocks differ by more than `clock.TOLERANCE`, one may take over what another has.
"""

import os
import secrets
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.errors import LeaseLost
from gateway.store import clock, upsert
from gateway.store.schema import lease

LIFE = timedelta(seconds=45)
RENEWAL_SECONDS = 10.0
HANGS = timedelta(hours=1)
"""Longer than a letter can be on its way to a mail server."""
NOBODY = ""
GATEWAY = "gateway:"
"""Before a gateway's name: the lease that says that it lives."""
MAILBOX = "mailbox:"
"""Before account and folder: the lease of the gateway that reads it."""
TIME_ZONES = "time zones:"
"""Before a release of the time zone data: the lease of one of the gateways that use it."""


@dataclass(frozen=True, slots=True)
class Held:
    """A lease as its holder has it."""

    name: str
    holder: str
    fence: int


def identity() -> str:
    """A name for this process that no other has:
    place (host, boot, process namespace), number, and chance.
    """
    return f"{_place()}:{_process(os.getpid()) or os.getpid()}:{secrets.token_hex(4)}"


def shown(holder: str) -> str:
    """A process for people: its host, and its number there."""
    place, process, _ = holder.rsplit(":", 2)
    return f"{place.partition('/')[0]}:{process.partition('.')[0]}"


def take(connection: Connection, name: str, holder: str, now: datetime) -> int | None:
    """The fencing number, or None while another holds it. Taking one's own again renews it."""
    # The row is there before it is read, or two gateways that both find none would both have it.
    upsert.unless_there(
        connection, lease, {"name": name}, {"holder": NOBODY, "fence": 0, "expires_at": now}
    )
    row = connection.execute(sa.select(lease).where(lease.c.name == name).with_for_update()).one()
    if row.holder not in (NOBODY, holder) and _holds(row.holder, row.expires_at, now):
        return None
    fence: int = row.fence + (row.holder != holder)
    connection.execute(
        sa.update(lease)
        .where(lease.c.name == name)
        .values(holder=holder, fence=fence, expires_at=now + LIFE)
    )
    return fence


def require(connection: Connection, own_lease: Held) -> None:
    """Let nobody take the lease over before this transaction ends. Raises `LeaseLost` where
    somebody has.
    """
    query = sa.select(lease.c.fence).where(
        lease.c.name == own_lease.name,
        lease.c.holder == own_lease.holder,
        lease.c.fence == own_lease.fence,
    )
    if connection.execute(query.with_for_update(read=True)).first() is None:
        raise LeaseLost(f"the lease {own_lease.name} is another gateway's now; nothing was written")


def release(connection: Connection, name: str, holder: str) -> None:
    """Give a lease up, where it is still one's own.
    It keeps its fencing number, which never goes back.
    """
    connection.execute(
        sa.update(lease).where(lease.c.name == name, lease.c.holder == holder).values(holder=NOBODY)
    )


def alive(connection: Connection, holders: Sequence[str], now: datetime) -> set[str]:
    """Which of the gateways still live."""
    rows = connection.execute(_of_gateways(holders))
    return {row.holder for row in rows if _lives(row.holder, row.expires_at, now)}


def bury(connection: Connection, holders: Sequence[str], now: datetime) -> set[str]:
    """Which of the gateways live no more. Their leases are taken away: one that goes on all the
    same gets another fencing number.
    """
    dead = set(holders) - alive(connection, holders, now)
    if not dead:
        return set()
    there = {row.holder for row in connection.execute(_of_gateways(dead))}
    # What is locked is being renewed. Nobody waits for it: two might wait for each other's.
    free = connection.execute(_of_gateways(dead).with_for_update(skip_locked=True)).all()
    dead -= there - {row.holder for row in free}
    dead -= {row.holder for row in free if _lives(row.holder, row.expires_at, now)}
    connection.execute(
        sa.update(lease)
        .where(lease.c.name.in_([f"{GATEWAY}{gateway}" for gateway in dead]))
        .values(holder=NOBODY)
    )
    return dead


def _of_gateways(holders: Collection[str]) -> sa.Select[tuple[str, datetime]]:
    return sa.select(lease.c.holder, lease.c.expires_at).where(
        lease.c.name.in_([f"{GATEWAY}{gateway}" for gateway in holders]), lease.c.holder != NOBODY
    )


def held(connection: Connection, prefix: str, now: datetime) -> list[str]:
    """What follows the prefix in the names of the leases that living gateways hold."""
    query = sa.select(lease.c.name, lease.c.holder, lease.c.expires_at).where(
        lease.c.name.startswith(prefix, autoescape=True), lease.c.holder != NOBODY
    )
    rows = connection.execute(query.order_by(lease.c.name)).all()
    return [
        row.name.removeprefix(prefix) for row in rows if _holds(row.holder, row.expires_at, now)
    ]


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()}/{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        # no such system: only the clock tells the dead
        return f"{socket.gethostname()}/{secrets.token_hex(4)}"


def _lives(holder: str, expires_at: datetime, now: datetime) -> bool:
    runs = _runs(holder)
    if runs is None:
        return _stands(expires_at, now)
    return runs and expires_at > now - HANGS


def _holds(holder: str, expires_at: datetime, now: datetime) -> bool:
    """Whether a lease is still its holder's."""
    runs = _runs(holder)
    if runs is None:
        return _stands(expires_at, now)
    return runs and expires_at > now


def _stands(expires_at: datetime, now: datetime) -> bool:
    """Whether a lease of another machine has not run out. Who makes one now makes none that ends
    later: such an end is from before the clock was set back.
    """
    return now < expires_at <= now + LIFE + clock.TOLERANCE


def _runs(holder: str) -> bool | None:
    """Whether the process of a holder runs; None: it cannot be seen from here."""
    place, process, _ = holder.rsplit(":", 2)
    if place != _place():
        return None
    number = int(process.partition(".")[0])
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is somebody else's, and runs
    now = _process(number)
    return process == now if now and "." in process else None


def _process(number: int) -> str:
    """A process by its number and the moment of its start, for numbers are used again: those of a
    container begin anew with it. "0" once it has ended, also while its parent has not noticed; ""
    where that cannot be seen.
    """
    try:
        words = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # proc(5): after the program's name, which may have any character, its state is field 3, its
    # start field 22.
    state, *fields = words.rpartition(")")[2].split()
    return "0" if state in ("Z", "X") else f"{number}.{fields[18]}"
