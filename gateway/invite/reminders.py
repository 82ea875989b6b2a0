"""Until when an answer is wanted, and when an invitee who has not answered is reminded of it.

Pure. A reminder is the REQUEST once more, with the same SEQUENCE and a new DTSTAMP (RFC 5546
§3.2.2); no standard has a word for it.
"""

from datetime import datetime, timedelta

from gateway.followups import editions, recurrence
from gateway.model import Edition, Letter, Moment, Occasion

SECOND = timedelta(seconds=1)


def following(edition: Edition, now: datetime, until: datetime) -> recurrence.Occurrence | None:
    """The next date of a series that takes place, by its own times: it begins after now, and not
    after `until`.
    """
    if edition.recurrence is None:
        return None
    ahead = (
        date
        for date in recurrence.occurrences(edition, now, until + SECOND)
        if now < _start(edition, date.original) <= until
    )
    return min(ahead, key=lambda date: _start(edition, date.original), default=None)


def beginning(edition: Edition, now: datetime, until: datetime) -> datetime | None:
    """The instant at which it begins, or the next date of a series; a day with its midnight. None:
    nothing begins up to `until`.
    """
    if edition.recurrence is None:
        return recurrence.begin_of(edition)
    date = following(edition, now, until)
    return _start(edition, date.original) if date is not None else None


def wanted_by(edition: Edition, now: datetime, instance: Moment | None = None) -> datetime | None:
    """By when the owner wants an answer, of all of it or of one date, where that lies ahead and
    before what is asked about.
    """
    by = edition.answer_by
    if by is None or by <= now:
        return None
    begins = (
        recurrence.begin_of(edition, instance)
        if instance is not None
        else beginning(edition, now, by)
    )
    return by if begins is None or by <= begins else None


def urges(before: Edition, after: Edition, now: datetime) -> bool:
    """Whether an answer is wanted by another time than was said. It concerns only invitees who have
    not answered, while there is time.
    """
    return before.answer_by != after.answer_by and wanted_by(before, now) != wanted_by(after, now)


def deadline(edition: Edition, now: datetime, until: datetime) -> datetime | None:
    """By when an answer is of use: what the owner has said, else when it begins, or the next date
    of a series up to `until`.
    """
    return wanted_by(edition, now) or beginning(edition, now, until)


def is_new(edition: Edition, reminded: int | None) -> bool:
    """Whether an invitee holds a question that they were not reminded of. `reminded`: the SEQUENCE
    at which they were; only asking again is new.
    """
    return reminded is None or reminded < edition.significant


def due(edition: Edition, now: datetime, ahead: timedelta) -> bool:
    """Whether an invitee who holds this and has not answered is to be reminded: the deadline is
    near, and there is still time.
    """
    until = deadline(edition, now, now + ahead)
    return (
        until is not None
        and now < until <= now + ahead
        and not edition.cancelled
        and not recurrence.over(edition, now)
    )


def needless(letter: Letter, answered: bool, now: datetime) -> bool:
    """Whether a reminder that had to wait asks for what has come meanwhile, or can come no more in
    time.

    Never where it tells of a change as well.
    """
    if (
        letter.remarks.occasion is not Occasion.REMINDER
        or letter.before is None
        or editions.differs(letter.before, letter.edition)
    ):
        return False
    until = deadline(letter.edition, letter.dtstamp, now)
    return answered or (until is not None and until <= now)


def _start(edition: Edition, date: Moment | None) -> datetime:
    start = recurrence.begin_of(edition, date)
    assert start is not None
    return start
