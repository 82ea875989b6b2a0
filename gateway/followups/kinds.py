"""Meetings, tasks and calls: what each must have and may have, where they end, and who sees whom
(domain.md §2, help page 003; itip.md §2, guest list).
"""

from collections.abc import Collection
from datetime import date, datetime, timedelta

from gateway.errors import Refused
from gateway.i18n import marked
from gateway.model import GuestList, Kind, Moment

LARGEST_PUBLIC_LIST = 20
REQUIRED = {
    Kind.MEETING: ("start",),
    Kind.TASK: ("deadline", "start"),
    Kind.CALL: ("deadline", "start"),
}
"""Fields of which each kind has one at least: a call has its deadline while it is planned, and a
start once it was carried out.
"""
LACKING = {
    Kind.MEETING: marked("is missing: a meeting has one"),
    Kind.TASK: marked("is missing: a task has one, or a start"),
    Kind.CALL: marked("is missing: a call has one, or a start"),
}
OF_A_START = ("end", "recurrence", "instances")
"""Fields that say nothing without a start."""


def lacking(kind: Kind, fields_said: Collection[str]) -> list[tuple[str, str]]:
    """What is wrong with a follow-up that says these fields: the field, and what is allowed."""
    wrong = [
        (field, marked("needs a start"))
        for field in OF_A_START
        if field in fields_said and "start" not in fields_said
    ]
    first, *rest = REQUIRED[kind]
    if first not in fields_said and not any(field in fields_said for field in rest):
        wrong.append((first, LACKING[kind]))
    return wrong


def carried_out(kind: str, *, has_start: bool) -> None:
    """Raises `Refused` for anything but a planned call."""
    if kind != Kind.CALL:
        raise Refused(marked("only a call is carried out; this is a %(kind)s"), kind=Kind(kind))
    if has_start:
        raise Refused(marked("the call was carried out already; reschedule it"))


def end(start: Moment, given: Moment | None, usual: timedelta) -> Moment:
    """Where a follow-up ends: as given, else after the usual time (`preferences.length`), for
    all-day ones the day after (exclusive).
    """
    if given is not None and given > start:
        return given
    if isinstance(start, datetime):
        return start + usual
    return date.fromordinal(start.toordinal() + 1)


def guest_list_public(setting: GuestList, participants: int, from_list: bool) -> bool:
    """Whether invitees see each other.
    `from_list`: somebody was picked from a project or a selection.
    """
    if setting is GuestList.AUTO:
        return not from_list and participants <= LARGEST_PUBLIC_LIST
    return setting is GuestList.PUBLIC
