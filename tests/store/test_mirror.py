"""A CRM that mirrors its records by plain SQL deletes and inserts them again, each night: what comes
back before anybody was told that it went is what it was (domain.md §2, §3), on both databases.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import answering, deciding, persons, planning, recording
from gateway.answer import facts
from gateway.model import Access, Actor, Delivery, LetterState, Reply, Standing
from gateway.store import (
    claims,
    followups,
    invitations,
    journal,
    marks,
    schema,
    schema_deleted,
    schema_domain,
)
from gateway.store import outbox as letters
from gateway.store import rows as rows_of_messages
from gateway.store.engine import Store
from gateway.store.outbox import Settlement
from gateway.store.schema_letters import invitation
from gateway.store.stated import Site
from tests.store import acting, rows

M1 = (
    "INSERT INTO follow_up (key, owner, title, location, start_at, end_at, timezone) VALUES"
    " ('m1', 'kari', 'Kick-off', 'Fjord', '2027-03-02 08:00:00', '2027-03-02 09:00:00',"
    " 'Europe/Oslo')"
)
OLA = "INSERT INTO participant (follow_up, person, email_invite) VALUES ('m1', 'ola', TRUE)"
PER = "INSERT INTO participant (follow_up, associate) VALUES ('m1', 'per')"
EVA = (
    "INSERT INTO participant (follow_up, email, name, email_invite)"
    " VALUES ('m1', 'eva@other.example', 'Eva', TRUE)"
)
ROOM = "INSERT INTO participant (follow_up, resource) VALUES ('m1', 'room1')"
PEOPLE = (OLA, PER, EVA, ROOM)
DELETE, DELETE_ROWS = "DELETE FROM follow_up", "DELETE FROM participant"
MIRRORED = {
    "follow-ups": ([DELETE], [M1, *PEOPLE]),
    "rows, in another order": ([DELETE_ROWS], [*reversed(PEOPLE)]),
    "rows, then follow-ups": ([DELETE_ROWS, DELETE], [M1, *PEOPLE]),
}
"""What a mirror deletes, and what it writes anew."""
PATIENT = configuration.load(
    overrides={"mail": {"address": "invites@crm.example"}, "outbound": {"coalesce_seconds": 3600}}
)
SAID = Standing(
    Reply.ACCEPTED, seen=True, comment="gladly", sequence=0, dtstamp=acting.NOW, address="o@x.test"
)


@pytest.fixture
def office(store: Store) -> Store:
    """A meeting whose invitees hold the invitation, and have answered."""
    invited = [
        acting.OLA,
        {"associate": "per"},
        {"email": "eva@other.example", "name": "Eva", "email_invite": True},
        {"resource": "room1"},
    ]
    acting.begin(store, acting.MEETING | {"participants": invited})
    answered(store)
    return store


def answered(store: Store, key: str = "m1") -> None:
    """Ola accepts with words, Per declines."""
    with store.write() as connection:
        for one in followups.members(connection, key):
            if one.key == "ola":
                followups.write_standing(connection, one.id, None, SAID, 1)
            if one.key == "per":
                declined = Standing(Reply.DECLINED, seen=True, comment="away")
                followups.write_standing(connection, one.id, None, declined, 9)


def identity(store: Store) -> list[Any]:
    """All by which a follow-up and its rows are known, and what they said."""
    ours = ("uid", "sequence", "created_at", "created_by", "changed_at", "changed_by")
    columns = [schema.follow_up.c[name] for name in ours]
    with store.read() as connection:
        members = sorted(followups.members(connection, "m1"), key=lambda one: one.id)
        tokens = {}
        for one in members:
            counting = invitations.counting(connection, one.id)
            tokens[one.id] = counting.token if counting is not None else ""
        record = connection.execute(sa.select(*columns).order_by(schema.follow_up.c.key)).all()
        return [*map(tuple, record), tokens, *members]


def told(store: Store) -> list[tuple[str, int | None]]:
    with store.read() as connection:
        return [(one.event, one.participant) for one in journal.after(connection, 0)]


def copies(store: Store) -> int:
    kept = *schema_deleted.COPIES.values(), *schema_deleted.HANGING.values()
    with store.read() as connection:
        counts = [sa.select(sa.func.count()).select_from(table) for table in kept]
        return sum(connection.execute(count).scalar_one() for count in counts)


def owed(store: Store) -> list[tuple[str, str]]:
    found = acting.owed(store)
    assert rows.marked(store) == []
    return found


@pytest.mark.parametrize("name", MIRRORED)
def test_domain_2_what_a_mirror_writes_anew_in_one_transaction_is_what_it_was(
    office: Store, name: str
) -> None:
    before, said = identity(office), told(office)
    gone, again = MIRRORED[name]
    rows.run(office, *gone, *again)
    assert owed(office) == []
    assert identity(office) == before
    assert told(office) == said
    assert copies(office) == 0
    rows.run(office, "UPDATE follow_up SET agenda = 'Figures'")
    assert owed(office) == [("eva", "REQUEST"), ("ola", "REQUEST")]


@pytest.mark.parametrize("name", MIRRORED)
def test_domain_2_so_it_is_in_two_transactions_within_a_look(office: Store, name: str) -> None:
    before, said = identity(office), told(office)
    gone, again = MIRRORED[name]
    rows.run(office, *gone)
    planning.plan_due(office, PATIENT, datetime.now(UTC))
    for statement in again:
        rows.run(office, statement)
    assert owed(office) == []
    assert (identity(office), told(office)) == (before, said)


@pytest.mark.parametrize("name", MIRRORED)
def test_domain_2_so_it_is_as_long_as_no_cancel_has_left(office: Store, name: str) -> None:
    before = identity(office)
    gone, again = MIRRORED[name]
    rows.run(office, *gone)
    assert owed(office) == [("eva", "CANCEL"), ("ola", "CANCEL")]
    rows.run(office, *again)
    assert owed(office) == []
    after = identity(office)
    assert after[-4:] == before[-4:], "rows, and what they said"
    assert after[-5] == before[-5], "tokens"
    assert (after[0][0], *after[0][2:4]) == (before[0][0], *before[0][2:4])
    events = [event for event, _ in told(office)]
    again_told = ("deleted", "created") if DELETE in gone else ("removed", "added")
    assert [events.count(one) for one in again_told] == ([1, 2] if DELETE in gone else [4, 8])


def test_domain_2_night_after_night(office: Store) -> None:
    before, said = identity(office), told(office)
    for _ in range(3):
        rows.run(office, DELETE, M1, *PEOPLE)
        assert owed(office) == []
    rows.run(office, DELETE, M1, *PEOPLE, DELETE, M1, *PEOPLE)
    assert owed(office) == []
    assert (identity(office), told(office)) == (before, said)


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ("UPDATE follow_up SET title = 'Start'", {"ola": 1, "per": 9}),
        (
            "UPDATE follow_up SET start_at = '2027-03-03 08:00:00', end_at = '2027-03-03 09:00:00'",
            {"ola": 6, "per": 6},
        ),
    ],
)
def test_domain_2_what_differs_is_an_update(
    office: Store, change: str, codes: dict[str, int]
) -> None:
    rows.run(office, DELETE, M1, *PEOPLE, change)
    assert owed(office) == [("eva", "REQUEST"), ("ola", "REQUEST")]
    assert acting.codes(office).items() >= codes.items()
    assert [event for event, _ in told(office) if event in ("created", "changed", "added")] == [
        "created",
        *["added"] * 4,
        "changed",
    ]
    with office.read() as connection:
        sequences = {one.letter.sequence for one in letters.pending(connection)}
    assert sequences == {1 if codes["ola"] == 6 else 0}


def test_domain_3_who_is_left_out_loses_it_and_nobody_else(office: Store) -> None:
    rows.run(office, DELETE, M1, EVA, PER, ROOM)
    assert owed(office) == [("ola", "CANCEL")]
    assert acting.codes(office) == {"eva@other.example": 5, "per": 9, "room1": 1}
    assert told(office)[-2][0] == "removed"
    rows.run(office, OLA)
    assert owed(office) == []
    assert acting.codes(office)["ola"] == 1


def test_domain_3_who_comes_instead_is_somebody_else(office: Store) -> None:
    """Never is one's answer another's."""
    rows.run(office, "INSERT INTO person (key, name) VALUES ('eli', 'Eli')")
    rows.run(
        office,
        "INSERT INTO person_email (person, position, address) VALUES ('eli', 0, 'eli@ext.example')",
    )
    rows.run(office, DELETE, M1, OLA.replace("'ola'", "'eli'"), PER.replace("'per'", "'nina'"))
    assert owed(office) == [("eli", "REQUEST"), ("eva", "CANCEL"), ("ola", "CANCEL")]
    assert acting.codes(office) == {"eli": 5, "nina": 5}


def test_domain_2_once_the_cancels_left_it_begins_anew(office: Store) -> None:
    [uid, *_], *_ = identity(office)
    rows.run(office, DELETE)
    owed(office)
    acting.send(office)
    rows.run(office, M1, *PEOPLE)
    assert owed(office) == [("eva", "REQUEST"), ("ola", "REQUEST")]
    assert acting.codes(office) == {"ola": 5, "per": 5, "eva@other.example": 5, "room1": 1}
    [another, *_], *_ = identity(office)
    assert another != uid
    assert copies(office) == 0


def test_domain_2_who_was_told_is_asked_again_and_the_others_stand(office: Store) -> None:
    """One CANCEL of two has left: the entry goes on, with a higher SEQUENCE where it went."""
    rows.run(office, DELETE)
    owed(office)
    assert send_one(office) == "ola@ext.example"
    rows.run(office, M1, *PEOPLE)
    assert owed(office) == [("ola", "REQUEST")]
    assert acting.codes(office) == {"ola": 5, "per": 9, "eva@other.example": 5, "room1": 1}
    acting.send(office)
    rows.run(office, DELETE_ROWS + " WHERE person = 'ola'")
    owed(office)
    acting.send(office)
    rows.run(office, OLA)
    assert owed(office) == [("ola", "REQUEST")]
    assert acting.codes(office)["ola"] == 5


def send_one(store: Store) -> str:
    """The first letter that waits leaves. Returns to whom."""
    with store.write() as connection:
        [one] = claims.take(connection, "a", acting.NOW + acting.HOUR, 1)
        sent = Settlement(one.id, LetterState.SENT, True, Delivery.SENT)
        claims.settle(connection, [sent], [], "a", acting.NOW)
    return one.letter.address


def test_domain_2_what_a_person_deleted_does_not_come_back(office: Store) -> None:
    """Everybody was told, and the key is used again."""
    crm = Actor(Access.CRM, name="crm")
    acting.do(office, crm, lambda here: recording.delete(here, "m1"))
    acting.owed(office)
    acting.send(office)
    recording.forget(office)
    rows.run(office, M1, *PEOPLE)
    assert owed(office) == [("eva", "REQUEST"), ("ola", "REQUEST")]
    assert acting.codes(office)["ola"] == 5


@pytest.mark.parametrize("status", [1, 5, 9])
def test_domain_3_a_status_that_is_written_anew_counts(office: Store, status: int) -> None:
    rows.run(
        office,
        DELETE,
        M1,
        "INSERT INTO participant (follow_up, person, email_invite, set_status)"
        f" VALUES ('m1', 'ola', TRUE, {status})",
        EVA,
        PER,
    )
    assert owed(office) == []
    assert acting.codes(office)["ola"] == status
    with office.read() as connection:
        [ola] = [one for one in followups.members(connection, "m1") if one.key == "ola"]
    assert (ola.standings[None] == SAID) is (status == 1), "what he said himself stays his"


def test_domain_6_so_it_is_of_a_series_and_the_answers_to_its_dates(store: Store) -> None:
    moved = {
        "original_start": "2027-03-09T09:00:00",
        "start": "2027-03-09T11:00:00",
        "end": "2027-03-09T12:00:00",
    }
    acting.begin(store, acting.SERIES | {"instances": [moved]})
    date = acting.NOW.replace(month=3, day=16)
    with store.write() as connection:
        [ola] = followups.members(connection, "m1")
        followups.write_standing(connection, ola.id, None, SAID, 1)
        own = Standing(Reply.DECLINED, seen=True)
        followups.write_standing(connection, ola.id, date, own, None)
    before, said = identity(store), told(store)
    anew = (
        M1.replace("timezone)", "timezone, rrule)").replace(
            "'Europe/Oslo')", "'Europe/Oslo', 'FREQ=WEEKLY;COUNT=4')"
        ),
        "INSERT INTO follow_up_date (follow_up, original_start, start_at, end_at) VALUES ('m1',"
        " '2027-03-09 08:00:00', '2027-03-09 10:00:00', '2027-03-09 11:00:00')",
    )
    rows.run(store, DELETE, *anew, OLA)
    assert owed(store) == []
    assert (identity(store), told(store)) == (before, said)
    rows.run(store, "DELETE FROM follow_up_date", anew[1])
    assert owed(store) == []
    assert identity(store)[1:] == before[1:]
    rows.run(store, DELETE, anew[0], OLA)
    assert owed(store) == [("ola", "REQUEST")], "the date is at its usual hour again"
    assert told(store)[-1][0] == "queued"


def test_domain_3_an_answer_before_anybody_looked_is_kept(office: Store) -> None:
    """The new row is his already, for whoever sees it."""
    rows.run(office, DELETE, M1, *PEOPLE)
    with office.read() as connection:
        [per] = [one.id for one in followups.members(connection, "m1") if one.key == "per"]
    acting.do(
        office,
        acting.PER,
        lambda here: answering.answer(here, per, answering.Said(Reply.ACCEPTED)),
    )
    assert owed(office) == []
    assert acting.codes(office) == {"ola": 1, "per": 1, "eva@other.example": 5, "room1": 1}


def test_domain_3_a_mail_finds_the_row_before_anybody_looked(office: Store) -> None:
    rows.run(office, DELETE, M1, *PEOPLE)
    with office.write() as connection:
        query = sa.select(invitation.c.token).where(invitation.c.address == "ola@ext.example")
        keys = facts.Keys(tokens=(connection.execute(query).scalar_one(),))
        site = Site("Europe/Oslo", "en")
        [found] = rows_of_messages.find(connection, [keys], site)
    [row] = found.rows
    assert (row.key, row.live, row.standing) == ("ola", True, SAID)
    assert owed(office) == []


@pytest.mark.parametrize("name", MIRRORED)
def test_domain_9_what_waits_for_a_person_goes_on_waiting(office: Store, name: str) -> None:
    """What he asked for, whom he sent instead, and from where he writes is not forgotten."""
    with office.write() as connection:
        by_key = {one.key: one.id for one in followups.members(connection, "m1")}
        ola, eva = by_key["ola"], by_key["eva@other.example"]
        asked = {"participant": ola, "proposed_start": "2027-03-03T08:00:00Z", "comment": "later"}
        connection.execute(sa.insert(schema.proposal), asked)
        sent = {"participant": eva, "delegate": ola}
        connection.execute(sa.insert(schema.delegation), sent)
        learned = {"participant": ola, "address": "o@home.example", "plain": "o@home.example"}
        connection.execute(sa.insert(schema.known_address), learned)
        deciding.follow(connection, ["m1"], acting.NOW)
    before = hanging(office)
    assert [len(found) for found in before] == [1, 1, 1, 1]
    gone, again = MIRRORED[name]
    for _ in range(2):
        rows.run(office, *gone, *again)
        acting.owed(office)
        assert hanging(office) == before


def hanging(store: Store) -> list[list[tuple[Any, ...]]]:
    tables = schema.proposal, schema.delegation, schema.known_address
    with store.read() as connection:
        found = [[tuple(one) for one in connection.execute(sa.select(table))] for table in tables]
        decided = connection.execute(sa.select(schema_domain.decision))
        waits = [tuple(one) for one in decided if one.kind == "proposal" and not one.closed_at]
    return [*found, waits]


@pytest.mark.parametrize("between", [False, True])
def test_domain_10_fifty_of_fifty_are_mirrored_and_the_brake_lets_go(
    store: Store, between: bool
) -> None:
    keys = [f"m{number:02}" for number in range(50)]
    many = [acting.MEETING | {"key": key} for key in keys]
    acting.begin(store, many[0])
    for one in many[1:]:
        acting.begin(store, one)
    with store.write() as connection:
        for member in followups.members(connection):
            followups.write_standing(connection, member.id, None, SAID, 1)
    anew = [one.replace("'m1'", f"'{key}'") for key in keys for one in (M1, OLA)]
    rows.run(store, DELETE)
    if between:
        assert owed(store) == [("ola", "CANCEL")] * 50
    rows.run(store, *anew)
    with store.read() as connection:
        assert marks.planned_before(connection, keys) == 50
    assert owed(store) == []
    assert set(_codes(store)) == {1}
    assert copies(store) == 0


def _codes(store: Store) -> Sequence[int | None]:
    with store.read() as connection:
        found = [one.code for one in followups.members(connection)]
    assert len(found) == 50
    return found


def codes(store: Store, key: str = "m1") -> dict[str | None, int | None]:
    with store.read() as connection:
        return {member.key: member.code for member in followups.members(connection, key)}


def test_two_spellings_of_one_address_stop_nobody(office: Store) -> None:
    """The first is who it was; the other one is somebody new, as it would be without a mirror."""
    again = [row.replace("'m1'", "'m2'") for row in (M1, OLA)]
    rows.run(office, DELETE_ROWS, OLA, PER, EVA, EVA.replace("eva@", "Eva@"), *again)
    owed(office)
    assert rows.marked(office) == []
    assert codes(office)["ola"] == 1
    assert codes(office, "m2") == {"ola": 5}


def test_a_token_that_somebody_else_has_now_stops_nobody(office: Store) -> None:
    rows.run(office, "UPDATE participant SET given_token = 'ola-token' WHERE person = 'ola'")
    rows.run(
        office,
        DELETE_ROWS,
        OLA,
        PER,
        "UPDATE participant SET given_token = 'ola-token' WHERE associate = 'per'",
        *[row.replace("'m1'", "'m2'") for row in (M1, OLA)],
    )
    owed(office)
    assert rows.marked(office) == []
    assert codes(office, "m2") == {"ola": 5}


def test_what_hangs_on_a_new_row_already_keeps_it_new(office: Store) -> None:
    rows.run(office, DELETE_ROWS, *PEOPLE)
    with office.write() as connection:
        new = {member.key: member.id for member in followups.members(connection, "m1")}
        learned = {
            "participant": new["ola"],
            "address": "o@home.example",
            "plain": "o@home.example",
        }
        connection.execute(sa.insert(schema.known_address), learned)
    owed(office)
    assert rows.marked(office) == []
    assert codes(office)["per"] == 9


@pytest.mark.parametrize("is_renamed", [True, False])
def test_answers_never_come_to_another_follow_up(office: Store, *, is_renamed: bool) -> None:
    """One that was never planned, and of which no copy is kept, is no other than a new one."""
    if is_renamed:
        rows.run(
            office,
            DELETE_ROWS,
            "UPDATE follow_up SET key = 'm2' WHERE key = 'm1'",
            M1.replace("Kick-off", "Quite another"),
            OLA,
        )
    elif office.is_sqlite:  # it deletes without its trigger
        rows.run(office, M1.replace("INSERT", "INSERT OR REPLACE"), OLA)
    else:
        rows.run(office, DELETE, M1, OLA, "DELETE FROM deleted_follow_up")
    owes = owed(office)
    assert codes(office) == {"ola": 5}
    assert {method for who, method in owes if who == "ola"} == {"CANCEL", "REQUEST"}


def test_answers_in_one_batch_find_their_rows(office: Store) -> None:
    """The first brings everybody's row back, which the second named by its new number."""
    with office.read() as connection:
        uid = connection.execute(sa.select(schema.follow_up.c.uid)).scalar_one()
        eva = invitation.c.address == "eva@other.example"
        token = connection.execute(sa.select(invitation.c.token).where(eva)).scalar_one()
    rows.run(office, DELETE, M1, *PEOPLE)
    by_token = facts.Keys(tokens=(token,))
    by_address = facts.Keys(uids=(uid,), addresses=("ola@ext.example",))
    with office.write() as connection:
        lookups = rows_of_messages.find(
            connection, [by_token, by_address], Site("Europe/Oslo", "en")
        )
    assert [[row.key for row in lookup.rows] for lookup in lookups] == [
        ["eva@other.example"],
        ["ola"],
    ]


