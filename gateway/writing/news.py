"""What is news in a letter: what happened since its reader's last letter, and what is shown to them
otherwise than then.

Pure; `wording` puts it into words. White space, spelling of rules and other things that nobody sees
are no news.
"""

from datetime import datetime
from enum import StrEnum

from gateway.followups import editions, rules, texts
from gateway.ical import ics
from gateway.invite import reminders
from gateway.model import Edition, Letter, Method, Moment, Occasion, Reply


class Change(StrEnum):
    """What a letter tells its reader."""

    INVITATION = "invitation"
    REINSTATED = "reinstated"
    MOVED = "moved"
    UPDATED = "updated"
    CANCELLED = "cancelled"
    WITHDRAWN = "withdrawn"
    ASKED_AGAIN = "asked_again"
    STANDS = "stands"
    REMINDER = "reminder"
    PROPOSAL_DECLINED = "proposal_declined"


def of(letter: Letter) -> Change:
    """What happened since this invitee's last letter. A repeat of what they hold is an invitation
    once more.
    """
    before, now = letter.before, letter.edition
    if letter.method is Method.CANCEL:
        return Change.WITHDRAWN if letter.withdrawn else Change.CANCELLED
    if letter.method is Method.DECLINECOUNTER:
        return Change.PROPOSAL_DECLINED
    if before is None:
        return Change.INVITATION
    if _cancelled(before, letter.instance) and not _cancelled(now, letter.instance):
        return Change.REINSTATED
    if letter.instance is not None and not editions.takes_place(before, letter.instance):
        return Change.INVITATION  # a date that was added to a series
    if _moved(letter, before):
        return Change.MOVED
    if letter.remarks.occasion is Occasion.OLD_ANSWER:
        return Change.ASKED_AGAIN
    if letter.remarks.occasion is Occasion.REMINDER:
        return Change.REMINDER
    if _updated(letter, before):
        return Change.UPDATED
    # Moved and moved back, or cancelled and reinstated, before a letter left: the answer is gone,
    # too.
    is_lost = letter.reply is Reply.NEEDS_ACTION and _raised(letter, before)
    return Change.STANDS if is_lost else Change.INVITATION


def _moved(letter: Letter, before: Edition) -> bool:
    """Whether it is at another time or place, or recurs by another rule."""
    now, instance = letter.edition, letter.instance
    if instance is None:
        return editions.asks_again(before, now)
    return _place(before, instance) != _place(now, instance)


def _updated(letter: Letter, before: Edition) -> bool:
    """Whether anything else can be seen to be different."""
    if _visible(letter, before) != _visible(letter, letter.edition):
        return True
    return letter.instance is None and not rules.same(before, letter.edition)


def _raised(letter: Letter, before: Edition) -> bool:
    """Whether everybody was to be asked anew since the last letter."""
    _, now_significant = editions.sequence(letter.edition, letter.instance)
    _, significant = editions.sequence(before, letter.instance)
    return now_significant > significant


def _cancelled(edition: Edition, instance: Moment | None) -> bool:
    return edition.cancelled or (instance is not None and editions.is_cancelled(edition, instance))


def _place(edition: Edition, instance: Moment) -> tuple[object, ...]:
    return ics.span(edition, instance), editions.place(edition)


def wanted_by(letter: Letter, edition: Edition) -> datetime | None:
    """By when an answer is wanted, in a letter that asks for one while there is time."""
    asks = letter.method is Method.REQUEST and letter.reply is Reply.NEEDS_ACTION
    return reminders.wanted_by(edition, letter.dtstamp, letter.instance) if asks else None


def _visible(letter: Letter, edition: Edition) -> tuple[object, ...]:
    """What `wording.Teller.differences` compares, beside time, place and rule."""
    visible = editions.said(edition), edition.guest_list_public, wanted_by(letter, edition)
    if letter.instance is not None:
        return visible
    return (*visible, added_dates(edition), changed_dates(edition))


def changed_dates(edition: Edition) -> dict[Moment, ics.Span | str]:
    """What is shown of the dates that are not as the rule says: when they are now, or why they are
    cancelled.
    """
    excluded = edition.recurrence.exdates if edition.recurrence is not None else ()
    shown: dict[Moment, ics.Span | str] = dict.fromkeys(excluded, "")
    for change in edition.dates:
        if change.cancelled:
            shown[change.original] = texts.reason(change.cancel_reason)
        else:
            shown[change.original] = ics.span(edition, change.original)
    return shown


def added_dates(edition: Edition) -> dict[Moment, ics.Span]:
    """The dates beside those of the rule, or those after the first of a list of dates, and when
    they are.
    """
    shown_elsewhere = {edition.start, *(change.original for change in edition.dates)}
    further = edition.recurrence.rdates if edition.recurrence is not None else ()
    return {date: ics.span(edition, date) for date in further if date not in shown_elsewhere}
