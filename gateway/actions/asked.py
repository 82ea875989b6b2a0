"""The invitations view of an associate: what is to be answered, and what others have declined
(domain.md §7, help page 002).

Declined invitations stay until the day after the follow-up has taken place; what is over by then is
asked of nobody any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from gateway import shapes, status
from gateway.actions.desk import Desk
from gateway.errors import Forbidden
from gateway.i18n import marked
from gateway.model import Moment, Role
from gateway.store import asked, columns
from gateway.store.asked import Asked, Refusal

Json = dict[str, Any]
REASSIGN, RESCHEDULE = "assign", "reschedule"
"""The next step after a decline: help page 002, "Tilordne på nytt" and "Planlegg på nytt"."""


@dataclass(frozen=True, slots=True)
class Switches:
    """What is shown beside what is to be answered: what others declined, what one has declined, and
    series date by date.
    """

    responses: bool = False
    declined: bool = False
    repetitions: bool = False


def invitations(desk: Desk, switches: Switches) -> list[Json]:
    """In the order of time; what has no time comes last. Raises `Forbidden` for who is no
    associate.
    """
    who = desk.actor.associate
    if not who:
        raise Forbidden(marked("invitations are an associate's; this connection is none's"))
    zone = desk.settings.mail.timezone
    since = _yesterday(desk)
    codes = {*asked.UNANSWERED, *(asked.DECLINED if switches.declined else ())}
    rows = asked.invitations(desk.connection, who, since, codes, dates=switches.repetitions)
    items = [_invitation(row, zone) for row in rows]
    if switches.responses:
        items += [
            _response(refusal, zone) for refusal in asked.refusals(desk.connection, who, since)
        ]
    return sorted(items, key=place)


def count(desk: Desk, most: int) -> int:
    """How many wait for an answer of this actor, as far as `most`: of what `invitations` lists
    without switches.
    """
    who = desk.actor.associate
    if not who:
        return 0
    return asked.count(desk.connection, who, _yesterday(desk), asked.UNANSWERED, most)


def place(item: Json) -> tuple[str, int, str]:
    """Where an item stands in the list."""
    return item["begins"] or "9", item["participant"], item["instance"] or ""


def _yesterday(desk: Desk) -> datetime:
    zone = ZoneInfo(desk.settings.mail.timezone)
    day = desk.now.astimezone(zone).date() - timedelta(days=1)
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _invitation(asked_row: Asked, zone: str) -> Json:
    return _record(asked_row.row, zone, asked_row.instance, (asked_row.start, asked_row.end)) | {
        "response": False,
        "role": asked_row.role.value,
        "code": int(asked_row.status),
        "status": asked_row.status.word,
        "conflict": asked_row.conflict,
    }


def _response(refusal: Refusal, zone: str) -> Json:
    code = status.code(refusal.role, refusal.standing)
    key = refusal.row.person or refusal.row.associate or refusal.row.resource or refusal.row.email
    answer = {
        "response": True,
        "key": key,
        "name": refusal.name,
        "role": refusal.role.value,
        "code": int(code),
        "status": code.word,
        "comment": refusal.standing.comment,
        "replied_at": shapes.moment(refusal.standing.replied_at, zone),
        "next": REASSIGN if refusal.role is Role.ASSIGNED else RESCHEDULE,
    }
    return _record(refusal.row, zone, refusal.instance, (refusal.start, refusal.end)) | answer


PLAIN = ("kind", "title", "location", "owner", "assigned_by")


def _record(row: Any, zone: str, instance: Moment | None, times: Sequence[datetime | None]) -> Json:
    """What is shown of the follow-up, with the times of the date that is listed."""
    place_, all_day = row.timezone or zone, bool(row.all_day)
    start, end = times[0] or row.start_at, times[1] or row.end_at
    if row.original_start is not None and instance is None:
        instance = columns.moment(row.original_start, all_day, place_)
    deadline = row.deadline.astimezone(ZoneInfo(place_)).date() if row.deadline else None
    shown = {"participant": row.id, "follow_up": row.key}
    shown |= {name: getattr(row, name) for name in PLAIN}
    shown |= {"all_day": all_day, "series": bool(row.rrule)}
    shown |= {
        "instance": shapes.moment(instance, place_),
        "start": _shown(start, place_, all_day=all_day),
        "end": _shown(end, place_, all_day=all_day),
        "deadline": shapes.moment(deadline),
    }
    return shown | {"begins": shapes.utc(start or row.deadline)}


def _shown(value: datetime | None, zone: str, *, all_day: bool) -> str | None:
    return shapes.moment(columns.moment(value, all_day, zone), zone) if value else None
