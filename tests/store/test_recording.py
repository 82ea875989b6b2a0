"""Follow-ups are made, changed and deleted as documents, by commands; who did it is kept (domain.md
§2, §4), also where another program wrote the record.
"""

from datetime import timedelta
from typing import Any

import pytest

from gateway.actions import cancelling, recording
from gateway.errors import Forbidden, InputError, NotFound, Refused
from gateway.model import Actor, Channel
from gateway.store import followups, journal, records, schema, stated
from gateway.store.engine import Store
from tests.store import acting, rows
from tests.store.acting import CRM, KARI, MEETING, NINA, TASK

NEW = {"title": "Lunch", "start": "2027-03-04T12:00:00"}


def put(store: Store, actor: Actor, **document: Any) -> bool:
    return acting.do(store, actor, lambda desk: recording.put(desk, "m1", document)).answer


def signed(store: Store, key: str = "m1") -> tuple[str, str]:
    """Who made and who changed it."""
    with store.read() as connection:
        query = schema.follow_up.select().where(schema.follow_up.c.key == key)
        row = connection.execute(query).one()
    return row.created_by, row.changed_by


def test_a_new_follow_up_is_its_makers_own(store: Store) -> None:
    """domain.md §1: the owner is its creator. A key is made where none is given."""
    acting.begin(store, MEETING, sent=False)
    made = acting.do(store, KARI, lambda desk: recording.create(desk, NEW)).answer
    assert made
    assert acting.record(store, made)["owner"] == "kari"
    assert signed(store, made) == ("kari", "kari")
    assert acting.events(store, made)[0] == ("created", "kari")
    with pytest.raises(Forbidden, match="one's own; assign it"):
        acting.do(store, KARI, lambda desk: recording.create(desk, NEW | {"owner": "per"}))
    other = acting.do(
        store, CRM, lambda desk: recording.create(desk, NEW | {"owner": "per"})
    ).answer
    assert acting.record(store, other)["owner"] == "per"
    with pytest.raises(Refused, match="there is a follow-up m1 already"):
        acting.do(store, KARI, lambda desk: recording.create(desk, NEW | {"key": "m1"}))


@pytest.mark.parametrize(
    ("document", "place", "words"),
    [
        ({"title": "No time"}, ("start",), "is missing: a meeting has one"),
        ({"kind": "task"}, ("deadline",), "is missing: a task has one, or a start"),
        ({"kind": "call"}, ("deadline",), "is missing: a call has one, or a start"),
        (
            {"kind": "task", "end": "2027-03-04T12:00:00", "deadline": "2027-03-04"},
            ("end",),
            "needs a start",
        ),
        ({"kind": "visit"}, ("kind",), "'meeting', 'task' or 'call'"),
        (NEW | {"end": "2027-03-04T11:00:00"}, ("end",), "is before the start"),
        (NEW | {"availability": "away"}, ("availability",), "'busy' or 'free'"),
        (NEW | {"company": "acme"}, ("company",), "there is no company 'acme'"),
    ],
)
def test_what_a_kind_must_and_may_have_is_said_with_its_field(
    store: Store, document: dict[str, Any], place: tuple[str, ...], words: str
) -> None:
    """domain.md §2: the table of kinds."""
    acting.begin(store, MEETING, sent=False)
    with pytest.raises(InputError) as caught:
        acting.do(store, KARI, lambda desk: recording.create(desk, document))
    [(steps, reason)] = caught.value.places
    assert (steps[-len(place) :], words in reason) == (place, True), reason


@pytest.mark.parametrize(("kind", "minutes"), [("meeting", 60), ("call", 15), ("task", 60)])
def test_each_kind_lasts_as_long_as_its_owner_prefers(
    store: Store, kind: str, minutes: int
) -> None:
    """domain.md §2: default durations."""
    acting.begin(store, MEETING, sent=False)
    put(store, CRM, **NEW | {"kind": kind, "key": "m1", "owner": "kari"})
    with store.read() as connection:
        site = stated.Site("Europe/Oslo", "en")
        edition = stated.edition(connection, "m1", site, [])
    assert edition is not None
    assert edition.end is not None
    assert edition.end - edition.start == timedelta(minutes=minutes)  # type: ignore[operator]


def test_put_says_all_of_it(store: Store) -> None:
    acting.begin(store, MEETING)
    assert not put(store, KARI, **MEETING | {"title": "Another"})
    assert acting.owed(store) == [("ola", "REQUEST")]
    acting.send(store)
    assert not put(store, KARI, **MEETING | {"title": "Another"})
    assert acting.owed(store) == []
    assert signed(store) == ("load", "kari")
    with pytest.raises(InputError, match="key is m1 in the address"):
        put(store, KARI, **MEETING | {"key": "m2"})


