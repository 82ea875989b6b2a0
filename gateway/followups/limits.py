"""What a series has that Outlook cannot hold, in words for its owner. Such a letter leaves: every
other program reads it, and Outlook shows what it can.

MS-OXCICAL §2.1.3.2.2 (the forms of rules), MS-OXOCAL §2.2.1.44.1 (steps and counts), §3.1.5.6
(where a date may be moved to). Pure.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import pairwise

from gateway.errors import InputError
from gateway.followups import covering, grammar, recurrence
from gateway.model import Edition, Moment

PREFIX = "Outlook cannot show this series as it is: "
APART = "no series of Outlook can hold these dates: each of them is an invitation by itself"
CROWD = "the guest list is private: with everybody named the letter would be too large for clients"
LOOKED_AT = timedelta(days=3_660)
"""How much of a series is looked at."""
LONGEST_STEPS = {"DAILY": 999, "WEEKLY": 99, "MONTHLY": 99, "YEARLY": 8}
"""In days, weeks, months and years: Outlook counts years in months, too."""
SINGLE = {"BYMONTHDAY": "days of the month", "BYMONTH": "months"}
UNKNOWN = ("BYYEARDAY", "BYWEEKNO", "BYHOUR", "BYMINUTE", "BYSECOND")


def is_warning(note: str) -> bool:
    """Whether a row that says so has its letters all the same."""
    return note.startswith((PREFIX, APART, CROWD))


def shown(note: str, delivery: str) -> str:
    """What a row says: its own words rather than those of the mail server. A warning hides
    neither.
    """
    if is_warning(note) and delivery:
        return f"{delivery}; {note}"
    return note or delivery


def warning(edition: Edition) -> str:
    """Everything of a series that Outlook cannot hold; "" where it can hold all of it, and for what
    no calendar entry can say at all.
    """
    if edition.recurrence is None or edition.start is None:
        return ""
    try:
        entry = covering.told(edition)
    except InputError:
        return ""
    reasons = [
        *_rule(grammar.parts(entry.rrule)),
        *_neighbours(edition),
        *_beside(edition, entry),
    ]
    return PREFIX + "; ".join(reasons) if reasons else ""


def _rule(parts: dict[str, str]) -> Iterator[str]:
    count, step = int(parts.get("COUNT", "0")), int(parts.get("INTERVAL", "1"))
    if count > covering.MOST_COUNTED:
        yield f"it counts {count} dates, more than {covering.MOST_COUNTED}"
    if step > LONGEST_STEPS[parts["FREQ"]]:
        yield f"its step is {step}, more than {LONGEST_STEPS[parts['FREQ']]}"
    days = parts.get("BYDAY", "").split(",")
    if len(days) > 1 and any(day[:1] in "+-0123456789" for day in days):
        yield f"it names several weekdays by position (BYDAY={parts['BYDAY']})"
    for name, phrase in SINGLE.items():
        if "," in parts.get(name, ""):
            yield f"it names several {phrase} ({name}={parts[name]})"
    for name in UNKNOWN:
        if name in parts:
            yield f"it has {name}"


def _neighbours(edition: Edition) -> Iterator[str]:
    """A date that reaches into the next, or was moved onto or past one."""
    assert edition.start is not None
    cancelled = {change.original for change in edition.dates if change.cancelled}
    dates = recurrence.instances(edition, None, edition.start + LOOKED_AT)
    names = [name for name in dates if name not in cancelled]
    length = edition.end - edition.start if edition.end is not None else timedelta()
    if any(later - earlier < length for earlier, later in pairwise(names)):
        yield "a date lasts longer than until the next one"
    yield from _past_neighbours(edition, names)


def _past_neighbours(edition: Edition, names: Sequence[Moment]) -> Iterator[str]:
    """Dates that were moved onto or past one of these."""
    moved = {change.original for change in edition.dates if change.start is not None}
    starts = [recurrence.start_of(edition, name) for name in names]
    days = [recurrence.day_of(edition, start) for start in starts]
    for at, name in enumerate(names):
        neighbours = days[max(0, at - 1) : at + 2]
        if name in moved and not _rises(neighbours):
            day = recurrence.day_of(edition, name)
            yield f"the date of {day} was moved onto or past its neighbour"


def _rises(days: Sequence[date]) -> bool:
    """Whether each day is after the one before."""
    return all(earlier < later for earlier, later in pairwise(days))


def _beside(edition: Edition, entry: covering.Told) -> Iterator[str]:
    if entry.rdates:
        days = ", ".join(recurrence.day_of(edition, date).isoformat() for date in entry.rdates[:5])
        more = ", ..." if len(entry.rdates) > 5 else ""
        yield f"dates beside its rule are missing there ({days}{more})"
