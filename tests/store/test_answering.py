"""What people say of a row in the CRM itself: answer, seen, toggle, out of the diary, acknowledge
(domain.md §3 and §4), on both databases.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway import status
from gateway.actions import answering, assigning, desk, planning
from gateway.actions.answering import Own, Said
from gateway.actions.desk import Desk
from gateway.errors import Forbidden, GatewayError, InputError, NotFound, Refused
from gateway.inbound import process
from gateway.inbound.process import Received
from gateway.model import Access, Actor, Channel, Method, Progress, Reply, Role, Standing
from gateway.status import Status
from gateway.store import followups, journal, outbox, parties, schema, schema_letters
from gateway.store.engine import Store
from gateway.store.followups import Member
from tests.store import rows

SETTINGS = configuration.load(
    overrides={"mail": {"address": "invites@crm.example", "language": "en"}}
)
KARI = Actor(Access.USER, "kari", "kari")
PER = Actor(Access.USER, "per", "per", Channel.PAGE)
NINA = Actor(Access.USER, "nina", "nina")
CRM = Actor(Access.CRM, name="office")
PER_BY_CRM = Actor(Access.CRM, "per", "office")
ACCEPT, DECLINE, MAYBE = (
    Said(reply) for reply in (Reply.ACCEPTED, Reply.DECLINED, Reply.TENTATIVE)
)
MORE = (
    "INSERT INTO associate (key, name, email) VALUES ('nina', 'Nina', 'nina@crm.example')",
    "INSERT INTO participant (follow_up, resource) VALUES ('m1', 'room1')",
    "INSERT INTO participant (follow_up, associate) VALUES ('m1', 'kari')",
)
WEEKLY = "UPDATE follow_up SET rrule = 'FREQ=WEEKLY;COUNT=4' WHERE key = 'm1'"
SECOND = rows.START + timedelta(weeks=1)


def do(store: Store, actor: Actor, command: Callable[[Desk], object]) -> desk.Outcome[object]:
    return desk.perform(store, SETTINGS, rows.NOW, actor, command)


def answer(store: Store, actor: Actor, key: str, said: Said) -> desk.Outcome[object]:
    number = member(store, key).id
    return do(store, actor, lambda here: answering.answer(here, number, said))


def member(store: Store, key: str) -> Member:
    with store.read() as connection:
        return next(one for one in followups.members(connection, "m1") if one.key == key)


def code(store: Store, key: str) -> int | None:
    with store.read() as connection:
        query = sa.select(schema.participant.c.code).where(
            schema.participant.c.id == member(store, key).id
        )
        number: int | None = connection.execute(query).scalar_one()
    return number


def put(store: Store, key: str, standing: Standing, date: datetime | None = None) -> None:
    """Where the row stands before a test."""
    row = member(store, key)
    shown = None if date is not None else int(status.code(row.role, standing))
    with store.write() as connection:
        followups.write_standing(connection, row.id, date, standing, shown)


def said(store: Store) -> list[tuple[str, str, str, str, str | None, str]]:
    """What the journal says since the planner was there."""
    with store.read() as connection:
        return [
            (one.event, one.before, one.after, one.by, one.channel, one.detail)
            for one in journal.after(connection, 0, follow_up="m1")
            if one.event not in ("added", "queued", "superseded")
            and not one.event.startswith("decision_")
        ]


def plan(store: Store) -> None:
    planning.plan_due(store, SETTINGS, rows.NOW, everything=True)


@pytest.fixture
def office(store: Store) -> Store:
    """Kari's meeting with Ola (by mail), Per of the house, a room, and her own row; planned."""
    rows.begin(store)
    rows.run(store, *MORE)
    plan(store)
    return store


# --- the transition table ---

EVENTS: dict[str, Callable[[Desk, int], None]] = {
    "seen": answering.see,
    "accept": lambda here, number: answering.answer(here, number, ACCEPT),
    "decline": lambda here, number: answering.answer(here, number, DECLINE),
    "tentative": lambda here, number: answering.answer(here, number, MAYBE),
}
TABLE = """
| event      | 5  | 6  | 7  | 8  | 1-3                | 9                  | 10      |
| seen       | 7  | 8  | -  | -  | -                  | -                  | -       |
| accept     | 1  | 1  | 1  | 1  | -                  | 1                  | refused |
| decline    | 9  | 9  | 9  | 9  | 9                  | -                  | refused |
| tentative  | 7  | 8  | -  | -  | 7, or 8 if `moved` | 7, or 8 if `moved` | refused |
"""
OF_ASSIGNED = {"5": "11", "7": "12", "9": "13"}
"""11 to 13 mirror 5, 7 and 9; a move has no code of its own (domain.md §4)."""


