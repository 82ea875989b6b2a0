"""Commands of people in the store, on both databases: who acts, what they write, and which letters
leave because of it.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from gateway import settings as configuration
from gateway.actions import desk, load, planning
from gateway.actions.desk import Desk, Outcome
from gateway.model import Access, Actor, Delivery, LetterState
from gateway.store import claims, followups, journal, outbox, records
from gateway.store.engine import Store
from gateway.store.outbox import Settlement

T = TypeVar("T")
SETTINGS = configuration.load(
    overrides={"mail": {"address": "invites@crm.example", "language": "en"}}
)
NOW = datetime(2027, 2, 20, 8, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
KARI, PER, NINA = (Actor(Access.USER, name, name) for name in ("kari", "per", "nina"))
CRM = Actor(Access.CRM, name="crm")
PEOPLE = {
    "associates": [
        {"key": name, "name": name.title(), "email": f"{name}@crm.example"}
        for name in ("kari", "per", "nina")
    ],
    "resources": [{"key": "room1", "name": "Fjord"}],
    "persons": [{"key": "ola", "name": "Ola Hansen", "emails": ["ola@ext.example"]}],
}
OLA = {"person": "ola", "email_invite": True}
MEETING = {
    "key": "m1",
    "owner": "kari",
    "title": "Kick-off",
    "location": "Fjord",
    "start": "2027-03-02T09:00:00",
    "end": "2027-03-02T10:00:00",
    "timezone": "Europe/Oslo",
    "participants": [OLA],
}
SERIES = MEETING | {"recurrence": {"rrule": "FREQ=WEEKLY;COUNT=4"}}
TASK = {
    "key": "m1",
    "kind": "task",
    "owner": "kari",
    "title": "Offer",
    "deadline": "2027-03-02",
    "timezone": "Europe/Oslo",
}
CALL = TASK | {"kind": "call"}


def begin(store: Store, follow_up: dict[str, Any], *, sent: bool = True) -> None:
    """The people and this follow-up; who is invited by mail holds the invitation."""
    with store.write() as connection:
        load.load(connection, PEOPLE | {"follow_ups": [follow_up]}, SETTINGS, NOW - 2 * DAY)
    if sent:
        owed(store, NOW - 2 * DAY)
        send(store, NOW - 2 * DAY)


def do(store: Store, actor: Actor, command: Callable[[Desk], T], now: datetime = NOW) -> Outcome[T]:
    return desk.perform(store, SETTINGS, now, actor, command)


def owed(store: Store, now: datetime = NOW) -> list[tuple[str, str]]:
    """Plan everything and tell which letters wait: to, method."""
    planning.plan_due(store, SETTINGS, now, everything=True)
    with store.read() as connection:
        waiting = outbox.pending(connection)
    letters = [(one.letter.address.partition("@")[0], one.letter.method.value) for one in waiting]
    return sorted(letters)


def send(store: Store, now: datetime = NOW) -> None:
    """What waits leaves, the letters of one row one after the other."""
    claimed = True
    while claimed:
        with store.write() as connection:
            taken = claims.take(connection, "a", now + HOUR, 100)
            sent = [Settlement(one.id, LetterState.SENT, True, Delivery.SENT) for one in taken]
            claims.settle(connection, sent, [], "a", now)
        claimed = bool(taken)


def codes(store: Store, key: str = "m1") -> dict[str, int | None]:
    """The status of each row that is not removed, by who it stands for."""
    with store.read() as connection:
        members = followups.members(connection, key)
    return {one.key: one.code for one in members if not one.removed}


def record(store: Store, key: str = "m1") -> dict[str, Any]:
    with store.read() as connection:
        return records.content(connection, key)


def events(store: Store, key: str = "m1") -> list[tuple[str, str]]:
    """What happened by a command or to the follow-up as a whole: event, by whom."""
    with store.read() as connection:
        entries = journal.after(connection, 0, follow_up=key)
    return [(one.event, one.by) for one in entries]
