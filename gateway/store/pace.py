"""How much an account may send, and whether it rests: limits by minute, domain and day, counted
over all gateways of a store. How often a program may ask is counted the same way (`grant`).

A window begins with its first letter and lasts a minute or a day; what is claimed counts, whether
or not it leaves then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.sections import Outbound
from gateway.store import upsert
from gateway.store.schema_letters import attempt, outbox, pace, rest

MINUTE, DAY = 60, 86_400
ALL = ""
"""Instead of a domain: the letters to all."""
UNLIMITED = 1_000_000


@dataclass(frozen=True, slots=True)
class Room:
    """How many letters may be claimed now: altogether, to each domain, and to those that have had,
    or hold, some already.
    """

    letters: int
    each: int = UNLIMITED
    domains: Mapping[str, int] = field(default_factory=dict)
    last: frozenset[str] = frozenset()

    def of(self, domain: str) -> int:
        return self.domains.get(domain, self.each)

    def within(self, other: "Room") -> "Room":
        """What both allow."""
        return Room(
            min(self.letters, other.letters),
            min(self.each, other.each),
            {
                domain: min(self.of(domain), other.of(domain))
                for domain in {*self.domains, *other.domains}
            },
            self.last | other.last,
        )


@dataclass(frozen=True, slots=True)
class Grant:
    """A share of a minute. `used`: what everybody has of it, this share included."""

    number: int
    used: int
    ends: datetime


@dataclass(frozen=True, slots=True)
class Rest:
    """The pause of an account after trouble that was no letter's fault. `failures`: in a row;
    `words`: the server's.
    """

    account: str
    since: datetime
    until: datetime
    failures: int
    why: str
    words: str


def room(connection: Connection, account: str, limits: Outbound, now: datetime) -> Room:
    """What is left of the account's limits. On PostgreSQL no other gateway claims for it until this
    transaction ends.
    """
    by_minute = bool(limits.per_minute or limits.domain_per_minute)
    if not (by_minute or limits.per_day):
        return Room(UNLIMITED)
    if by_minute:
        _there(connection, account, ALL, MINUTE, now)
        connection.execute(
            sa.select(pace).where(*_window(account, ALL, MINUTE)).with_for_update()
        ).all()
    used = {
        (row.domain, row.seconds): row.letters
        for row in connection.execute(sa.select(pace).where(pace.c.account == account))
        if now - timedelta(seconds=row.seconds) < row.began_at <= now
    }
    remaining = [
        limit - used.get((ALL, seconds), 0)
        for limit, seconds in ((limits.per_minute, MINUTE), (limits.per_day, DAY))
        if limit
    ]
    per_domain = limits.domain_per_minute or UNLIMITED
    return Room(
        max(0, min(remaining, default=UNLIMITED)),
        per_domain,
        {
            domain: max(0, per_domain - letters)
            for (domain, _), letters in used.items()
            if domain != ALL
        },
    )


def spend(
    connection: Connection,
    account: str,
    limits: Outbound,
    letters: Mapping[str, int],
    now: datetime,
) -> bool:
    """Count letters by domain. Returns whether the day's budget has just been used up."""
    total = sum(letters.values())
    if not total:
        return False
    if limits.per_minute:
        _count(connection, account, ALL, MINUTE, total, now)
    if limits.domain_per_minute:
        for domain, number in sorted(
            letters.items()
        ):  # one order for all, so that nobody waits in a circle
            _count(connection, account, domain, MINUTE, number, now)
    if not limits.per_day:
        return False
    after = _count(connection, account, ALL, DAY, total, now)
    return after - total < limits.per_day <= after


def grant(connection: Connection, name: str, limit: int, share: int, now: datetime) -> Grant:
    """So much of the minute that is called `name`, as far as it is left. Nobody else takes of it
    until this transaction ends.
    """
    minute = timedelta(seconds=MINUTE)
    _there(connection, name, ALL, MINUTE, now)
    query = sa.select(pace.c.began_at, pace.c.letters).where(*_window(name, ALL, MINUTE))
    row = connection.execute(query.with_for_update()).one()
    used, began = 0, now
    if now - minute < row.began_at <= now:
        used, began = row.letters, row.began_at
    number = max(0, min(share, limit - used))
    used = _count(connection, name, ALL, MINUTE, number, now)
    return Grant(number, used, began + minute)


