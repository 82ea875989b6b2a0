"""The brake: one wrong UPDATE does not mail a thousand customers (domain.md §10).

When more follow-ups than `outbound.brake_follow_ups` were changed within a minute so that they owe
CANCELs or "moved" letters, those letters are held, also the first of them, as far as they have not
left. What another program wrote counts, and what was loaded; what a person does to one follow-up by
a command does not (`marks.single_since`). A record that is put back before the letters left owes
nothing: numbers and answers are those of before.

It counts what has been committed. Gateways that plan at the same time wait for each other here, and
nobody who waits is waited for: rows that another transaction has locked are left to it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.invite import brake, owing
from gateway.model import Channel, Edition, LetterState, Occasion
from gateway.store import braked, invitations, journal, outbox
from gateway.store.engine import Connection

EARLIER = 20
"""So many editions back a record is looked for that was put back."""


@dataclass(frozen=True, slots=True)
class Undone:
    """An edition that everybody still holds, its number, and the copies: who answered while the
    brake held the news is asked once more, unless that answer counts after all.
    """

    edition: Edition
    number: int
    copies: list[owing.Copy]


def apply(
    connection: Connection, changes: Mapping[str, datetime], most: int, now: datetime
) -> tuple[int, bool]:
    """Hold what was changed too fast, beside these follow-ups and when they were. Returns how many
    letters are held by it, and whether they are the first.
    """
    if not most or not changes:
        return 0, False
    braked.take_turns(connection)
    times = changes.values()
    recent = braked.changes(connection, min(times) - brake.WITHIN, max(times) + brake.WITHIN)
    caught = brake.caught(recent, most)
    if not caught:
        return 0, False
    is_first = braked.summary(connection) is None
    held_letters = braked.hold(connection, caught, now)
    journal.write(
        connection,
        [
            journal.Entry(
                "held",
                letter.follow_up,
                letter.participant,
                channel=Channel.STORE,
                letter=letter.letter,
                detail=brake.REASON,
            )
            for letter in held_letters
        ],
        now,
    )
    return len(held_letters), is_first and bool(held_letters)


@dataclass(frozen=True, slots=True)
class Stopped:
    """Invitations whose letters are replaced while they are held: by a person, or by the brake."""

    by_hand: Collection[int]
    braked: Collection[int]


def stopped(connection: Connection, letters: Sequence[int]) -> Stopped:
    """Which of these letters, which others replace, are held."""
    return Stopped(outbox.held_by_hand(connection, letters), braked.held(connection, letters))


def keep_back(
    connection: Connection,
    letters: Sequence[tuple[int, owing.Owed]],
    replaced: Stopped,
    changed_at: datetime | None,
    now: datetime,
) -> None:
    """Hold what takes the place of a held letter, and say which of the new ones the brake counts.
    `changed_at`: when another program changed the record, where that counts.
    """
    by_hand = [letter for letter, owed in letters if owed.invitation in replaced.by_hand]
    waiting, on_hold = (LetterState.WAITING,), LetterState.HELD
    outbox.change(connection, by_hand, waiting, on_hold, outbox.BY_HAND, now)
    counting = {letter: owed for letter, owed in letters if brake.counts(owed)}
    if not counting:
        return
    braking = [letter for letter, owed in counting.items() if owed.invitation in replaced.braked]
    if changed_at is not None or braking:
        braked.count(connection, list(counting), changed_at or now)
    outbox.change(connection, braking, waiting, on_hold, brake.REASON, now)


def holds(copies: Sequence[owing.Copy]) -> bool:
    """Whether the brake holds a letter to any of these."""
    return any(letter.braked for copy in copies for letter in copy.queued)


def put_back(
    connection: Connection,
    key: str,
    current: Edition | None,
    planned: Edition | None,
    copies: Sequence[owing.Copy],
    now: datetime,
) -> Undone | None:
    """The edition that a record was put back to while the brake held what was owed since; answers
    are again what they were. None: it was not.
    """
    if not holds(copies):
        braked.forget(connection, key)
        return None
    if current is None or planned is None:
        return None
    top = max(copy.top_sequence for copy in copies)
    fit = (
        (number, edition)
        for number, edition in invitations.earlier(connection, key, EARLIER)
        if edition.recurrence_id is None and brake.undoes(current, edition, planned, top)
    )
    number, earlier = next(fit, (None, None))
    if number is None or earlier is None:
        return None
    restored = braked.restore(connection, key, number)
    _tell(connection, key, restored, now)
    return Undone(earlier, number, [_asked(copy, restored.unheard) for copy in copies])


def _tell(connection: Connection, key: str, restored: braked.Restored, now: datetime) -> None:
    events = [("undone", *row) for row in restored.standings]
    events += [("asked_anew", participant, None) for participant in sorted(restored.closed)]
    journal.write(
        connection,
        [
            journal.Entry(event, key, participant, instance, channel=Channel.STORE)
            for event, participant, instance in events
        ],
        now,
    )


def _asked(copy: owing.Copy, unheard: Collection[int]) -> owing.Copy:
    if copy.participant not in unheard:
        return copy
    return replace(copy, again=True, again_instance=None, because=Occasion.OLD_ANSWER)