def test_what_is_put_back_within_the_window_sends_nothing(store: Store) -> None:
    acting.begin(store, MEETING)
    put(store, KARI, **MEETING | {"title": "Another", "location": "", "agenda": "Coffee"})
    put(store, KARI, **MEETING)
    assert acting.owed(store) == []


def test_a_follow_up_is_given_away_by_assigning_it(store: Store) -> None:
    """domain.md §4: only who assigns it makes it somebody else's."""
    acting.begin(store, MEETING, sent=False)
    with pytest.raises(
        Forbidden, match="owner: a follow-up is given to somebody else by assigning"
    ):
        put(store, KARI, **MEETING | {"owner": "per"})
    said = {name: value for name, value in MEETING.items() if name != "owner"}
    put(store, KARI, **said)
    assert acting.record(store)["owner"] == "kari"
    put(store, CRM, **MEETING | {"owner": "per"})
    assert acting.record(store)["owner"] == "per"


def test_the_kind_can_change_until_it_is_saved(store: Store) -> None:
    """domain.md §8, help page 003. A program that is the record of it may say otherwise."""
    acting.begin(store, MEETING, sent=False)
    with pytest.raises(InputError, match="kind stays meeting once it is saved") as refused:
        put(store, KARI, **MEETING | {"kind": "task"})
    assert refused.value.places[0][0] == ("kind",)
    assert acting.record(store)["kind"] == "meeting"
    put(store, CRM, **MEETING | {"kind": "task"})
    assert acting.record(store)["kind"] == "task"


def test_what_an_earlier_system_says_counts_from_the_crm_alone(store: Store) -> None:
    acting.begin(store, MEETING, sent=False)
    identity = {"uid": "of-another@crm.example", "sequence": 7}
    sent = {"participants": [acting.OLA | {"token": "abc", "sent": True}]}
    made = acting.do(store, KARI, lambda desk: recording.create(desk, NEW | identity | sent))
    with store.read() as connection:
        query = schema.follow_up.select().where(schema.follow_up.c.key == made.answer)
        row = connection.execute(query).one()
        [member] = followups.members(connection, made.answer)
    assert (row.uid, row.sequence, member.given_token) == (None, 0, None)
    theirs = acting.do(store, CRM, lambda desk: recording.create(desk, NEW | identity))
    with store.read() as connection:
        query = schema.follow_up.select().where(schema.follow_up.c.key == theirs.answer)
        assert connection.execute(query).one().uid == "of-another@crm.example"


def test_what_is_completed_refuses_edits_except_what_is_the_owners_own(store: Store) -> None:
    """domain.md §3: a completed follow-up refuses edits until that is undone."""
    acting.begin(store, MEETING | {"completed": True})
    done = MEETING | {"completed": True}
    for change in (
        {"title": "Another"},
        {"start": "2027-03-02T08:00:00"},
        {"participants": [{"associate": "per"}]},
    ):
        with pytest.raises(Refused, match="completed; undo that first"):
            put(store, KARI, **done | change)
    put(store, KARI, **done | {"priority": "high", "alarm_minutes": 10})
    assert acting.record(store)["priority"] == "high"
    put(store, KARI, **MEETING | {"title": "Another"})
    assert acting.record(store)["title"] == "Another"
    assert ("reopened", "kari") in acting.events(store)


def test_what_is_private_is_there_for_those_it_concerns_only(store: Store) -> None:
    """domain.md §2: private."""
    acting.begin(store, MEETING | {"private": True}, sent=False)
    with pytest.raises(NotFound):
        put(store, NINA, **MEETING)
    rows.run(store, "UPDATE follow_up SET private = FALSE")
    with pytest.raises(Forbidden):
        put(store, NINA, **MEETING)


def test_what_is_deleted_is_cancelled_and_goes_when_everybody_was_told(store: Store) -> None:
    """docs/api.md: DELETE."""
    acting.begin(store, MEETING)
    acting.do(store, KARI, lambda desk: recording.delete(desk, "m1"))
    assert recording.forget(store) == 0
    assert acting.owed(store) == [("ola", "CANCEL")]
    assert recording.forget(store) == 0
    acting.send(store)
    assert recording.forget(store) == 1
    assert acting.owed(store) == []
    with store.read() as connection:
        assert not records.exists(connection, "m1")
    assert ("deleted", "kari") in acting.events(store)


