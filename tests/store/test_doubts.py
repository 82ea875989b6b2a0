"""A letter that may have arrived is never forgotten (itip.md §2), the invitation at the address of
now is the one that counts, and whoever was taken off is asked anew.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import deliveries, load, planning
from gateway.followups import editions
from gateway.mail import bounce
from gateway.model import Delivery, LetterState, Method, Reply, Standing
from gateway.store import followups, invitations, leases, reports, schema_letters
from gateway.store.engine import Store
from gateway.store.outbox import Queued, Settlement
from gateway.store.pace import Room
from tests.store import rows

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
DATES = ("2026-12-01 08:00:00", "2026-12-08 08:00:00", "2026-12-15 08:00:00")
ELSEWHERE = "another-host/boot/1:77:abcd"


class Office:
    """One meeting with Ola, and a mail server that does what a test says."""

    def __init__(self, store: Store, rule: str = "", date: str = "") -> None:
        self.store, self.now = store, NOW
        ola = {"person": "ola", "email_invite": True}
        ola |= {"original_start": f"{date.replace(' ', 'T')}Z"} if date else {}
        meeting: dict[str, Any] = {
            "key": "m1",
            "owner": "kari",
            "title": "Kick-off",
            "timezone": "UTC",
            "start": "2026-12-01T08:00:00",
            "end": "2026-12-01T09:00:00",
            "participants": [ola],
        }
        meeting |= {"recurrence": {"rrule": rule}} if rule else {}
        document = {
            "associates": [{"key": "kari"}],
            "persons": [{"key": "ola", "name": "Ola", "emails": ["ola@a.example"]}],
            "follow_ups": [meeting],
        }
        with store.write() as connection:
            load.load(connection, document, SETTINGS, NOW)

    def sql(self, *statements: str) -> None:
        """What other programs write, planned at once."""
        rows.run(self.store, *statements)
        self.plan()

    def plan(self) -> None:
        self.now += timedelta(minutes=1)
        rows.run(self.store, f"UPDATE change_mark SET at = '{NOW:%Y-%m-%d %H:%M:%S}+00:00'")
        planning.plan_due(self.store, SETTINGS, self.now, everything=True)

    def claim(self, name: str = "here") -> list[Queued]:
        self.now += timedelta(hours=5)
        return deliveries.claim(self.store, name, self.now, Room(10))

    def send(self, fate: str = "taken") -> list[tuple[str, str, int]]:
        """Hand what is due to the server: (method, address, SEQUENCE) of each."""
        claimed = self.claim()
        made: Callable[[int], Settlement] = FATES[fate]
        deliveries.settle(
            self.store, "here", [(one, made(one.id), None) for one in claimed], self.now
        )
        return [
            (one.letter.method.value, one.letter.address, one.letter.sequence) for one in claimed
        ]

    def killed(self) -> None:
        """A gateway dies while it sends."""
        assert self.claim(ELSEWHERE)
        self.now += leases.LIFE

    def reply(self, reply: Reply) -> None:
        standing = Standing(reply=reply, seen=True, sequence=0, dtstamp=NOW, arrived=NOW)
        with self.store.write() as connection:
            followups.write_standing(connection, self.row.id, None, standing, None)

    @property
    def row(self) -> followups.Member:
        with self.store.read() as connection:
            [row] = followups.members(connection, "m1")
        return row

    def waiting(self) -> list[tuple[str, str]]:
        letters = schema_letters.outbox
        query = sa.select(letters.c.method, letters.c.address).where(letters.c.state == "waiting")
        with self.store.read() as connection:
            return [tuple(row) for row in connection.execute(query.order_by(letters.c.id))]


FATES: dict[str, Callable[[int], Settlement]] = {
    "taken": lambda one: Settlement(one, LetterState.SENT, True, Delivery.SENT),
    "later": lambda one: Settlement(one, LetterState.WAITING, False, Delivery.DEFERRED, NOW),
    "cut": lambda one: Settlement(one, LetterState.WAITING, None, Delivery.DEFERRED, NOW),
    "refused": lambda one: Settlement(one, LetterState.REFUSED, False, Delivery.UNDELIVERABLE),
    "given up": lambda one: Settlement(one, LetterState.DROPPED, False, Delivery.UNDELIVERABLE),
}
GONE = {
    "removed": "UPDATE participant SET removed = TRUE",
    "switched off": "UPDATE participant SET email_invite = FALSE",
    "cancelled": "UPDATE follow_up SET cancelled = TRUE",
    "deleted": "DELETE FROM follow_up",
}
TO_TEN = "UPDATE follow_up SET start_at = '2026-12-01 10:00:00', end_at = '2026-12-01 11:00:00'"
TO_EIGHT = "UPDATE follow_up SET start_at = '2026-12-01 08:00:00', end_at = '2026-12-01 09:00:00'"


def unknown(office: Office, how: str) -> None:
    if how == "killed":
        office.killed()
    else:
        office.send("cut")


@pytest.mark.parametrize("gone", GONE)
@pytest.mark.parametrize("repeat", ["later", "refused"])
@pytest.mark.parametrize("how", ["cut", "killed"])
def test_whoever_may_hold_a_request_gets_his_cancel(
    store: Store, how: str, repeat: str, gone: str
) -> None:
    office = Office(store)
    office.plan()
    unknown(office, how)
    office.send(repeat)
    office.sql(GONE[gone])
    assert [(method, address) for method, address, _ in office.send()] == [
        ("CANCEL", "ola@a.example")
    ]
    office.plan()
    assert office.send() == []


@pytest.mark.parametrize("gone", GONE)
def test_so_does_whoever_may_hold_one_that_was_replaced(store: Store, gone: str) -> None:
    office = Office(store)
    office.plan()
    office.send("cut")
    office.sql(TO_TEN)
    office.send("later")
    office.sql(GONE[gone])
    assert [method for method, *_ in office.send()] == ["CANCEL"]


def test_who_certainly_got_nothing_gets_no_cancel(store: Store) -> None:
    office = Office(store)
    office.plan()
    office.send("later")
    office.send("refused")
    office.sql(GONE["removed"])
    assert office.send() == []


@pytest.mark.parametrize("how", ["cut", "killed"])
def test_a_move_that_may_have_arrived_is_moved_back_by_a_letter(store: Store, how: str) -> None:
    office = Office(store)
    office.plan()
    office.send()
    office.sql(TO_TEN)
    unknown(office, how)
    office.send("later")
    office.sql(TO_EIGHT)
    [(method, _, sequence)] = office.send()
    assert (method, sequence) == ("REQUEST", 2)


def test_a_move_that_certainly_did_not_leave_is_moved_back_without_a_word(store: Store) -> None:
    office = Office(store)
    office.plan()
    office.send()
    office.sql(TO_TEN)
    office.send("later")
    office.sql(TO_EIGHT)
    assert office.send() == []


def test_a_letter_that_certainly_arrived_ends_the_doubt(store: Store) -> None:
    office = Office(store)
    office.plan()
    office.send("cut")
    office.sql(TO_TEN)
    office.send("later")
    office.send()
    with store.read() as connection:
        assert connection.execute(sa.select(schema_letters.invitation.c.doubts)).scalar_one() == ""
    office.sql(TO_EIGHT)
    office.send("later")
    office.sql(TO_TEN)
    assert [method for method, *_ in office.send()] == []


def test_a_cancel_that_may_not_have_arrived_is_not_taken_for_held(store: Store) -> None:
    """Taken off by a letter that was cut, added again by one that was put off, taken off again."""
    office = Office(store)
    office.plan()
    office.send()
    office.sql(GONE["removed"])
    office.send("cut")
    office.sql("UPDATE participant SET removed = FALSE")
    office.send("later")
    office.sql(GONE["removed"])
    assert [method for method, *_ in office.send()] == ["CANCEL"]


def test_a_date_that_may_have_been_told_is_told_again(store: Store) -> None:
    office = Office(store, rule="FREQ=WEEKLY;COUNT=3")
    office.plan()
    office.send()
    office.sql(
        "INSERT INTO follow_up_date (follow_up, original_start, start_at, end_at)"
        f" VALUES ('m1', '{DATES[1]}', '2026-12-08 10:00:00', '2026-12-08 11:00:00')"
    )
    office.send("cut")
    office.send("refused")
    office.sql("DELETE FROM follow_up_date")
    [letter] = office.claim()
    assert (letter.letter.method, letter.letter.sequence) == (Method.REQUEST, 2)


@pytest.mark.parametrize("what", ["moved", "cancelled"])
@pytest.mark.parametrize("fate", ["nothing left", "later", "cut"])
def test_a_date_of_which_he_was_told_is_told_again_when_the_series_is_moved_there_and_back(
    store: Store, fate: str, what: str
) -> None:
    """By the move the date lost its own data, but not in his calendar."""
    office = Office(store, rule="FREQ=WEEKLY;COUNT=3")
    office.plan()
    office.send()
    values = {"moved": "'2026-12-08 11:00:00', FALSE", "cancelled": "NULL, TRUE"}[what]
    office.sql(
        "INSERT INTO follow_up_date (follow_up, original_start, start_at, cancelled)"
        f" VALUES ('m1', '{DATES[1]}', {values})"
    )
    office.send()
    office.sql(TO_TEN)
    if fate != "nothing left":
        office.send(fate)
    office.sql(TO_EIGHT)
    [letter] = office.claim()
    date = datetime(2026, 12, 8, 8, tzinfo=UTC)
    assert editions.own_dates(letter.letter.edition) == [date]
    assert editions.sequence(letter.letter.edition, date) == (3, 3)


def test_the_cancel_of_another_date_outlives_an_edit(store: Store) -> None:
    """Two letters about different dates are not about the same."""
    office = Office(store, rule="FREQ=WEEKLY;COUNT=3", date=DATES[1])
    office.plan()
    office.send()
    office.sql(f"UPDATE participant SET original_start = '{DATES[2]}'")
    assert office.waiting() == [("CANCEL", "ola@a.example"), ("REQUEST", "ola@a.example")]
    assert [method for method, *_ in office.send("cut")] == ["CANCEL"]
    office.sql("UPDATE follow_up SET title = 'Another'")
    assert [method for method, *_ in office.send()] == ["CANCEL"]
    assert [method for method, *_ in office.send()] == ["REQUEST"]


@pytest.mark.parametrize("doubt", [True, False])
def test_the_date_before_is_taken_back_once_the_address_takes_mail_again(
    store: Store, doubt: bool
) -> None:
    office = Office(store, rule="FREQ=WEEKLY;COUNT=3", date=DATES[1])
    office.plan()
    office.send()
    office.sql(f"UPDATE participant SET original_start = '{DATES[2]}'")
    if doubt:
        office.send("cut")
    assert [method for method, *_ in office.send("refused")] == ["CANCEL"]
    assert [method for method, *_ in office.send()] == ["REQUEST"]
    office.sql("UPDATE follow_up SET title = 'Another'")
    [cancel] = office.claim()
    assert cancel.letter.edition.recurrence_id == datetime(2026, 12, 8, 8, tzinfo=UTC)
    assert office.waiting() == [("REQUEST", "ola@a.example")]


def test_who_was_refused_the_series_is_told_no_date_of_it(store: Store) -> None:
    office = Office(store, rule="FREQ=WEEKLY;COUNT=3")
    office.plan()
    office.send("cut")
    office.sql(
        "INSERT INTO follow_up_date (follow_up, original_start, cancelled)"
        f" VALUES ('m1', '{DATES[1]}', TRUE)"
    )
    assert len(office.waiting()) == 2
    office.send("refused")
    office.plan()
    [letter] = office.claim()
    assert (letter.letter.method, letter.letter.instance) == (Method.REQUEST, None)


@pytest.mark.parametrize("gone", ["no date is left", "all of it is over"])
def test_what_he_may_hold_is_taken_back_where_no_invitation_is_worth_a_letter(
    store: Store, gone: str
) -> None:
    office = Office(store, rule="FREQ=WEEKLY;COUNT=3")
    office.plan()
    office.killed()
    office.send("refused")
    office.sql("UPDATE follow_up SET location = 'Fjord'")
    office.send("refused")
    if gone == "no date is left":
        values = ", ".join(f"('m1', '{date}', TRUE)" for date in DATES)
        office.sql(
            "INSERT INTO follow_up_date (follow_up, original_start, cancelled) VALUES " + values
        )
    else:
        office.sql(
            "UPDATE follow_up SET start_at = '2026-11-02 08:00:00', end_at = '2026-11-02 09:00:00'"
        )
    assert office.waiting() == [("CANCEL", "ola@a.example")]
    office.plan()
    assert [method for method, *_ in office.send()] == ["CANCEL"]
    office.plan()
    assert office.send() == []


def test_a_refusal_from_before_says_nothing_of_what_may_have_arrived_since(store: Store) -> None:
    office = Office(store)
    office.plan()
    office.send("refused")
    office.sql(TO_TEN)
    office.killed()
    office.sql(GONE["removed"])
    assert office.waiting() == [("CANCEL", "ola@a.example")]
    office.sql("UPDATE follow_up SET title = 'Another'")
    assert office.waiting() == [("CANCEL", "ola@a.example")]


def test_the_invitation_at_the_address_of_now_counts(store: Store) -> None:
    """A typo is put right: the older invitation is the one that is asked, reported and shown."""
    office = Office(store)
    office.plan()
    office.send()
    office.sql("UPDATE person_email SET address = 'ola@b.example'")
    office.send()
    office.send()
    office.sql("UPDATE person_email SET address = 'ola@a.example'")
    office.send()
    office.send()
    with store.read() as connection:
        member = office.row.id
        assert invitations.deliveries(connection, [member])[member].address == "ola@a.example"
        held = invitations.holding(connection, member)
        assert held is not None
        assert held.address == "ola@a.example"
        about = reports.about(connection, member, bounce.Report((), "failed"))
        assert about is not None
        assert about.invitation.address == "ola@a.example"
    with store.write() as connection:
        assert invitations.refresh(connection, member, office.now)
    office.sql("UPDATE participant SET removed = TRUE")
    assert [(method, address) for method, address, _ in office.send()] == [
        ("CANCEL", "ola@a.example")
    ]


AGAIN = {
    "removed": ("UPDATE participant SET removed = TRUE", "UPDATE participant SET removed = FALSE"),
    "switched": (
        "UPDATE participant SET email_invite = FALSE",
        "UPDATE participant SET email_invite = TRUE",
    ),
}


@pytest.mark.parametrize("again", AGAIN)
@pytest.mark.parametrize("fate", ["taken", "cut", "later", "nothing left"])
def test_who_was_taken_off_and_is_back_is_asked_anew(store: Store, fate: str, again: str) -> None:
    office, (off, on) = Office(store), AGAIN[again]
    office.plan()
    office.send()
    office.reply(Reply.ACCEPTED)
    office.sql(off)
    if fate != "nothing left":
        office.send(fate)
    office.sql(on)
    [*letters] = office.claim()
    if fate in ("taken", "cut"):
        assert office.row.standings[None].reply is Reply.NEEDS_ACTION
        assert [one.letter.reply for one in letters] == [Reply.NEEDS_ACTION]
        assert office.row.code == 5
    else:
        assert office.row.standings[None].reply is Reply.ACCEPTED
        assert letters == []


MOVES_HOUSE = "UPDATE person_email SET address = 'ola@b.example'"


def test_the_withdrawal_at_the_old_address_stays_below_what_the_new_one_holds(
    store: Store,
) -> None:
    """Both may end in one calendar: it is not written anew because the follow-up is cancelled."""
    office = Office(store)
    office.plan()
    office.send()
    office.sql(MOVES_HOUSE)
    assert office.send("later") == [("CANCEL", "ola@a.example", 1)]
    for one in office.claim():
        fate = "taken" if one.letter.method is Method.REQUEST else "later"
        deliveries.settle(store, "here", [(one, FATES[fate](one.id), None)], office.now)
    office.sql(GONE["cancelled"])
    office.sql("UPDATE follow_up SET cancelled = FALSE")
    assert office.send() == [("CANCEL", "ola@a.example", 1)]
    assert office.send() == []


@pytest.mark.parametrize("fate", ["taken", "later"])
def test_what_the_new_address_holds_is_told_above_a_withdrawal_that_is_owed_again(
    store: Store, fate: str
) -> None:
    """The CANCEL to the old address was given up, and the next change owes it again."""
    office = Office(store)
    office.plan()
    office.send()
    office.sql(MOVES_HOUSE)
    office.send("given up")
    assert office.send(fate) == [("REQUEST", "ola@b.example", 2)]
    office.sql("INSERT INTO participant (follow_up, email) VALUES ('m1', 'eva@b.example')")
    assert office.send() == [("CANCEL", "ola@a.example", 2)]
    assert office.send() == [("REQUEST", "ola@b.example", 3)]
    assert office.waiting() == []
    office.sql("UPDATE follow_up SET priority = 1")
    assert office.waiting() == []