def test_who_was_erased_does_not_come_back(office: Store) -> None:
    rows.run(office, "DELETE FROM person WHERE key = 'ola'")
    owed(office)
    acting.send(office)
    officer = Actor(Access.ADMIN, name="officer")
    acting.do(office, officer, lambda desk: persons.erase(desk, "ola@ext.example"))
    rows.run(
        office,
        "INSERT INTO person (key, name) VALUES ('ola', 'Ola Hansen')",
        "INSERT INTO person_email (person, position, address) VALUES ('ola', 0, 'ola@new.example')",
        OLA,
    )
    owed(office)
    with office.read() as connection:
        [ola] = [one for one in followups.members(connection, "m1") if one.key == "ola"]
    assert ola.standings[None].comment == ""
    assert ola.code == 5


def test_an_alarm_at_the_start_is_said(office: Store) -> None:
    rows.run(office, "UPDATE participant SET alarm_minutes = 15")
    owed(office)
    rows.run(office, DELETE_ROWS, *PEOPLE)
    rows.run(office, "UPDATE participant SET alarm_minutes = 0 WHERE person = 'ola'")
    owed(office)
    query = sa.select(schema.participant.c.alarm_minutes).where(
        schema.participant.c.person == "ola"
    )
    with office.read() as connection:
        assert connection.execute(query).scalar_one() == 0