@pytest.mark.parametrize("way", ["reinstate", "put"])
def test_what_is_deleted_and_taken_back_stays_and_sends_nothing(store: Store, way: str) -> None:
    acting.begin(store, MEETING)
    before = acting.record(store)
    acting.do(store, KARI, lambda desk: recording.delete(desk, "m1"))
    if way == "reinstate":
        acting.do(store, KARI, lambda desk: cancelling.reinstate(desk, "m1"))
    else:
        put(store, KARI, **MEETING)
    assert acting.owed(store) == []
    assert acting.record(store) == before
    acting.do(store, KARI, lambda desk: cancelling.cancel(desk, "m1"))
    acting.owed(store)
    acting.send(store)
    assert recording.forget(store) == 0


def test_what_nobody_was_told_of_is_deleted_at_once(store: Store) -> None:
    acting.begin(store, TASK, sent=False)
    acting.do(store, KARI, lambda desk: recording.delete(desk, "m1"))
    with store.read() as connection:
        assert not records.exists(connection, "m1")


@pytest.mark.parametrize(
    "spoilt",
    ["UPDATE follow_up SET owner = NULL", "UPDATE follow_up SET timezone = 'Mars/Olympus'"],
)
def test_what_has_no_owner_or_cannot_be_read_is_deleted_all_the_same(
    store: Store, spoilt: str
) -> None:
    acting.begin(store, MEETING)
    rows.run(store, spoilt)
    acting.do(store, CRM, lambda desk: recording.delete(desk, "m1"))
    assert acting.owed(store) == [("ola", "CANCEL")]
    acting.send(store)
    assert recording.forget(store) == 1


def test_what_another_program_wrote_is_by_sql(store: Store) -> None:
    """domain.md §4: who did it is kept."""
    acting.begin(store, MEETING)
    rows.run(
        store,
        "UPDATE follow_up SET start_at = '2027-03-02 12:00:00' WHERE key = 'm1'",
        "INSERT INTO follow_up (key, owner, title, start_at)"
        " VALUES ('m2', 'kari', 'By SQL', '2027-03-02 08:00:00')",
    )
    acting.owed(store)
    assert signed(store) == ("load", "SQL")
    assert signed(store, "m2") == ("SQL", "SQL")
    rows.run(store, "UPDATE follow_up SET cancelled = TRUE WHERE key = 'm1'")
    acting.owed(store)
    assert ("cancelled", "SQL") in acting.events(store)


def test_what_a_person_did_is_theirs_whoever_else_is_planned_with_it(store: Store) -> None:
    """domain.md §4."""
    acting.begin(store, MEETING)
    put(store, KARI, **MEETING | {"start": "2027-03-02T08:00:00"})
    rows.run(store, "UPDATE person SET name = 'Ola H.' WHERE key = 'ola'")
    rows.run(store, "UPDATE participant SET set_status = 1 WHERE person = 'ola'")
    acting.owed(store)
    assert signed(store) == ("load", "kari")
    with store.read() as connection:
        entries = journal.after(connection, 0, follow_up="m1")
    [toggled] = [one for one in entries if one.channel is Channel.HAND]
    assert toggled.by == "SQL"
    put(store, KARI, **MEETING | {"cancelled": True})
    acting.owed(store)
    assert ("cancelled", "kari") in acting.events(store)


def test_owner_and_resource_alone_are_a_booking(store: Store) -> None:
    """domain.md §2: no invitation is created; the owner's own row is never mailed (§4)."""
    people = [{"associate": "kari", "email_invite": True}, {"resource": "room1"}]
    acting.begin(store, MEETING | {"participants": people}, sent=False)
    assert acting.owed(store) == []
    assert acting.codes(store) == {"kari": 1, "room1": 1}


def test_who_may_not_be_picked_is_not_put_either(store: Store) -> None:
    """domain.md §3: `invitable`; who takes part already still may."""
    acting.begin(store, MEETING | {"participants": [{"associate": "per"}]}, sent=False)
    rows.run(
        store, "UPDATE associate SET invitable = FALSE", "UPDATE resource SET invitable = FALSE"
    )
    people = [{"associate": "per"}, {"associate": "nina"}, {"resource": "room1"}]
    with pytest.raises(InputError) as caught:
        put(store, KARI, **MEETING | {"participants": people})
    places = [steps for steps, _ in caught.value.places]
    assert places == [("participants", 1, "associate"), ("participants", 2, "resource")]
    put(store, KARI, **MEETING | {"participants": people[:1]})
    put(store, CRM, **MEETING | {"participants": people})
    assert acting.codes(store).keys() == {"per", "nina", "room1"}