def standings(role: Role) -> list[tuple[str, Standing]]:
    """Every standing there is, with its column of the table."""
    made = list[tuple[str, Standing]]()
    for reply, seen, moved, cancelled, progress in product(
        Reply, (False, True), (False, True), (False, True), Progress
    ):
        if reply is not Reply.ACCEPTED and progress is not Progress.NOT_STARTED:
            continue
        standing = Standing(
            reply, seen or reply is not Reply.NEEDS_ACTION, moved, cancelled, progress
        )
        number = int(status.code(Role.INVITED, standing))
        made.append(("1-3" if number <= 3 else str(number), standing))
    return made


def expected(event: str, column: str, before: Status, standing: Standing) -> int | None:
    """What the table says, by hand; None: refused."""
    header, *lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.strip().splitlines()
    ]
    line = next(line for line in lines if line[0] == event)
    cell = line[header.index(column)]
    if cell == "refused":
        return None
    if cell == "-":
        return int(before)
    return 8 if "8 if `moved`" in cell and standing.moved else int(cell.split(",")[0])


@pytest.mark.parametrize("event", EVENTS)
def test_domain_4_every_cell_of_the_table_by_the_invitees_own_verbs(
    office: Store, event: str
) -> None:
    number = member(office, "per").id
    for column, standing in standings(Role.INVITED):
        put(office, "per", standing)
        before = status.code(Role.INVITED, standing)
        wanted = expected(event, column, before, standing)
        try:
            do(office, PER, lambda here: EVENTS[event](here, number))
        except Refused:
            assert wanted is None, (column, standing)
        else:
            assert code(office, "per") == wanted, (column, standing)


@pytest.mark.parametrize("event", EVENTS)
def test_domain_4_an_assignment_mirrors_the_table(office: Store, event: str) -> None:
    rows.run(office, "UPDATE follow_up SET owner = 'per', assigned_by = 'kari' WHERE key = 'm1'")
    number = member(office, "per").id
    for column, standing in standings(Role.ASSIGNED):
        put(office, "per", standing)
        wanted = expected(
            event, column, status.code(Role.INVITED, standing), replace(standing, moved=False)
        )
        try:
            do(office, PER, lambda here: EVENTS[event](here, number))
        except Refused:
            assert wanted is None, (column, standing)
        else:
            mirrored = {5: 11, 6: 11, 7: 12, 8: 12, 9: 13}.get(wanted or 0, wanted)
            assert code(office, "per") == mirrored, (column, standing)


# --- the own answer ---


def test_domain_4_an_answer_keeps_the_words_who_and_by_which_way(office: Store) -> None:
    answer(office, PER, "per", Said(Reply.DECLINED, "I am ill"))
    kept = member(office, "per").standings[None]
    assert (kept.reply, kept.comment, kept.channel, kept.address, kept.replied_at) == (
        Reply.DECLINED,
        "I am ill",
        Channel.PAGE,
        "per",
        rows.NOW,
    )
    assert said(office) == [("applied", "invitation", "declined", "per", "page", "I am ill")]


def test_domain_4_on_behalf_of_an_associate_the_crm_is_named(office: Store) -> None:
    answer(office, PER_BY_CRM, "per", ACCEPT)
    assert said(office) == [("applied", "invitation", "not_started", "per via office", "api", "")]


def test_domain_4_the_same_answer_again_says_nothing(office: Store) -> None:
    answer(office, PER, "per", ACCEPT)
    answer(office, PER, "per", ACCEPT)
    assert len(said(office)) == 1


def test_domain_4_what_the_crm_was_told_counts_as_the_invitees_word(office: Store) -> None:
    answer(office, CRM, "ola", Said(Reply.ACCEPTED, "by our portal"))
    kept = member(office, "ola").standings[None]
    assert (kept.channel, kept.address, kept.dtstamp) == (Channel.API, "office", rows.NOW)


