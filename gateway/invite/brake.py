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
    were. 0: none ever.
    """
    ordered = sorted(set(changes), key=lambda change: change[1])
    found, here, first = set[tuple[str, datetime]](), Counter[str](), 0
    for number, (key, at) in enumerate(ordered):
        here[key] += 1
        while at - ordered[first][1] >= WITHIN:
            gone = ordered[first][0]
            here[gone] -= 1
            if not here[gone]:
                del here[gone]
            first += 1
        if 0 < most < len(here):
            found.update(ordered[first : number + 1])
    return found


def undoes(wanted: Edition, base: Edition, known: Edition, top: int) -> bool:
    """Whether a record is as it was at an earlier edition, of which nobody was told anything since.
    `known`: the one that was planned last; `top`: the highest SEQUENCE that ever left.
    """
    if base.uid != wanted.uid or not top <= editions.counter(base) < editions.counter(known):
        return False
    after = editions.following(wanted, base)
    return after is not None and _numbers(after) == _numbers(base)


def _numbers(edition: Edition) -> tuple[object, ...]:
    return edition.sequence, edition.significant, edition.date_sequences, edition.cancelled
