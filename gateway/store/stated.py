"""What follow-ups say of themselves: their records, as editions."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.followups import kinds
from gateway.model import Availability, Edition, GuestList, Kind, Moment
from gateway.store import columns, faults, marked, timing
from gateway.store.followups import Member
from gateway.store.schema import (
    associate,
    follow_up,
    participant,
    project_member,
    selection_member,
)


@dataclass(frozen=True, slots=True)
class Site:
    """What follow-ups and people that say nothing else have."""

    timezone: str
    language: str


def edition(
    connection: Connection, key: str, site: Site, members: Sequence[Member]
) -> Edition | None:
    """The follow-up as it stands, as an edition; None when it is gone. UID is "" where the gateway
    gave none yet.

    Without guests: what they answered is the planner's to say (`owing.listed`), who knows what
    becomes of it.
    """
    record = records(connection, [key]).get(key)
    return edition_of(record, site, members) if record is not None else None


@dataclass(frozen=True, slots=True)
class Record:
    """What is written of a follow-up itself: its row, and those of its single dates."""

    row: Any
    dates: Sequence[Any]
    is_from_list: bool


def records(connection: Connection, keys: Collection[str]) -> dict[str, Record]:
    """What is written of those of these follow-ups that are there."""
    query = (
        sa.select(
            follow_up,
            *timing.usual_length(),
            associate.c.name.label("organizer"),
            associate.c.email.label("organizer_email"),
        )
        .join(associate, associate.c.key == follow_up.c.owner, isouter=True)
        .where(follow_up.c.key.in_(keys))
    )
    rows = connection.execute(query).all()
    own, listed = timing.own_dates(connection, keys), _from_list(connection, keys)
    return {row.key: Record(row, own.get(row.key, ()), row.key in listed) for row in rows}


def edition_of(record: Record, site: Site, members: Sequence[Member]) -> Edition:
    """What is written of a follow-up, as `edition` has it."""
    row = record.row
    faults.check(
        faults.of_follow_up(row),
        marked.fault("associate", row.owner, {"name": row.organizer}),
        *(faults.of_only_date(member.id, member.date) for member in members if not member.removed),
    )
    kind, zone = Kind(row.kind), row.timezone or site.timezone
    start, end = timing.times(row, kind, zone)
    recurs, dates = timing.series(row, record.dates, kind, zone)
    facts = {name: getattr(row, name) for name in _OF_THE_EDITION}
    reason = row.cancel_reason if row.cancelled else ""
    is_public = _is_list_public(record, members)
    return Edition(
        **facts,
        uid=row.uid or "",
        kind=kind,
        start=start,
        end=end,
        timezone=zone,
        organizer=row.organizer or "",
        deadline=_deadline(row, start, zone),
        recurrence=recurs,
        dates=dates,
        guest_list=GuestList(row.guest_list),
        guest_list_public=is_public,
        cancel_reason=reason,
        answer_by=_answer_by(row),
        availability=Availability(row.availability),
    )


_OF_THE_EDITION = (
    "title",
    "all_day",
    "agenda",
    "location",
    "video_url",
    "cancelled",
    "sequence",
)
"""Columns of a follow-up that its edition has by the same names."""


def _deadline(row: Any, start: Moment | None, zone: str) -> date | None:
    """The day by which it is to be done, where it has no time of its own."""
    if start is not None or not row.deadline:
        return None
    return row.deadline.astimezone(ZoneInfo(zone)).date()  # type: ignore[no-any-return]


def _answer_by(row: Any) -> datetime | None:
    if row.answer_by is None:
        return None
    return columns.instant(columns.moment(row.answer_by, all_day=False))


def _is_list_public(record: Record, members: Sequence[Member]) -> bool:
    present = {member.key for member in members if not member.removed}
    from_list = record.row.project is not None or record.is_from_list
    return kinds.guest_list_public(GuestList(record.row.guest_list), len(present), from_list)


def called_off(connection: Connection, key: str) -> tuple[bool, str]:
    """Whether a follow-up that is there is cancelled, and why: what can be read of it whatever else
    it says.
    """
    row = connection.execute(
        sa.select(follow_up.c.cancelled, follow_up.c.cancel_reason).where(follow_up.c.key == key)
    ).one()
    return row.cancelled, row.cancel_reason


def _from_list(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of these follow-ups in which a member of a project or a selection takes part."""
    is_listed = sa.or_(
        sa.exists().where(project_member.c.person == participant.c.person),
        sa.exists().where(selection_member.c.person == participant.c.person),
    )
    query = sa.select(participant.c.follow_up).where(
        participant.c.follow_up.in_(keys), participant.c.person.is_not(None), is_listed
    )
    return set(connection.execute(query.distinct()).scalars())
