"""Meetings, tasks and calls: default durations, and who sees whom (domain.md §2, help page 003;
itip.md §2, guest list).
"""

from datetime import date, datetime, timedelta

from gateway.model import GuestList, Kind, Moment

DEFAULT_DURATION = {
    Kind.MEETING: timedelta(hours=1),
    Kind.CALL: timedelta(minutes=15),
    Kind.TASK: timedelta(hours=1),
}
"""The site's defaults; a task has none of its own and, when put into the diary,
is as long as a meeting.
"""

LARGEST_PUBLIC_LIST = 20


def end(kind: Kind, start: Moment, given: Moment | None) -> Moment:
    """Where a follow-up ends: as given, else by the default duration, for all-day ones the day
    after (exclusive).
    """
    if given is not None and given > start:
        return given
    if isinstance(start, datetime):
        return start + DEFAULT_DURATION[kind]
    return date.fromordinal(start.toordinal() + 1)


def guest_list_public(setting: GuestList, participants: int, from_list: bool) -> bool:
    """Whether invitees see each other.
    `from_list`: somebody was picked from a project or a selection.
    """
    if setting is GuestList.AUTO:
        return not from_list and participants <= LARGEST_PUBLIC_LIST
    return setting is GuestList.PUBLIC
