"""A save is taken back row by row, on both databases, whatever it has done to them (page.md §3)."""

from collections.abc import Callable, Mapping

import pytest
from sqlalchemy.engine import Connection

from gateway.actions import answering, assigning, cancelling, inviting, moving, recording, undoing
from gateway.actions.desk import Desk
from gateway.actions.undoing import Verdict
from gateway.followups.invitees import Entry, Source
from gateway.store import followups, records, snapshots, undos
from gateway.store.engine import Store
from tests.store import acting

Command = Callable[[Desk], object]
SECOND = "2027-03-09T09:00:00"


def _number(connection: Connection) -> int:
    [row] = [one for one in followups.members(connection, "m1") if one.key == "ola"]
    return row.id


def _add(desk: Desk) -> None:
    inviting.add(desk, "m1", [Entry(Source.ASSOCIATE, "per")], email_invite=True)


def _remove(desk: Desk) -> None:
    inviting.remove(desk, _number(desk.connection))


def _everything(desk: Desk) -> None:
    """Rows that are new, changed and gone, in one command."""
    _add(desk)
    moving.put_date(desk, "m1", SECOND, "2027-03-10T09:00:00")
    cancelling.cancel(desk, "m1", "ill", "2027-03-16T09:00:00")
    _remove(desk)


def _put(desk: Desk) -> None:
    kept = {**acting.SERIES, "title": "Kick-off again", "participants": []}
    recording.put(desk, "m1", kept)


def _assign(desk: Desk) -> None:
    assigning.assign(desk, "m1", "nina")
    _add(desk)


COMMANDS: Mapping[str, Command] = {
    "move": lambda desk: moving.reschedule(desk, "m1", moving.When("2027-03-02T11:00:00")),
    "split": lambda desk: moving.split(desk, "m1", SECOND, {"location": "Oslo"}),
    "stop": lambda desk: moving.stop(desk, "m1", SECOND),
    "add": _add,
    "remove": _remove,
    "everything": _everything,
    "put": _put,
    "delete": lambda desk: recording.delete(desk, "m1"),
    "assign": _assign,
}


def _said(store: Store) -> str:
    with store.read() as connection:
        return snapshots.digest(snapshots.take(connection, "m1"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_taken_back(store: Store, name: str) -> None:
    acting.begin(store, acting.SERIES)
    acting.owed(store)
    before = _said(store)
    outcome = undoing.perform(store, acting.SETTINGS, acting.NOW, acting.KARI, COMMANDS[name])
    assert outcome.letters.queued
    assert _said(store) != before
    undone = acting.do(store, acting.KARI, lambda desk: undoing.undo(desk, _save(desk)))
    assert undone.answer.verdict is Verdict.DONE
    assert not undone.letters.queued
    assert _said(store) == before
    assert acting.owed(store) == []
    with store.read() as connection:
        assert records.exists(connection, "m1")
        assert not records.exists(connection, "m1-20270309")


def test_what_is_taken_back_takes_no_earlier_change_along(store: Store) -> None:
    """A click on a status is about what everybody was told, which is planned first: those letters
    are dropped with the others, and owed again.
    """
    acting.begin(store, acting.SERIES)
    acting.do(store, acting.KARI, COMMANDS["move"])

    def toggle_and_add(desk: Desk) -> None:
        answering.toggle(desk, _number(desk.connection))
        _add(desk)

    moved = acting.record(store)["start_at"]
    outcome = undoing.perform(store, acting.SETTINGS, acting.NOW, acting.KARI, toggle_and_add)
    assert outcome.letters.queued
    undone = acting.do(store, acting.KARI, lambda desk: undoing.undo(desk, _save(desk)))
    assert undone.answer.verdict is Verdict.DONE
    assert "per" not in acting.codes(store)
    assert acting.record(store)["start_at"] == moved
    assert acting.owed(store) == [("ola", "REQUEST")]
    acting.send(store)
    assert acting.owed(store) == []


def _save(desk: Desk) -> int:
    save = undos.newest(desk.connection, "kari", acting.NOW)
    assert save is not None
    return save.id
