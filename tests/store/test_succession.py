"""A row that is given to somebody else begins anew, whether it was ever mailed or not (domain.md
§3), on both databases.
"""

import json
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine

from gateway import settings as configuration
from gateway.actions import load, planning
from gateway.inbound import process
from gateway.model import (
    Channel,
    Delivery,
    Letter,
    LetterState,
    Method,
    Outcome,
    Reply,
    Standing,
)
from gateway.store import (
    braked,
    claims,
    delegations,
    followups,
    journal,
    known,
    outbox,
    proposals,
    schema,
)
from gateway.store.engine import Store
from gateway.store.followups import Member
from gateway.store.outbox import Queued, Settlement
from tests import command
from tests.faults import holdings
from tests.store import rows

MAIL = {"mail": {"address": "invites@crm.example"}}
WITH_MAIL, WITHOUT = configuration.load(overrides=MAIL), configuration.load()
SAID = Standing(
    Reply.DECLINED, seen=True, comment="no time", channel=Channel.HAND, sequence=0, dtstamp=rows.NOW
)


def begin(
    store: Store, who: dict[str, Any], settings: configuration.Settings = WITH_MAIL, **more: Any
) -> None:
    """A series with one participant, who has declined it and accepted one date of it; planned."""
    document = {
        "associates": [
            {"key": "kari", "name": "Kari"},
            {"key": "per", "name": "Per", "email": "per@crm.example"},
            {"key": "kim", "name": "Kim", "email": "kim@crm.example"},
        ],
        "persons": [
            {"key": "ola", "name": "Ola Hansen", "emails": ["ola@ext.example"]},
            {"key": "eva", "name": "Eva Dahl", "emails": ["eva@ext.example", "home@eva.example"]},
            {"key": "ola2", "name": "Ola Hansen", "emails": ["ola@new.example"]},
        ],
        "follow_ups": [
            {
                "key": "m1",
                "owner": "kari",
                "title": "Kick-off",
                "start": "2026-12-01T09:00:00",
                "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=4"},
                "participants": [who | more],
            }
        ],
    }
    with store.write() as connection:
        load.load(connection, document, settings, rows.NOW)
    plan(store, settings)
    with store.write() as connection:
        [member] = followups.members(connection, "m1")
        followups.write_standing(connection, member.id, None, SAID, 9)
        date = rows.START.replace(day=8)
        followups.write_standing(connection, member.id, date, Standing(Reply.ACCEPTED), None)


def plan(store: Store, settings: configuration.Settings = WITH_MAIL) -> None:
    planning.plan_due(store, settings, rows.NOW, everything=True)


def row(store: Store) -> Member:
    with store.read() as connection:
        [member] = followups.members(connection, "m1")
    return member


def events(store: Store, name: str) -> list[str]:
    with store.read() as connection:
        return [one.detail for one in journal.after(connection, 0, 1000) if one.event == name]


OLA, PER = {"person": "ola"}, {"associate": "per"}
BARE_OLA, STRANGER = {"email": "Ola@ext.example"}, {"email": "somebody@ext.example"}
TO_EVA = "person = 'eva', associate = NULL, email = NULL"
GIVEN: dict[str, tuple[dict[str, Any], str]] = {
    "a person": (OLA, TO_EVA),
    "a person for an associate": (PER, TO_EVA),
    "an associate": (PER, "associate = 'kim'"),
    "a bare address of a person": (BARE_OLA, TO_EVA),
    "a bare address for a person": (OLA, "person = NULL, email = 'new@ext.example'"),
}


@pytest.mark.parametrize("account", ["an account", "no account"])
@pytest.mark.parametrize("name", GIVEN)
def test_who_is_given_a_row_that_was_never_mailed_has_said_nothing(
    store: Store, name: str, account: str
) -> None:
    (who, change), settings = GIVEN[name], WITH_MAIL if account == "an account" else WITHOUT
    begin(store, who, settings)
    before = row(store).who
    rows.run(store, f"UPDATE participant SET {change}")
    plan(store, settings)
    after = row(store)
    assert (after.code, after.standings) == (5, {None: Standing()})
    assert events(store, "given") == [f"to {after.who}, from {before}"]
    with store.write() as connection:
        followups.write_standing(connection, after.id, None, SAID, 9)
    rows.run(store, "UPDATE follow_up SET title = 'Another'")
    plan(store, settings)
    assert row(store).standings[None] == SAID