def is_spent(connection: Connection, account: str, limits: Outbound, now: datetime) -> bool:
    """Whether the day's budget is used up."""
    if not limits.per_day:
        return False
    query = sa.select(pace).where(*_window(account, ALL, DAY))
    day = connection.execute(query).one_or_none()
    if day is None:
        return False
    is_running = now - timedelta(seconds=DAY) < day.began_at <= now
    return bool(is_running and day.letters >= limits.per_day)


def was_tried(connection: Connection, account: str, since: datetime) -> bool:
    """Whether a letter of this account was tried after `since`."""
    # Numbers grow with time: from the newest back to the last that is too old.
    old = (
        sa.select(attempt.c.id)
        .where(attempt.c.started_at <= sa.literal(since, attempt.c.started_at.type))
        .order_by(attempt.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    tried = sa.exists().where(
        attempt.c.id > sa.func.coalesce(old, 0),
        attempt.c.letter == outbox.c.id,
        outbox.c.account == account,
    )
    return bool(connection.execute(sa.select(tried)).scalar_one())


def forget(connection: Connection, now: datetime) -> None:
    """Delete windows that are over for every limit."""
    connection.execute(sa.delete(pace).where(pace.c.began_at < now - timedelta(seconds=DAY)))


def begin_rest(connection: Connection, new: Rest) -> bool:
    """Keep that the account rests, for people to see. Returns whether it did not before."""
    values = {"until": new.until, "failures": new.failures, "why": new.why, "words": new.words}
    is_known = connection.execute(
        sa.update(rest).where(rest.c.account == new.account).values(values)
    ).rowcount
    if not is_known:
        upsert.one(connection, rest, {"account": new.account}, values | {"since": new.since})
    return not is_known


def end_rest(connection: Connection, account: str, ended: Rest | None = None) -> bool:
    """The account works again. Returns whether it rested.

    `ended`: the rest that is over; one that another gateway, or a report, began or renewed since
    goes on. An administrator may have ended it early (`end_early`).
    """
    query = sa.delete(rest).where(rest.c.account == account)
    if ended is not None:
        until = sa.literal(ended.until, rest.c.until.type)
        query = query.where(rest.c.failures == ended.failures, rest.c.until <= until)
    return bool(connection.execute(query).rowcount)


def end_early(connection: Connection, accounts: Iterable[str], now: datetime) -> None:
    """Have accounts that rest try again at once: one letter of each."""
    connection.execute(
        sa.update(rest)
        .where(
            rest.c.account.in_(list(accounts)), rest.c.until > sa.literal(now, rest.c.until.type)
        )
        .values(until=now)
    )


def rest_of(connection: Connection, account: str) -> Rest | None:
    """The rest of an account; None: it works."""
    return next(
        (account_rest for account_rest in resting(connection) if account_rest.account == account),
        None,
    )


def resting(connection: Connection) -> list[Rest]:
    """The accounts that rest."""
    return [
        Rest(row.account, row.since, row.until, row.failures, row.why, row.words)
        for row in connection.execute(sa.select(rest).order_by(rest.c.account))
    ]


def _count(
    connection: Connection, account: str, domain: str, seconds: int, letters: int, now: datetime
) -> int:
    """Add to a window, which begins anew if it is over. Returns how many letters it has now."""
    _there(connection, account, domain, seconds, now)
    moment = pace.c.began_at.type
    edge = sa.bindparam("edge", now - timedelta(seconds=seconds), type_=moment)
    current = sa.bindparam("now", now, type_=moment)
    # A clock that was put back must not stretch a window: one that begins in the future is over,
    # too.
    goes_on = (pace.c.began_at > edge) & (pace.c.began_at <= current)
    more = sa.case((goes_on, pace.c.letters + letters), else_=letters)
    began = sa.case((goes_on, pace.c.began_at), else_=current)
    counted: int = connection.execute(
        sa.update(pace)
        .where(*_window(account, domain, seconds))
        .values(letters=more, began_at=began)
        .returning(pace.c.letters)
    ).scalar_one()
    return counted


def _there(connection: Connection, account: str, domain: str, seconds: int, now: datetime) -> None:
    upsert.unless_there(
        connection,
        pace,
        {"account": account, "domain": domain, "seconds": seconds},
        {"began_at": now, "letters": 0},
    )


def _window(account: str, domain: str, seconds: int) -> tuple[sa.ColumnElement[bool], ...]:
    return pace.c.account == account, pace.c.domain == domain, pace.c.seconds == seconds