def test_domain_4_it_is_newer_than_a_mail_from_a_clock_that_is_ahead(office: Store) -> None:
    ahead = rows.NOW + timedelta(minutes=9)
    put(office, "per", Standing(Reply.ACCEPTED, True, sequence=2, dtstamp=ahead, arrived=ahead))
    answer(office, PER, "per", DECLINE)
    kept = member(office, "per").standings[None]
    assert (kept.reply, kept.sequence, kept.dtstamp) == (Reply.DECLINED, 2, ahead)


def test_domain_4_a_letter_that_waits_does_not_ask_again_who_has_answered(office: Store) -> None:
    with office.read() as connection:
        [before] = outbox.pending(connection)
    outcome = answer(office, CRM, "ola", ACCEPT)
    assert [one.letter.reply for one in outcome.letters.queued] == [Reply.ACCEPTED]
    plan(office)
    with office.read() as connection:
        [letter] = outbox.pending(connection)
    assert before.letter.reply is Reply.NEEDS_ACTION
    assert (letter.letter.method, letter.letter.reply) == (Method.REQUEST, Reply.ACCEPTED)


def mailed(store: Store, partstat: str, written: datetime, arrived: datetime) -> None:
    """Ola's answer by mail, of the DTSTAMP `written`."""
    with store.read() as connection:
        query = sa.select(schema_letters.invitation.c.token, schema_letters.invitation.c.uid)
        token, uid = connection.execute(query).one()
    raw = (
        f"From: ola@ext.example\r\nTo: invites+{token}@crm.example\r\nSubject: Re\r\n"
        f"Message-ID: <{partstat}.{written:%H%M}@ext.example>\r\nMIME-Version: 1.0\r\n"
        "Content-Type: text/calendar; charset=utf-8; method=REPLY\r\n\r\n"
        f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//E//EN\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:{written:%Y%m%dT%H%M%SZ}\r\nSEQUENCE:0\r\n"
        f"ATTENDEE;PARTSTAT={partstat}:mailto:ola@ext.example\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    processor = process.Processor(store, SETTINGS)
    [_] = processor.receive([Received(raw.encode(), arrived, len(raw))])


@pytest.mark.parametrize(
    ("written", "code_after"),
    [(-timedelta(minutes=30), 1), (timedelta(minutes=30), 9)],
)
def test_domain_4_by_mail_and_in_the_crm_the_answer_that_is_written_last_counts(
    office: Store, written: timedelta, code_after: int
) -> None:
    sent = {"state": "sent", "dtstamp": rows.NOW - timedelta(days=1)}
    with office.write() as connection:
        connection.execute(sa.update(schema_letters.outbox).values(sent))
        edition = sa.select(schema_letters.outbox.c.edition).scalar_subquery()
        held = {"sent_edition": edition, "sent_method": "REQUEST", "sent_sequence": 0}
        connection.execute(sa.update(schema_letters.invitation).values(held))
    answer(office, CRM, "ola", ACCEPT)
    arrived = rows.NOW + timedelta(hours=1)
    mailed(office, "DECLINED", rows.NOW + written, arrived)
    assert code(office, "ola") == code_after


@pytest.mark.parametrize("reply", [Reply.NEEDS_ACTION, Reply.DELEGATED])
def test_domain_4_what_is_no_answer_is_refused(office: Store, reply: Reply) -> None:
    with pytest.raises(InputError, match="is none of accepted, declined, tentative"):
        answer(office, PER, "per", Said(reply))


@pytest.mark.parametrize(
    ("key", "words"),
    [("kari", "never asked"), ("room1", "a resource cannot answer")],
)
def test_domain_4_owner_and_resource_are_never_asked(office: Store, key: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        answer(office, CRM, key, ACCEPT)


def test_domain_4_who_was_removed_answers_no_more(office: Store) -> None:
    rows.run(office, "UPDATE participant SET removed = TRUE WHERE associate = 'per'")
    with pytest.raises(Refused, match="takes part no more"):
        answer(office, PER, "per", ACCEPT)


@pytest.mark.parametrize(
    ("actor", "key", "error"),
    [
        (NINA, "per", Forbidden),
        (PER, "ola", Forbidden),
        (Actor(Access.READ, name="report"), "per", Forbidden),
        (Actor(Access.ADMIN, name="root"), "per", Forbidden),
    ],
)
def test_domain_3_nobody_else_answers(
    office: Store, actor: Actor, key: str, error: type[GatewayError]
) -> None:
    with pytest.raises(error):
        answer(office, actor, key, ACCEPT)


def test_a_private_row_is_not_there_for_others(office: Store) -> None:
    rows.run(office, "UPDATE follow_up SET private = TRUE WHERE key = 'm1'")
    number = member(office, "per").id
    for named in (number, 10**6):
        with pytest.raises(NotFound, match=f"there is no participant {named}"):
            do(office, NINA, lambda here, named=named: answering.see(here, named))  # type: ignore[misc]


# --- what was changed a moment ago ---

LATER = "UPDATE follow_up SET start_at = '2026-12-01 10:00:00', end_at = '2026-12-01 11:00:00'"
OFF = "UPDATE follow_up SET cancelled = TRUE"
ON = "UPDATE follow_up SET cancelled = FALSE"


def waiting(store: Store) -> list[str]:
    with store.read() as connection:
        return [one.letter.method.value for one in outbox.pending(connection)]


def test_domain_4_an_answer_to_a_time_that_nobody_was_told_yet_stays(office: Store) -> None:
    answer(office, PER, "per", DECLINE)
    rows.run(office, f"{LATER} WHERE key = 'm1'")
    answer(office, PER, "per", ACCEPT)
    plan(office)
    assert code(office, "per") == 1
    rows.run(office, f"{LATER.replace('10:', '12:').replace('11:', '13:')} WHERE key = 'm1'")
    plan(office)
    assert code(office, "per") == 6


def test_domain_4_nobody_answers_what_was_cancelled_a_moment_ago(office: Store) -> None:
    before = waiting(office)
    rows.run(office, f"{OFF} WHERE key = 'm1'")
    number = member(office, "per").id
    with pytest.raises(Refused, match="reinstate it first"):
        answer(office, PER, "per", ACCEPT)
    with pytest.raises(Refused, match="reinstate it first"):
        do(office, KARI, lambda here: answering.toggle(here, number))
    assert waiting(office) == before
    rows.run(office, f"{ON} WHERE key = 'm1'")
    plan(office)
    assert (code(office, "per"), waiting(office)) == (5, before)


def test_domain_4_what_was_reinstated_a_moment_ago_is_open(office: Store) -> None:
    rows.run(office, f"{OFF} WHERE key = 'm1'")
    plan(office)
    assert code(office, "per") == 10
    rows.run(office, f"{ON} WHERE key = 'm1'")
    answer(office, PER, "per", ACCEPT)
    plan(office)
    assert code(office, "per") == 1


def test_domain_6_an_answer_to_a_date_that_was_just_moved_stays(office: Store) -> None:
    rows.run(office, WEEKLY)
    plan(office)
    rows.run(
        office,
        "INSERT INTO follow_up_date (follow_up, original_start, start_at) VALUES"
        f" ('m1', '{SECOND:%Y-%m-%d %H:%M:%S}', '{SECOND:%Y-%m-%d} 12:00:00')",
    )
    answer(office, PER, "per", Said(Reply.ACCEPTED, instance=SECOND))
    plan(office)
    assert member(office, "per").standings[SECOND].reply is Reply.ACCEPTED


def test_an_answer_does_not_hurry_what_asks_nobody_again(office: Store) -> None:
    with office.write() as connection:
        connection.execute(sa.delete(schema_letters.outbox))
    rows.run(office, "UPDATE follow_up SET agenda = 'Coffee' WHERE key = 'm1'")
    answer(office, PER, "per", ACCEPT)
    assert waiting(office) == []


# --- dates of a series ---


def test_domain_6_one_date_is_answered_by_itself(office: Store) -> None:
    rows.run(office, WEEKLY)
    plan(office)
    answer(office, PER, "per", ACCEPT)
    answer(office, PER, "per", Said(Reply.DECLINED, "away", SECOND))
    row = member(office, "per")
    assert (row.standings[None].reply, row.standings[SECOND].reply) == (
        Reply.ACCEPTED,
        Reply.DECLINED,
    )
    assert code(office, "per") == 1
    assert said(office)[-1] == ("applied", "not_started", "declined", "per", "page", "away")


@pytest.mark.parametrize(
    ("statement", "instance", "error", "words"),
    [
        (WEEKLY, rows.START + timedelta(days=1), InputError, "is no date of this series"),
        ("DELETE FROM change_mark", SECOND, InputError, "not for a series"),
    ],
)
def test_domain_6_only_a_date_that_there_is_can_be_answered(
    office: Store, statement: str, instance: datetime, error: type[GatewayError], words: str
) -> None:
    rows.run(office, statement)
    with pytest.raises(error, match=words):
        answer(office, PER, "per", Said(Reply.ACCEPTED, instance=instance))


def test_domain_4_a_cancelled_date_is_refused(office: Store) -> None:
    rows.run(
        office,
        WEEKLY,
        "INSERT INTO follow_up_date (follow_up, original_start, cancelled)"
        f" VALUES ('m1', '{SECOND:%Y-%m-%d %H:%M:%S}', TRUE)",
    )
    with pytest.raises(Refused, match="this date is cancelled"):
        answer(office, PER, "per", Said(Reply.ACCEPTED, instance=SECOND))


def test_domain_4_closing_one_date_takes_no_answer_to_the_series_away(office: Store) -> None:
    rows.run(office, WEEKLY)
    answer(office, PER, "per", ACCEPT)
    number = member(office, "per").id
    do(office, PER, lambda here: answering.see(here, number, SECOND))
    assert set(member(office, "per").standings) == {None}


# --- seen ---


def test_domain_4_closing_the_invitation_is_seen_and_said_once(office: Store) -> None:
    number = member(office, "per").id
    for _ in range(2):
        do(office, PER, lambda here: answering.see(here, number))
    assert said(office) == [("seen", "invitation", "seen", "per", "page", "")]


def test_domain_4_nobody_sees_it_for_somebody_else(office: Store) -> None:
    number = member(office, "per").id
    with pytest.raises(Forbidden, match="only whose row it is"):
        do(office, KARI, lambda here: answering.see(here, number))


# --- by hand ---


def test_domain_4_the_owners_click_goes_round_and_says_by_hand(office: Store) -> None:
    number = member(office, "ola").id
    codes = list[int | None]()
    for _ in range(3):
        outcome = do(office, KARI, lambda here: answering.toggle(here, number))
        assert outcome.letters.count(Method.CANCEL) == 0
        codes.append(code(office, "ola"))
    assert codes == [1, 9, 5]
    assert [entry[:5] for entry in said(office)] == [
        ("toggled", "invitation", "not_started", "kari", "hand"),
        ("toggled", "not_started", "declined", "kari", "hand"),
        ("toggled", "declined", "invitation", "kari", "hand"),
    ]


def test_domain_4_every_status_is_toggled_or_refused(office: Store) -> None:
    number = member(office, "per").id
    for column, standing in standings(Role.INVITED):
        put(office, "per", standing)
        if column == "10":
            with pytest.raises(Refused, match="reinstate it first"):
                do(office, KARI, lambda here: answering.toggle(here, number))
            continue
        do(office, KARI, lambda here: answering.toggle(here, number))
        kept = member(office, "per").standings[None]
        assert kept.reply is status.clicked(standing.reply)
        assert kept.seen is (kept.reply is not Reply.NEEDS_ACTION)
        unseen = 6 if standing.moved else 5
        after = {Reply.ACCEPTED: (1, 2, 3), Reply.DECLINED: (9,)}.get(kept.reply, (unseen,))
        assert code(office, "per") in after


def test_domain_4_a_toggle_owes_no_mail(office: Store) -> None:
    with office.write() as connection:
        connection.execute(sa.update(schema_letters.outbox).values(state="sent"))
        connection.execute(
            sa.update(schema_letters.invitation).values(
                sent_edition=sa.select(schema_letters.outbox.c.edition).scalar_subquery(),
                sent_method="REQUEST",
                sent_sequence=0,
                top_sequence=0,
            )
        )
    number = member(office, "ola").id
    for _ in range(3):
        outcome = do(office, KARI, lambda here: answering.toggle(here, number))
        assert outcome.letters.queued == ()
        plan(office)
        with office.read() as connection:
            assert outbox.pending(connection) == []


def test_domain_4_a_toggle_leaves_the_order_of_answers_and_a_real_answer_overrides_it(
    office: Store,
) -> None:
    key = {"sequence": 1, "dtstamp": rows.NOW, "arrived": rows.NOW}
    put(office, "per", Standing(Reply.ACCEPTED, True, **key))  # type: ignore[arg-type]
    number = member(office, "per").id
    do(office, KARI, lambda here: answering.toggle(here, number))
    kept = member(office, "per").standings[None]
    assert (kept.reply, kept.sequence, kept.dtstamp, kept.arrived) == (
        Reply.DECLINED,
        1,
        rows.NOW,
        rows.NOW,
    )
    answer(office, PER, "per", ACCEPT)
    assert code(office, "per") == 1


def test_domain_4_an_own_answer_takes_the_place_of_the_same_by_hand(office: Store) -> None:
    number = member(office, "per").id
    do(office, KARI, lambda here: answering.toggle(here, number))
    answer(office, PER, "per", ACCEPT)
    assert member(office, "per").standings[None].channel is Channel.PAGE


def test_domain_4_what_the_owner_answers_for_somebody_is_by_hand(office: Store) -> None:
    answer(office, KARI, "ola", Said(Reply.DECLINED, "he phoned"))
    kept = member(office, "ola").standings[None]
    assert (kept.channel, kept.address, kept.comment, kept.dtstamp) == (
        Channel.HAND,
        "kari",
        "he phoned",
        None,
    )


def test_domain_4_a_toggle_is_refused_while_cancelled(office: Store) -> None:
    put(office, "ola", Standing(cancelled=True))
    number = member(office, "ola").id
    with pytest.raises(Refused, match="reinstate it first"):
        do(office, KARI, lambda here: answering.toggle(here, number))


def test_domain_4_only_owner_and_assigner_toggle(office: Store) -> None:
    number = member(office, "per").id
    for actor in (PER, NINA):
        with pytest.raises(Forbidden):
            do(office, actor, lambda here: answering.toggle(here, number))


# --- out of the diary, declines ---


def test_domain_4_taken_out_of_the_own_diary_is_declined(office: Store) -> None:
    number = member(office, "per").id
    with pytest.raises(Refused, match="it was not accepted"):
        do(office, PER, lambda here: answering.take_out(here, number))
    answer(office, PER, "per", ACCEPT)
    do(office, PER, lambda here: answering.take_out(here, number))
    assert code(office, "per") == 9
    with pytest.raises(Forbidden):
        do(office, KARI, lambda here: answering.take_out(here, number))


@pytest.mark.parametrize(("days", "is_open"), [(0, True), (1, True), (2, False)])
def test_domain_4_a_decline_can_be_taken_up_until_the_day_after(
    office: Store, days: int, is_open: bool
) -> None:
    answer(office, PER, "per", DECLINE)
    number, later = member(office, "per").id, rows.START + timedelta(days=days)
    command: Callable[[Desk], None] = lambda here: answering.answer(here, number, ACCEPT)  # noqa: E731
    if is_open:
        desk.perform(office, SETTINGS, later, PER, command)
        assert code(office, "per") == 1
    else:
        with pytest.raises(Refused, match="over since"):
            desk.perform(office, SETTINGS, later, PER, command)


def test_domain_7_a_decline_is_acknowledged_once(office: Store) -> None:
    number = member(office, "per").id
    with pytest.raises(Refused, match="Per has not declined"):
        do(office, KARI, lambda here: answering.acknowledge(here, number))
    answer(office, PER, "per", DECLINE)
    for _ in range(2):
        do(office, KARI, lambda here: answering.acknowledge(here, number))
    assert [entry[0] for entry in said(office)] == ["applied", "acknowledged"]


def test_domain_9_acknowledging_closes_the_decision(office: Store) -> None:
    answer(office, PER, "per", DECLINE)
    number = member(office, "per").id
    do(office, KARI, lambda here: answering.acknowledge(here, number))
    with office.read() as connection:
        query = "SELECT closed_by, choice FROM decision WHERE closed_at IS NOT NULL"
        assert connection.exec_driver_sql(query).all() == [("kari", "acknowledge")]


# --- assignment ---


def test_domain_4_who_assigned_it_decides_until_the_assignee_accepts(office: Store) -> None:
    rows.run(office, "UPDATE follow_up SET owner = 'per', assigned_by = 'kari' WHERE key = 'm1'")
    number = member(office, "ola").id
    do(office, KARI, lambda here: answering.toggle(here, number))
    answer(office, PER, "per", ACCEPT)
    with office.read() as connection:
        concerned = parties.of(connection, "m1")
    assert concerned is not None
    assert concerned.accepted
    with pytest.raises(Forbidden):
        do(office, KARI, lambda here: answering.toggle(here, number))
    answer(office, PER, "per", DECLINE)
    assert code(office, "per") == 13
    do(office, KARI, lambda here: answering.toggle(here, number))


def test_domain_4_assigned_seen_declined_assigned_again_accepted_each_by_the_right_person(
    office: Store,
) -> None:
    """11, 12, 13, 11, 1; what Per said of the row goes on being his."""
    do(office, KARI, lambda here: assigning.assign(here, "m1", "per"))
    number, codes = member(office, "per").id, [code(office, "per")]
    do(office, PER, lambda here: answering.see(here, number))
    codes.append(code(office, "per"))
    answer(office, PER, "per", Said(Reply.DECLINED, "no time"))
    codes.append(code(office, "per"))
    with pytest.raises(Forbidden):
        answer(office, NINA, "per", ACCEPT)
    do(office, PER, lambda here: answering.adjust(here, number, Own("high", 15)))
    do(office, KARI, lambda here: assigning.assign(here, "m1", "nina"))
    plan(office)
    with office.read() as connection:
        query = "SELECT priority, alarm_minutes FROM participant WHERE associate = 'nina'"
        assert connection.exec_driver_sql(query).all() == [("", None)]
    codes.append(code(office, "nina"))
    answer(office, NINA, "nina", ACCEPT)
    codes.append(code(office, "nina"))
    assert codes == [11, 12, 13, 11, 1]
    with office.read() as connection:
        entries = journal.after(connection, 0, follow_up="m1")
    answers = [one for one in entries if one.event in ("seen", "applied")]
    assert [(one.by, one.after, one.who) for one in answers] == [
        ("per", "assigned_seen", "associate:per"),
        ("per", "assignment_declined", "associate:per"),
        ("nina", "not_started", ""),
    ]
    told = [one.detail for one in entries if one.event == "added"]
    assert told[-1] == "associate:nina"


# --- the invitee's own ---


def test_domain_3_priority_alarm_and_progress_are_the_invitees_own(office: Store) -> None:
    answer(office, PER, "per", ACCEPT)
    number = member(office, "per").id
    own = Own("high", 15, Progress.STARTED)
    do(office, PER, lambda here: answering.adjust(here, number, own))
    with office.read() as connection:
        query = "SELECT priority, alarm_minutes, code FROM participant WHERE associate = 'per'"
        assert connection.exec_driver_sql(query).all() == [("high", 15, 2)]
    assert [entry[:4] for entry in said(office)[1:]] == [
        ("progress", "not_started", "started", "per"),
        ("adjusted", "", "", "per"),
    ]
    do(office, PER, lambda here: answering.adjust(here, number, Own(alarm_minutes=-1)))
    with office.read() as connection:
        query = "SELECT priority, alarm_minutes FROM participant WHERE associate = 'per'"
        assert connection.exec_driver_sql(query).all() == [("high", None)]
    assert rows.marked(office) == []


def test_domain_3_only_who_accepted_has_a_progress_and_the_owners_is_the_follow_ups(
    office: Store,
) -> None:
    own = Own(progress=Progress.STARTED)
    number, owners = member(office, "per").id, member(office, "kari").id
    with pytest.raises(Refused, match="accept it first"):
        do(office, PER, lambda here: answering.adjust(here, number, own))
    with pytest.raises(Refused, match="change the follow-up's"):
        do(office, KARI, lambda here: answering.adjust(here, owners, own))
    with pytest.raises(Forbidden):
        do(office, NINA, lambda here: answering.adjust(here, number, own))