def test_priority_and_alarm_were_the_former_holders(store: Store) -> None:
    begin(store, OLA)
    rows.run(store, "UPDATE participant SET priority = 'high', alarm_minutes = 15")
    plan(store)
    query = "SELECT priority, alarm_minutes FROM participant"
    with store.read() as connection:
        assert connection.exec_driver_sql(query).all() == [("high", 15)]
    rows.run(store, f"UPDATE participant SET {TO_EVA}")
    plan(store)
    with store.read() as connection:
        assert connection.exec_driver_sql(query).all() == [("", None)]


def test_the_journal_goes_on_naming_who_it_was(store: Store) -> None:
    begin(store, OLA, email_invite=True)
    deliver(store)
    for who in ("eva", "ola2", "ola2"):
        rows.run(store, f"UPDATE participant SET person = '{who}'")
        plan(store)
    url = store.url.render_as_string(hide_password=False)
    done = command.run("journal", "m1", "--json", environment={"GATEWAY_STORE__URL": url})
    told = [json.loads(line) for line in done.stdout.splitlines()]
    named = [(one["event"], one["participant"]) for one in told if one["participant"]]
    assert list(dict.fromkeys(name for _, name in named)) == ["ola", "eva", "ola2"]
    assert [name for event, name in named if event == "given"] == ["eva", "ola2"]


THE_SAME: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "another key": (OLA, ("UPDATE person SET key = 'ola9' WHERE key = 'ola'",)),
    "two records put together": (
        OLA,
        (
            "UPDATE person SET name = 'Ola H.' WHERE key = 'ola2'",
            "UPDATE participant SET person = 'ola2'",
            "DELETE FROM person WHERE key = 'ola'",
        ),
    ),
    "another record of his name": (OLA, ("UPDATE participant SET person = 'ola2'",)),
    "another address": (STRANGER, ("UPDATE participant SET email = 'other@ext.example'",)),
    "registered": (STRANGER, (f"UPDATE participant SET {TO_EVA}",)),
    "found in the directory": (BARE_OLA, ("UPDATE participant SET email = NULL, person = 'ola'",)),
    "by his address alone": (
        OLA,
        ("UPDATE participant SET person = NULL, email = 'ola@ext.example'",),
    ),
    "another name": (OLA, ("UPDATE person SET name = 'Ola Berg' WHERE key = 'ola'",)),
}


@pytest.mark.parametrize("name", THE_SAME)
def test_who_is_called_otherwise_has_said_what_he_said(store: Store, name: str) -> None:
    who, statements = THE_SAME[name]
    begin(store, who)
    said = row(store).standings
    rows.run(store, *statements)
    plan(store)
    assert row(store).standings == said
    assert events(store, "given") == []
    assert row(store).planned_for == row(store).who


NAMED = {"email": "siv@far.example", "name": "Berg, Siv", "email_invite": True}
RENAMED = {
    "somebody else": ("email = 'per@far.example', name = 'Per Lie'", True),
    "a person": (TO_EVA + ", name = ''", True),
    "the address put right": ("email = 'siv.berg@far.example'", False),
    "both put right": ("email = 'siv.berg@far.example', name = 'Siv Berg-Dahl Berg'", False),
    "the name put right": ("name = 'Sif Bergh'", False),
    "no name any more": ("email = 'per@far.example', name = ''", False),
}


@pytest.mark.parametrize("name", RENAMED)
def test_of_an_address_that_nobody_knows_the_name_tells(store: Store, name: str) -> None:
    """domain.md §3; what was passed on is nobody's who has the row now."""
    change, is_another = RENAMED[name]
    begin(store, NAMED)
    plan(store)
    deliver(store)
    number = row(store).id
    with store.write() as connection:
        passed_on = Standing(Reply.DELEGATED, seen=True, sequence=0, dtstamp=rows.NOW)
        followups.write_standing(connection, number, None, passed_on, 9)
        new = sa.insert(schema.participant).values(follow_up="m1", email="to@far.example")
        to = connection.execute(new.returning(schema.participant.c.id)).scalar_one()
        delegations.put(connection, number, to, rows.NOW)
    rows.run(store, f"UPDATE participant SET {change} WHERE id = {number}")
    plan(store)
    with store.read() as connection:
        left = delegations.of(connection, "m1")
        [now] = followups.members(connection, ids=[number])
    assert (now.standings[None].reply, bool(left)) == (
        (Reply.NEEDS_ACTION, False) if is_another else (Reply.DELEGATED, True)
    )


