"""Until when an answer is wanted, and when somebody who has not answered is reminded of it.

Pure. A reminder is the REQUEST once more, with the same SEQUENCE and a new DTSTAMP (RFC 5546 §3.2.2); no standard has a word for it.
"""

from datetime import datetime, timedelta

from gateway.followups import recurrence
from gateway.itip import editions, plan
from gateway.model import Edition, Letter, Occasion


def deadline(edition: Edition) -> datetime | None:
    """By when an answer is of use: what the owner has said, else when it begins, or the first date of a series."""
    return edition.answer_by if edition.answer_by is not None else recurrence.begins(edition)


def due(edition: Edition, now: datetime, ahead: timedelta) -> bool:
    """Whether the deadline is so near that whoever has not answered is to be reminded, and there is still time."""
    until = deadline(edition)
    return until is not None and now < until <= now + ahead and not plan.over(edition, now)


def needless(letter: Letter, answered: bool, now: datetime) -> bool:
    """Whether a reminder that had to wait asks for what has come meanwhile, or can come no more in time.

    Never where it tells of a change as well.
    """
    if letter.remarks.occasion is not Occasion.REMINDER or letter.before is None or editions.differs(letter.before, letter.edition):
        return False
    until = deadline(letter.edition)
    return answered or until is None or until <= now
