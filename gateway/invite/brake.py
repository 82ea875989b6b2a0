"""Which letters one wrong statement may have caused: many follow-ups that owe cancellations or
moves at once.

Pure. Source: domain.md §10. What counts is when the record was changed, not when we looked: after a
night without a gateway the edits of a day are planned at once, and are no mass change.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from gateway.followups import editions
from gateway.invite import owing
from gateway.model import Edition, Method

REASON = "brake"
"""The note of a letter that is held for this."""
WITHIN = timedelta(minutes=1)


def counts(letter: owing.Owed) -> bool:
    """Whether a letter takes something out of a calendar, or asks again: CANCELs, what moved, and
    dates that did.
    """
    if letter.method is Method.CANCEL:
        return True
    if letter.method is not Method.REQUEST or letter.before is None:
        return False
    if letter.instance is None:
        return editions.asks_again(letter.before, letter.edition)
    before = editions.times(letter.before, letter.instance)
    return before is not None and before != editions.times(letter.edition, letter.instance)


def caught(changes: Iterable[tuple[str, datetime]], most: int) -> set[tuple[str, datetime]]:
    """Of follow-ups and when they were changed: those within a minute in which more than `most`
    were changed. 0: none ever.
    """
    ordered = sorted(set(changes), key=lambda change: change[1])
    caught_changes, in_window, first = set[tuple[str, datetime]](), Counter[str](), 0
    for number, (key, at) in enumerate(ordered):
        in_window[key] += 1
        while at - ordered[first][1] >= WITHIN:
            key_before = ordered[first][0]
            in_window[key_before] -= 1
            if not in_window[key_before]:
                del in_window[key_before]
            first += 1
        if 0 < most < len(in_window):
            caught_changes.update(ordered[first : number + 1])
    return caught_changes


def undoes(current: Edition, base: Edition, planned: Edition, top: int) -> bool:
    """Whether a record is as it was at an earlier edition, and no letter said anything else since.
    `planned`: the edition that was planned last; `top`: the highest SEQUENCE that ever left.
    """
    if base.uid != current.uid or not top <= editions.counter(base) < editions.counter(planned):
        return False
    after = editions.following(current, base)
    return after is not None and _numbers(after) == _numbers(base)


def _numbers(edition: Edition) -> tuple[object, ...]:
    return edition.sequence, edition.significant, edition.date_sequences, edition.cancelled
