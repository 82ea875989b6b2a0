"""What gateways found wrong with themselves or with the installation, for everybody to see.

A row belongs to a gateway and counts as long as that gateway lives (`leases`), or, with the name
`SITE`, to the installation as a whole: what a probe found holds until the next probe says
otherwise, or until it is `SITE_LIFE` old. What other tables say already (accounts that rest,
letters that are held or late) is no row here: `actions.health` reads it there.

Words are kept as they are read, and beside them the text and the facts that they were made from
(`i18n.Phrase`), for pages in other languages.

Limits: a gateway that was killed is believed for as long as its lease runs, `leases.LIFE` at most.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.health import Condition, State
from gateway.i18n import Phrase
from gateway.store import codec, leases, upsert
from gateway.store.schema import condition

SITE = ""
"""Instead of a gateway: the installation as a whole."""
SITE_LIFE = timedelta(days=2)
"""Twice what a daily probe needs to say it again."""


def report(connection: Connection, gateway: str, new: Condition, now: datetime) -> None:
    """Say how a subject is now. Where it was bad before, it is since then. "ok" is no row."""
    if new.state is State.OK:
        clear(connection, gateway, new.subject)
        return
    phrase = codec.phrase(new.words) if isinstance(new.words, Phrase) else ""
    values = {"state": new.state.value, "words": new.words, "phrase": phrase, "seen": now}
    key = {"gateway": gateway, "subject": new.subject}
    changed = connection.execute(
        sa.update(condition)
        .where(condition.c.gateway == gateway, condition.c.subject == new.subject)
        .values(values if new.since is None else values | {"since": new.since})
    ).rowcount
    if not changed:
        upsert.one(connection, condition, key, values | {"since": new.since or now})


def clear(connection: Connection, gateway: str, subject: str) -> None:
    """The subject is well again."""
    connection.execute(
        sa.delete(condition).where(condition.c.gateway == gateway, condition.c.subject == subject)
    )


def hold(
    connection: Connection, gateway: str, now_wrong: Sequence[Condition], now: datetime
) -> None:
    """Make what a gateway says be just this; what stands there already is not written again."""
    rows = connection.execute(sa.select(condition).where(condition.c.gateway == gateway)).all()
    standing = {row.subject: (row.state, row.words, row.since) for row in rows}
    subjects = {new.subject for new in now_wrong}
    for subject in standing.keys() - subjects:
        clear(connection, gateway, subject)
    for new in now_wrong:
        state, words, since = standing.get(new.subject, ("", "", None))
        is_new = (state, words) != (new.state.value, new.words)
        is_dated_anew = new.since not in (None, since)
        if is_new or is_dated_anew:
            report(connection, gateway, new, now)


def read(connection: Connection, now: datetime, *, but: str | None = None) -> list[Condition]:
    """What living gateways, and the probes, say is wrong, longest first; `but`: a gateway that is
    left out. Two that say the same of one subject count as one.
    """
    rows = connection.execute(
        sa.select(condition).order_by(condition.c.since, condition.c.gateway, condition.c.subject)
    ).all()
    living = _living(connection, [row.gateway for row in rows], now)
    by_words: dict[tuple[str, str], Condition] = {}
    for row in rows:
        stands = row.seen > now - SITE_LIFE if row.gateway == SITE else row.gateway in living
        if stands and row.gateway != but:
            words = codec.parse_phrase(row.phrase, row.words)
            reported = Condition(row.subject, State(row.state), words, row.since)
            by_words.setdefault((row.subject, row.words), reported)
    return list(by_words.values())


def forget(connection: Connection, now: datetime) -> None:
    """Delete what dead gateways and old probes said."""
    every_gateway = sa.select(condition.c.gateway).distinct()
    names = connection.execute(every_gateway).scalars().all()
    dead = set(names) - _living(connection, names, now) - {SITE}
    if dead:
        of_gone = condition.c.gateway.in_(sorted(dead))
        connection.execute(sa.delete(condition).where(of_gone))
    of_old_probes = sa.delete(condition).where(
        condition.c.gateway == SITE,
        condition.c.seen <= now - SITE_LIFE,
    )
    connection.execute(of_old_probes)


def _living(connection: Connection, names: Sequence[str], now: datetime) -> set[str]:
    gateways = sorted({name for name in names if name != SITE})
    return leases.alive(connection, gateways, now) if gateways else set()
