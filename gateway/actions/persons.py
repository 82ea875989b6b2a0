"""What is known of one person, told or taken out (docs/operations.md, "What is kept of one
person").

Nobody is forgotten who still holds an invitation: their calendar would keep what nobody could take
back. It is withdrawn first, and its CANCEL has left, before they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.actions.desk import Desk, settle
from gateway.errors import NotFound, Refused
from gateway.followups import permission, recurrence
from gateway.followups.permission import Verb
from gateway.store import chunks, codec, followups, journal, meta, participants, personal
from gateway.store.outbox import Queued
from gateway.store.personal import Person

REMAINS = (
    "the mailbox: messages in its folders",
    "copies of the store that were made before",
    "titles, agendas and notes of follow-ups, as they were written",
    "what others were sent: letters and calendars are theirs",
    "Message-IDs and hashes of messages, by which a duplicate is known",
    "answers to the API's Idempotency-Keys, for a day; events that a webhook is still to be told",
    "the log, whose addresses are masked",
)


@dataclass(frozen=True, slots=True)
class Erased:
    """`name`: by what they are called now; `taken`: rows by table."""

    name: str
    taken: Mapping[str, int]


def export(desk: Desk, name: str) -> dict[str, list[dict[str, Any]]]:
    """Everything about a person, by table. Raises `NotFound`."""
    permission.require(desk.actor, Verb.OPERATE)
    return personal.export(desk.connection, _found(desk, name))


def withdraw(desk: Desk, name: str) -> int:
    """Take them out of what they are still invited to. Returns how many rows that were."""
    permission.require(desk.actor, Verb.OPERATE)
    rows = {number for number, _ in _live(desk, _found(desk, name))}
    parts = chunks.parts(sorted(rows))
    members = (member for part in parts for member in followups.members(desk.connection, ids=part))
    for member in members:
        if not member.removed:
            gone = {"removed": True, "announced": False}
            participants.change(desk.connection, [member.id], gone)
            entry = journal.Entry("removed", member.follow_up, member.id, member.date)
            desk.changed(member.follow_up, entry)
    return len(rows)


def erase(desk: Desk, name: str) -> Erased:
    """Take a person out of the store. Raises `Refused` while they hold an invitation, or a letter
    to them is on its way or would be owed.
    """
    permission.require(desk.actor, Verb.OPERATE)
    subject = _found(desk, name)
    keys = personal.follow_ups(desk.connection, subject)
    for key in keys:
        desk.touch(key)
    before = settle(desk).queued
    waiting = [letter for letter in before if letter.participant in subject.rows]
    if live := _live(desk, subject):
        about = ", ".join(sorted({key for _, key in live}))
        raise Refused(
            f"{name} holds invitations to {about}; withdraw them first (--withdraw), so that a"
            " CANCEL can leave"
        )
    number = personal.under_way(desk.connection, subject) + len(waiting)
    if number:
        raise Refused(f"{number} letters to {name} have not left; try again when they have")
    secret = meta.site_secret(desk.connection)
    called, taken = personal.erase(desk.connection, subject, secret)
    desk.note(journal.Entry("person_erased", detail=called))
    for key in keys:
        desk.touch(key)
    before_erasing = {_letter(queued) for queued in before}
    if owed := [queued for queued in settle(desk).queued if _letter(queued) not in before_erasing]:
        raise Refused(
            f"{len(owed)} letters would be owed for it, the first about {owed[0].follow_up};"
            " nothing was taken out"
        )
    return Erased(called, dict(taken))


def _letter(queued: Queued) -> tuple[object, ...]:
    return queued.participant, queued.letter.method, queued.letter.sequence, queued.letter.instance


def _found(desk: Desk, name: str) -> Person:
    subject = personal.find(desk.connection, name)
    if subject is None:
        raise NotFound(f"nothing is known of {name!r}: neither a person's key nor an address")
    return subject


def _live(desk: Desk, subject: Person) -> list[tuple[int, str]]:
    """Their rows with an invitation to what is not over."""
    return [
        (number, key)
        for number, key, facts in personal.held(desk.connection, subject)
        if facts is None or not recurrence.over(codec.parse_edition(facts), desk.now)
    ]