def test_what_hangs_on_the_row_is_not_the_next_ones(store: Store) -> None:
    """The token that an earlier system gave, addresses that were learned, a wish for another time,
    and what the brake would put back.
    """
    begin(store, PER, token="abcdefghijklmnopqrstuvwxyz234567")
    member = row(store)
    with store.write() as connection:
        holder = known.Holder(participant=member.id)
        origin = known.Origin("", "", None, rows.NOW)
        known.learn(connection, holder, "per@home.example", origin)
        connection.execute(
            sa.insert(schema.proposal).values(
                participant=member.id, proposed_start="2026-12-02T08:00:00Z", state="open"
            )
        )
        braked.keep_former(connection, [(member.id, None)], 1)
    rows.run(store, "UPDATE participant SET associate = 'kim', email_invite = TRUE")
    plan(store)
    with store.read() as connection:
        assert known.of_rows(connection, [member.id]) == {}
        assert proposals.open(connection) == []
        assert connection.execute(sa.select(schema.former_standing)).all() == []
        [letter] = outbox.pending(connection)
    assert letter.letter.address == "kim@crm.example"
    assert letter.letter.token != member.given_token
    assert row(store).given_token is None


def deliver(store: Store) -> Queued:
    """The only letter leaves."""
    with store.write() as connection:
        [letter] = claims.take(connection, "g1", rows.NOW, 10)
        sent = Settlement(letter.id, LetterState.SENT, True, Delivery.SENT)
        claims.settle(connection, [sent], [], "g1", rows.NOW)
    return letter


def answer(store: Store, letter: Letter) -> Outcome | None:
    """Its reader accepts."""
    asked = holdings.Invitation(
        "REQUEST",
        letter.edition.uid,
        letter.sequence,
        letter.organizer_address,
        letter.message_id,
        "",
        "",
    )
    raw = holdings.answer(asked, letter.address, "ACCEPTED", rows.NOW)
    with time_machine.travel(rows.NOW, tick=False):
        received = process.Received(raw, rows.NOW, len(raw))
        [result] = process.Processor(store, WITH_MAIL).receive([received])
    return result.outcome


@pytest.mark.parametrize("planned", [True, False])
def test_the_former_holder_speaks_for_the_row_no_more(store: Store, planned: bool) -> None:
    """Not even where nobody has his address now; once the row is his again, he does."""
    begin(store, OLA, email_invite=True)
    letter = deliver(store).letter
    rows.run(
        store,
        "UPDATE person_email SET address = 'ola@new.example' WHERE person = 'ola'",
        "UPDATE participant SET person = 'eva'",
    )
    if planned:
        plan(store)
    assert answer(store, letter) is Outcome.HELD
    plan(store)
    assert row(store).standings == {None: Standing()}
    rows.run(
        store,
        "UPDATE person_email SET address = 'ola@ext.example' WHERE person = 'ola'",
        "UPDATE participant SET person = 'ola'",
    )
    plan(store)
    with store.read() as connection:
        [again] = [
            one.letter
            for one in outbox.pending(connection)
            if one.letter.address == "ola@ext.example" and one.letter.method is Method.REQUEST
        ]
    rows.run(store, "UPDATE person_email SET address = 'ola@new.example' WHERE person = 'ola'")
    assert answer(store, again) is Outcome.APPLIED


def test_two_who_share_a_mailbox_are_two(store: Store) -> None:
    begin(store, OLA, email_invite=True)
    deliver(store)
    rows.run(
        store,
        "UPDATE person_email SET address = 'ola@ext.example' WHERE person = 'eva' AND position = 0",
        "UPDATE participant SET person = 'eva'",
    )
    plan(store)
    assert row(store).standings == {None: Standing()}
    with store.read() as connection:
        [again] = outbox.pending(connection)
    assert (again.letter.address_name, again.letter.reply) == ("Eva Dahl", Reply.NEEDS_ACTION)
