"""Preferences of the site and of each associate, as the store keeps them (domain.md §11).

One row for each that is stated. An associate's time zone and language stand in `associate`, where
letters look for them; the rest, and all of the site's, in `preference`. Other programs may write
there: what cannot be read counts as not stated, and the log says so once.
"""

import json
from collections.abc import Collection, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.engine import Connection

from gateway.errors import InputError
from gateway.followups import preferences
from gateway.followups.preferences import Preferences
from gateway.model import Kind
from gateway.store import columns, upsert
from gateway.store.schema import associate, follow_up
from gateway.store.schema_domain import preference

log = structlog.get_logger(__name__)

SITE = ""
"""Whose preferences are those of the site."""
OWN_COLUMNS = ("timezone", "language")
"""Preferences of an associate that are columns of theirs."""

_site_said, _own_said = preference.alias("site_said"), preference.alias("own_said")


def of(connection: Connection, who: str) -> Preferences:
    """What counts for this associate; for `SITE` what counts for the site."""
    return of_each(connection, [who])[who]


def of_each(connection: Connection, everybody: Collection[str]) -> dict[str, Preferences]:
    """The same for many associates, whether or not they exist, with two statements."""
    by_associate = stated(connection, {SITE, *everybody})
    site = preferences.effective(by_associate[SITE])
    return {who: preferences.effective(by_associate[who], base=site) for who in everybody}


def stated(connection: Connection, everybody: Collection[str]) -> dict[str, dict[str, object]]:
    """By associate (or `SITE`): what is stated of theirs, as JSON values by name."""
    by_associate: dict[str, dict[str, object]] = {who: {} for who in everybody}
    rows = connection.execute(
        sa.select(preference)
        .where(preference.c.associate.in_(everybody))
        .order_by(preference.c.associate, preference.c.name)
    )
    for row in rows:
        if row.associate == SITE or row.name not in OWN_COLUMNS:
            _take(by_associate[row.associate], row.name, row.value, row.associate)
    own_columns = [associate.c[name] for name in OWN_COLUMNS]
    query = sa.select(associate.c.key, *own_columns).where(associate.c.key.in_(everybody))
    for row in connection.execute(query):
        own = by_associate[row.key]
        if timezone := columns.zone(row.timezone, row.key):
            own["timezone"] = timezone
        if row.language:
            own["language"] = row.language
    return by_associate


def state(connection: Connection, who: str, values: Mapping[str, object]) -> bool:
    """Keep these preferences of somebody's, which are `preferences.checked`; None: not stated any
    more. Returns whether anything changed.
    """
    before = stated(connection, [who]).get(who, {})
    changes = {name: value for name, value in values.items() if before.get(name) != value}
    own = {name: changes[name] or "" for name in OWN_COLUMNS if who != SITE and name in changes}
    if own:
        connection.execute(sa.update(associate).where(associate.c.key == who).values(own))
    rest = {name: value for name, value in changes.items() if name not in own}
    names = [name for name, value in rest.items() if value is None]
    if names:
        is_own = preference.c.associate == who, preference.c.name.in_(names)
        connection.execute(sa.delete(preference).where(*is_own))
    rows = [
        {"associate": who, "name": name, "value": json.dumps(value, ensure_ascii=False)}
        for name, value in rest.items()
        if value is not None
    ]
    upsert.many(connection, preference, ("associate", "name"), rows)
    return bool(changes)


def forget(connection: Connection, who: str) -> None:
    """Nothing is stated of somebody who is gone."""
    connection.execute(sa.delete(preference).where(preference.c.associate == who))


def minutes_of_owner() -> list[sa.ColumnElement[str | None]]:
    """Columns for a query of follow-ups: what the site and the owner state of how long one of its
    kind is. `length` reads them.
    """
    name = follow_up.c.kind + "_minutes"
    site = sa.select(_site_said.c.value).where(
        _site_said.c.associate == SITE, _site_said.c.name == name
    )
    own = sa.select(_own_said.c.value).where(
        _own_said.c.associate == follow_up.c.owner, _own_said.c.name == name
    )
    return [
        site.correlate(follow_up).scalar_subquery().label("site_minutes"),
        own.correlate(follow_up).scalar_subquery().label("own_minutes"),
    ]


def length(row: Any, kind: Kind) -> timedelta:
    """How long a follow-up is if nobody says so, from a row with `minutes_of_owner`."""
    own = dict[str, object]()
    for value, whose in ((row.site_minutes, SITE), (row.own_minutes, row.owner)):
        if value is not None:
            _take(own, preferences.minutes_name(kind), value, whose)
    return preferences.effective(own).length(kind)


def _take(values: dict[str, object], name: str, text: str, whose: str) -> None:
    try:
        values[name] = preferences.checked(name, json.loads(text))
    except (InputError, ValueError, RecursionError) as error:
        _ignored(whose, name, str(error))


@lru_cache(maxsize=1_000)
def _ignored(whose: str, name: str, reason: str) -> None:
    """Say once that a preference cannot be read."""
    log.warning("a preference that cannot be read is ignored", of=whose, name=name, reason=reason)
