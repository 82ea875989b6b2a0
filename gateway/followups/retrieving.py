"""How long what somebody declined can be taken up again: until the day after it takes place
(domain.md §4). Pure.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from gateway.followups import recurrence
from gateway.model import Edition, Moment

NEXT_DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


def last_day(edition: Edition, instance: Moment | None = None) -> date | None:
    """The last day, where the follow-up is, on which it can. None: for ever, because it has no end
    or no time. `instance`: of one date of a series.
    """
    end = recurrence.last_end(edition) if instance is None else recurrence.end_of(edition, instance)
    if end is None:
        return None
    # What ends at midnight took place on the day before.
    return (end - MOMENT).astimezone(ZoneInfo(edition.timezone)).date() + NEXT_DAY


def is_retrievable(edition: Edition, now: datetime, instance: Moment | None = None) -> bool:
    last = last_day(edition, instance)
    return last is None or now.astimezone(ZoneInfo(edition.timezone)).date() <= last
