"""Which letters of a plan are really new, and which of those that wait they replace.

Pure. A letter that waits is not sent yet: what is owed now is compared with it, so that one change
after another brings one letter, and a letter that may have left is repeated as it was (itip.md §3).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from gateway.followups import editions
from gateway.invite import owing, reminders
from gateway.model import Method, Reply


def against_queue(
    copy: owing.Copy, letters: Sequence[owing.Owed], now: datetime
) -> tuple[list[owing.Owed], list[int]]:
    """The letters that are really new, and the numbers of the waiting ones that they replace.

    A waiting letter that already says what is owed stays. A letter that may have left and is
    repeated stays, too, unless a newer one says all that it says: about everything, or about the
    same date.
    """
    queue = list(copy.queued)
    remaining = list(letters)
    if (
        queue
        and _is_repeat(queue[0], copy, now)
        and not any(_covers(letter, queue[0]) for letter in remaining)
    ):
        queue.pop(0)
    replaced = list[owing.Queued]()
    for queued in queue:
        if remaining and _says(queued, remaining[0], copy):
            remaining.pop(0)
        else:
            replaced.append(queued)
    if remaining:
        remaining[0] = _inherit(remaining[0], replaced)
    return remaining, [queued.letter for queued in replaced]


def _covers(letter: owing.Owed, queued: owing.Queued) -> bool:
    """Whether an invitee who gets this letter no longer needs the waiting letter."""
    return letter.instance in (None, queued.instance) and _same_entry(letter, queued)


def _same_entry(letter: owing.Owed, queued: owing.Queued) -> bool:
    """Whether they are about the same entry of a calendar: of one follow-up, and of it the same
    date or all.
    """
    ours, theirs = letter.edition, queued.edition
    return (ours.uid, ours.recurrence_id) == (theirs.uid, theirs.recurrence_id)


def _is_repeat(queued: owing.Queued, copy: owing.Copy, now: datetime) -> bool:
    """It counts as sent, or says once more what the copy holds."""
    method = Method.REQUEST if queued.instance is not None else queued.method
    return (
        method is copy.method
        and not _is_overtaken(queued, copy)
        and copy.edition is not None
        and not editions.differs(queued.edition, copy.edition)
        and not (
            queued.reply is Reply.NEEDS_ACTION
            and reminders.urges(copy.edition, queued.edition, now)
        )
    )


def _says(queued: owing.Queued, letter: owing.Owed, copy: owing.Copy) -> bool:
    """Whether a waiting letter says what this one says."""
    if queued.method is not letter.method or queued.instance != letter.instance:
        return False
    if not _same_entry(letter, queued) or _is_overtaken(queued, copy):
        return False
    if _withdraws(queued) and (letter.withdrawn or not copy.counts):
        # It takes back what is held, whatever became of the follow-up since. With a new SEQUENCE
        # it would stand above the REQUEST at the new address, and both may end in one calendar.
        return True
    if letter.withdrawn:
        return False
    return (
        not editions.differs(queued.edition, letter.edition)
        and _shows_reply(queued, letter)
        and _gives_reason(queued, letter)
    )


def _is_overtaken(queued: owing.Queued, copy: owing.Copy) -> bool:
    """Whether a CANCEL elsewhere would take away what it tells (`overtaking`)."""
    return queued.method is Method.REQUEST and queued.sequence <= copy.above


def _withdraws(queued: owing.Queued) -> bool:
    is_cancel = queued.method is Method.CANCEL and queued.instance is None
    return is_cancel and not queued.edition.cancelled


def _shows_reply(queued: owing.Queued, letter: owing.Owed) -> bool:
    """Whether it shows the same answer; an open one is asked for by the same time."""
    if queued.reply is not letter.reply and not queued.tries:
        return False
    return (
        letter.reply is not Reply.NEEDS_ACTION
        or queued.edition.answer_by == letter.edition.answer_by
    )


def _gives_reason(queued: owing.Queued, letter: owing.Owed) -> bool:
    """Whether it says the same about why something is cancelled."""
    waiting = editions.cancel_reason(queued.edition, queued.instance)
    return waiting == editions.cancel_reason(letter.edition, letter.instance)


def _inherit(letter: owing.Owed, replaced: Sequence[owing.Queued]) -> owing.Owed:
    """A letter that replaces a letter that never arrived says what changed since the last that
    did.
    """
    untold = (
        queued
        for queued in replaced
        if queued.tries > 0
        and (queued.method, queued.instance) == (letter.method, letter.instance)
        and _same_entry(letter, queued)
    )
    first = next(untold, None)
    return replace(letter, before=first.before) if first is not None else letter
