"""Meetings, tasks and calls: where they end, and who sees whom (domain.md §2, help page 003;
itip.md §2, guest list).
"""

from datetime import date, datetime, timedelta

from gateway.model import GuestList, Moment

LARGEST_PUBLIC_LIST = 20


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
