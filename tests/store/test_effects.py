"""What answers bring beside a status, on both databases: proposals, delegates, letters asked for,
words for the owner, marks.

Mails go through the real door (`process.Processor`), letters through the real planner, renderer and
preflight.
"""

import email
import email.policy
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import time_machine
from structlog.testing import capture_logs

from gateway import settings as configuration
from gateway.actions import deliveries, joining, load, planning, queue, review
from gateway.actions import proposals as deciding
from gateway.errors import NotFound, Refused
from gateway.ical import preflight
from gateway.inbound import process
from gateway.model import Delivery, LetterState, Method, Occasion, Outcome, ProposalState, Reply
from gateway.shapes import StatusRow
from gateway.store import (
    claims,
    followups,
    inbox,
    invitations,
    journal,
    meta,
    outbox,
    pace,
    proposals,
    schema,
    schema_letters,
    views,
)
from gateway.store.engine import Store
from gateway.store.outbox import Attempt, Queued, Selection, Settlement
from gateway.store.pace import Room
from gateway.writing import render

MAILBOX = "invites@crm.example"
TOKENS = {"ola": "k7f2q3mzx5b4w6y2n7c3d4e5fa", "eva": "m2d4f6h7j3k5l2n4p6q7r3s5ta"}
UID = "m1@crm.example"
START = datetime(2040, 5, 9, 7, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
GATEWAY = "office"


class Office:
    """A gateway of one process. `clock`: what it takes for now."""

    def __init__(self, store: Store, **policy: object) -> None:
        self.store, self.clock = (
            store,
            datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1),
        )
        self.settings = configuration.load(
            overrides={
                "mail": {"address": MAILBOX, "name": "Firma AS"},
                "policy": {"authserv_id": "mx.crm.example", **policy},
            }
        )
        self.letters = list[Queued]()
        self.mails, self.last = 0, ""

    def at(self) -> AbstractContextManager[object]:
        return time_machine.travel(self.clock, tick=False)

    def begin(self, **facts: object) -> "Office":
        follow_up = {
            "key": "m1",
            "kind": "meeting",
            "owner": "kari",
            "title": "Kick-off",
            "uid": UID,
            "location": "Fjord",
            "start": "2040-05-09T09:00:00",
            "end": "2040-05-09T10:00:00",
            "timezone": "Europe/Oslo",
            "participants": [
                {
                    "email": "ola@ext.example",
                    "name": "Ola Hansen",
                    "email_invite": True,
                    "token": TOKENS["ola"],
                },
                {
                    "email": "eva@other.example",
                    "name": "Eva",
                    "email_invite": True,
                    "token": TOKENS["eva"],
                },
            ],
        } | facts
        with self.store.write() as connection:
            load.load(
                connection,
                {
                    "associates": [
                        {
                            "key": "kari",
                            "name": "Kari Nordmann",
                            "email": "kari@crm.example",
                            "language": "nb",
                        }
                    ],
                    "follow_ups": [follow_up],
                },
                self.settings,
                self.clock,
            )
        assert sorted(one.letter.address for one in self.post()) == [
            "eva@other.example",
            "ola@ext.example",
        ]
        return self

    def post(self, refuse: str = "") -> list[Queued]:
        """Plan, claim, render and check everything that is due;
        the server takes it all but letters to `refuse`.
        """
        planning.plan_due(self.store, self.settings, self.clock, everything=True)
        with self.store.write() as connection:
            secret = meta.site_secret(connection)
        left = list[Queued]()
        while claimed := deliveries.claim(self.store, GATEWAY, self.clock, Room(50)):
            for one in claimed:
                content = render.render(one.letter, self.settings.mail, secret)
                assert preflight.check(content, one.letter, self.settings.mail.address) == []
                assert render.render(one.letter, self.settings.mail, secret) == content
            deliveries.settle(
                self.store,
                GATEWAY,
                [(one, _settled(one, refuse), None) for one in claimed],
                self.clock,
            )
            left += claimed
        self.letters += left
        return left

    def mail(self, one: Queued) -> email.message.EmailMessage:
        with self.store.write() as connection:
            content = render.render(one.letter, self.settings.mail, meta.site_secret(connection))
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, email.message.EmailMessage)
        return message

    def receive(self, raw: str) -> process.Result:
        self.last = raw
        with self.at():
            processor, content = process.Processor(self.store, self.settings), raw.encode()
            received = process.Received(content, self.clock, len(content))
            foretold = processor.explain(received)
            result = processor.receive([received])[0]
        assert foretold.outcome is result.outcome, "explain and receive agree"
        return result

    def answer(
        self,
        who: str = "ola@ext.example",
        *,
        method: str = "REPLY",
        partstat: str = "ACCEPTED",
        extra: str = "",
        token: str = "ola",
        attendee: str = "",
        headers: str = "",
        sequence: int = 0,
    ) -> process.Result:
        """A calendar object in the mail of somebody. `attendee`: further parameters of his line."""
        self.mails += 1
        to = f"invites+{TOKENS[token]}@crm.example" if token else MAILBOX
        lines = [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//Example//EN",
            f"METHOD:{method}",
            "BEGIN:VEVENT",
            f"UID:{UID}",
            f"DTSTAMP:{self.clock:%Y%m%dT%H%M%SZ}",
            f"ORGANIZER:mailto:{to}",
            f"ATTENDEE;PARTSTAT={partstat}{attendee}:mailto:{who}",
            f"SEQUENCE:{sequence}",
            *filter(None, extra.split("\n")),
            "END:VEVENT",
            "END:VCALENDAR",
        ]
        return self.receive(
            f"{headers}From: {who}\r\nTo: {to}\r\nSubject: Answer\r\nMessage-ID: <{self.mails}@{who.partition('@')[2]}>\r\n"
            f"MIME-Version: 1.0\r\nContent-Type: text/calendar; charset=utf-8; method={method}\r\n\r\n"
            + "\r\n".join(lines)
            + "\r\n"
        )

    def text(
        self,
        words: str,
        who: str = "Ola Hansen <ola@ext.example>",
        headers: str = "",
        number: int = 0,
    ) -> process.Result:
        self.mails += 1
        return self.receive(
            f"{headers}From: {who}\r\nTo: invites+{TOKENS['ola']}@crm.example\r\nSubject: Re: Kick-off\r\n"
            f"Message-ID: <t{number or self.mails}@ext.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{words}\r\n"
        )

    def row(self, address: str) -> StatusRow:
        with self.store.read() as connection:
            return next(
                one for one in views.status_rows(connection, "m1") if one.address == address
            )

    def addresses(self) -> list[str]:
        with self.store.read() as connection:
            return [one.address for one in views.status_rows(connection, "m1")]

    def events(self, *names: str) -> list[tuple[str, str]]:
        with self.store.read() as connection:
            return [
                (one.event, one.detail)
                for one in journal.after(connection, 0)
                if one.event in names
            ]

    def open(self) -> list[proposals.Proposal]:
        with self.store.read() as connection:
            return proposals.open(connection, "m1")

    def decide(self, what: Callable[..., proposals.Proposal], number: int) -> proposals.Proposal:
        with self.store.write() as connection:
            return what(connection, number, self.settings, self.clock, by="kari")


def _settled(one: Queued, refuse: str) -> Settlement:
    if one.letter.address == refuse:
        return Settlement(
            one.id,
            LetterState.REFUSED,
            False,
            Delivery.UNDELIVERABLE,
            note="550 5.1.1 no such user",
        )
    return Settlement(one.id, LetterState.SENT, True, Delivery.SENT)


def counter(
    office: Office, start: str = "20400510T070000Z", who: str = "ola@ext.example", extra: str = ""
) -> process.Result:
    return office.answer(
        who,
        method="COUNTER",
        partstat="TENTATIVE",
        token=who.partition("@")[0],
        extra=f"DTSTART:{start}\nDURATION:PT30M\nCOMMENT:Heller torsdag?\n{extra}",
    )


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store).begin()


BRINGS: dict[str, Callable[[Office], process.Result]] = {
    "proposal": lambda office: counter(office),
    "delegate": lambda office: delegate(office, "jon@ext.example"),
    "refresh": lambda office: office.answer(method="REFRESH"),
    "words": lambda office: office.text("Hello there"),
    "crasher": lambda office: crash(office),
}


@pytest.mark.parametrize("what", BRINGS)
@pytest.mark.parametrize("way", ["", "X-Way: another\r\n"])
def test_the_same_message_again_has_no_second_effect(store: Store, what: str, way: str) -> None:
    """The very same bytes, and the same Message-ID by another way;
    two hours later, so that no limit hides it.
    """
    office = Office(store, party_crasher="add").begin()
    first = BRINGS[what](office)
    office.post()
    before = office.addresses(), [one.id for one in office.open()]
    office.clock += 2 * HOUR
    again = office.receive(way + office.last)
    assert (first.outcome is not Outcome.DUPLICATE, again.outcome) == (True, Outcome.DUPLICATE)
    assert office.post() == []
    assert (office.addresses(), [one.id for one in office.open()]) == before


def crowded(*, message_id: str = "crowd@far.example", uids: int = 1, senders: int = 1) -> bytes:
    """A mail of a stranger that names many things,
    in calendar objects of which each keeps to its bounds.
    """
    names = [UID, *(f"u{number}" for number in range(1, uids))]
    parts = [
        "BEGIN:VCALENDAR\nMETHOD:REPLY\n"
        + "".join(f"BEGIN:VEVENT\nUID:{one}\nEND:VEVENT\n" for one in names[at : at + 190])
        + "END:VCALENDAR\n"
        for at in range(0, uids, 190)
    ]
    people = [f"a{number}@far.example" for number in range(senders)]
    return (
        "".join(f"From: {', '.join(people[at : at + 500])}\n" for at in range(0, senders, 500))
        + f"To: {MAILBOX}\nMessage-ID: <{message_id}>\nContent-Type: multipart/mixed; boundary=x\n\n"
        + "".join(f"--x\nContent-Type: text/calendar\n\n{one}" for one in parts)
        + "--x--\n"
    ).encode()


@pytest.mark.parametrize(
    ("mail", "outcome"),
    [
        (
            crowded(
                message_id="".join(chr(0x20000 + number * 7_919 % 40_000) for number in range(998))
            ),
            Outcome.PARTY_CRASHER,
        ),
        (crowded(uids=2_000), Outcome.MALFORMED),
        (crowded(senders=70_000), Outcome.PARTY_CRASHER),
    ],
    ids=["Message-ID", "UIDs", "senders"],
)
def test_no_mail_is_too_much_for_the_database(
    office: Office, mail: bytes, outcome: Outcome
) -> None:
    """What one message looks up and leaves is bounded: PostgreSQL refuses longer index entries and
    queries, and none behind would be read.
    """
    [result] = process.Processor(office.store, office.settings).receive(
        [process.Received(mail, office.clock, len(mail))]
    )
    assert result.outcome is outcome
    answered = office.answer()
    assert answered.outcome is Outcome.APPLIED


def test_a_failure_of_ours_on_one_message_is_counted_and_holds_up_no_other(office: Office) -> None:
    """A day before the first of the calendar: on that we fail before the store is asked."""
    place = inbox.Place("default", "INBOX", 7, 1)
    failing = b"From: ola@ext.example\r\nTo: invites@crm.example\r\nSubject: Automatic reply: away until 3 January\r\n\r\nBye\r\n"
    bad = process.Received(failing, datetime(1, 1, 5, tzinfo=UTC), len(failing), place=place)
    good = b"From: ola@ext.example\r\nTo: invites@crm.example\r\n\r\nHello\r\n"
    outcomes = [
        [
            one.outcome
            for one in process.Processor(office.store, office.settings).receive(
                [
                    bad,
                    process.Received(
                        good, office.clock, len(good), place=replace(place, uid=2 + round_)
                    ),
                ],
                replace(place, uid=2 + round_),
            )
        ]
        for round_ in range(3)
    ]
    assert outcomes == [
        [None, Outcome.IGNORED],
        [None, Outcome.IGNORED],
        [Outcome.HELD, Outcome.IGNORED],
    ]
    with office.store.read() as connection:
        assert inbox.cursor(connection, "default", "INBOX") == (7, 4)


def test_what_the_server_withholds_is_offered_three_times_and_then_a_persons(
    office: Office,
) -> None:
    """The cursor passes it meanwhile, and a person who judges it anew does not take its header for
    the whole.
    """
    processor = process.Processor(office.store, office.settings)
    place = inbox.Place("default", "INBOX", 7, 1)
    head = b"From: ola@ext.example\r\nTo: invites@crm.example\r\nSubject: =?utf-8?q?Tid=C3=A5?=\r\n\r\n"
    one = process.Received(head, office.clock, 4_000, complete=False, place=place, withheld=True)
    outcomes = list[Outcome | None]()
    for _ in range(3):
        outcomes.append(processor.receive([one], place)[0].outcome)
        with office.store.read() as connection:
            left = inbox.leftovers(connection, "default", "INBOX", 7)
        assert left == ([1] if outcomes[-1] is None else [])
    assert outcomes == [None, None, Outcome.MALFORMED]
    with office.store.read() as connection:
        [row] = connection.execute(sa.select(schema.inbox)).all()
    number = row.id
    assert (row.from_address, row.subject) == ("ola@ext.example", "Tidå")
    desk = review.Desk(office.store, office.settings, processor.again, "", office.clock)
    ruling = review.foretell(desk, number)
    assert ruling is not None
    assert (ruling.after, ruling.reason.startswith(process.WITHHELD)) == (Outcome.MALFORMED, True)


def test_what_is_withheld_and_comes_later_has_its_effect(office: Office) -> None:
    processor = process.Processor(office.store, office.settings)
    place = inbox.Place("default", "INBOX", 7, 1)
    late = process.Received(b"", office.clock, 4_000, complete=False, place=place, withheld=True)
    assert processor.receive([late], place)[0].outcome is None
    mail = b"From: ola@ext.example\r\nTo: invites@crm.example\r\n\r\nHello\r\n"
    whole = process.Received(mail, office.clock, len(mail), place=place)
    assert processor.receive([whole], place)[0].outcome is Outcome.IGNORED


def test_a_message_that_ended_every_session_goes_to_review_at_once(office: Office) -> None:
    one = process.Received(b"", office.clock, 4_000, complete=False)
    [result] = process.Processor(office.store, office.settings).receive([one])
    assert result.outcome is Outcome.MALFORMED
    assert "any of it" in result.reason


def test_mail_without_authentication_results_is_told_of_once(office: Office) -> None:
    """Not a report, which our own server writes; nor one that came from a file."""
    processor = process.Processor(office.store, office.settings)

    def receive(uid: int, headers: str, *, mailed: bool = True) -> int:
        raw = f"{headers}Subject: Hello\r\nMessage-ID: <{uid}@x.example>\r\n\r\nHello\r\n".encode()
        place = inbox.Place("default", "INBOX", 7, uid) if mailed else None
        with capture_logs() as words:
            processor.receive([process.Received(raw, office.clock, len(raw), place=place)])
        warning = "a message has no Authentication-Results of policy.authserv_id"
        found = [one for one in words if one["event"] == warning]
        assert all(one["authserv_id"] == "mx.crm.example" for one in found)
        return len(found)

    field = "Authentication-Results: mx.crm.example; dmarc=none header.from=x.example\r\n"
    sender = "From: somebody@x.example\r\n"
    assert receive(1, f"{field}{sender}") == 0
    assert receive(2, f"Return-Path: <>\r\n{sender}") == 0
    assert receive(3, sender, mailed=False) == 0
    assert receive(4, f"{field.replace('mx.crm', 'mx.evil')}{sender}") == 1
    assert receive(5, sender) == 0


def test_the_first_invitation_is_when_mail_begins_to_matter(store: Store) -> None:
    with store.read() as connection:
        assert invitations.first(connection) is None
    office = Office(store).begin()
    with office.store.read() as connection:
        made = connection.execute(sa.select(schema_letters.invitation.c.created_at)).scalars().all()
        assert invitations.first(connection) == min(made)


def test_a_refusal_of_a_proposal_that_was_given_up_takes_nothing_from_him(office: Office) -> None:
    counter(office, "20400510T070000Z")
    office.decide(deciding.decline, office.open()[0].id)
    [one] = deliveries.claim(office.store, GATEWAY, office.clock + DAY, Room(50))
    assert one.letter.method is Method.DECLINECOUNTER
    deliveries.settle(
        office.store,
        GATEWAY,
        [
            (
                one,
                Settlement(
                    one.id,
                    LetterState.DROPPED,
                    False,
                    Delivery.UNDELIVERABLE,
                    note="given up: 451 later",
                ),
                None,
            )
        ],
        office.clock,
    )
    office.clock += HOUR
    assert office.answer(method="REFRESH").outcome is Outcome.REFRESHED
    assert [sent.letter.method for sent in office.post()] == [Method.REQUEST]


def test_who_holds_an_invitation_gets_its_cancel_though_an_update_was_given_up(
    office: Office,
) -> None:
    """His server was away for three days; that is no refusal,
    and the old time still stands in his calendar (P14).
    """
    with office.store.write() as connection:
        connection.exec_driver_sql("UPDATE follow_up SET location = 'Elsewhere'")
    office.clock += HOUR
    planning.plan_due(office.store, office.settings, office.clock, everything=True)
    claimed = deliveries.claim(office.store, GATEWAY, office.clock, Room(50))
    deliveries.settle(
        office.store,
        GATEWAY,
        [
            (
                one,
                Settlement(
                    one.id,
                    LetterState.DROPPED,
                    False,
                    Delivery.UNDELIVERABLE,
                    note="given up: 451 later",
                ),
                None,
            )
            for one in claimed
        ],
        office.clock,
    )
    assert {office.row(one.letter.address).delivery for one in claimed} == {Delivery.UNDELIVERABLE}
    with office.store.write() as connection:
        connection.exec_driver_sql("UPDATE follow_up SET cancelled = TRUE")
    office.clock += HOUR
    assert [(one.letter.method, one.letter.sequence) for one in office.post()] == [
        (Method.CANCEL, 2)
    ] * len(claimed)


# Proposals (itip.md §4, P4)


def test_a_counter_repeats_no_higher_sequence_than_he_was_sent(office: Office) -> None:
    office.answer(
        method="COUNTER",
        partstat="TENTATIVE",
        extra="DTSTART:20400510T070000Z",
        sequence=2_000_000_000,
    )
    assert [one.sequence for one in office.open()] == [0]


def test_a_counter_is_kept_beside_the_answer(office: Office) -> None:
    assert counter(office, extra="LOCATION:Bølgen").outcome is Outcome.PROPOSAL
    [one] = office.open()
    assert (one.start, one.end, one.location, one.comment) == (
        START + DAY,
        START + DAY + HOUR / 2,
        "Bølgen",
        "Heller torsdag?",
    )
    assert (one.follow_up, one.address, one.state, one.sequence) == (
        "m1",
        "ola@ext.example",
        ProposalState.OPEN,
        0,
    )
    assert office.row("ola@ext.example").status == "seen"
    assert office.events("proposed") == [
        ("proposed", "2040-05-10T07:00:00Z – 2040-05-10T07:30:00Z, Bølgen")
    ]
    assert office.post() == []


def test_the_last_proposal_of_an_invitee_counts_and_each_has_his_own(office: Office) -> None:
    counter(office)
    counter(office, who="eva@other.example")
    counter(office, "20400511T070000Z")
    assert [(one.address, one.start) for one in office.open()] == [
        ("eva@other.example", START + DAY),
        ("ola@ext.example", START + 2 * DAY),
    ]


def test_an_accepted_proposal_moves_the_follow_up_and_asks_everybody_again(office: Office) -> None:
    office.answer("eva@other.example", token="eva")
    counter(office, extra="LOCATION:Bølgen")
    counter(office, "20400512T070000Z", who="eva@other.example")
    office.decide(
        deciding.accept, next(one.id for one in office.open() if one.address == "ola@ext.example")
    )
    letters = office.post()
    assert sorted(one.letter.address for one in letters) == ["eva@other.example", "ola@ext.example"]
    for one in letters:
        edition = one.letter.edition
        assert (edition.start, edition.end, edition.location) == (
            START + DAY,
            START + DAY + HOUR / 2,
            "Bølgen",
        )
        assert (one.letter.method, one.letter.sequence, one.letter.reply) == (
            Method.REQUEST,
            1,
            Reply.NEEDS_ACTION,
        )
    assert office.row("eva@other.example").status == "moved"
    assert office.open() == [], "the move overtook Eva's"
    assert [name for name, _ in office.events("proposal_accepted", "proposal_overtaken")] == [
        "proposal_accepted",
        "proposal_overtaken",
    ]


def test_a_declined_proposal_is_answered_once_to_whoever_made_it(office: Office) -> None:
    counter(office)
    [one] = office.open()
    office.decide(deciding.decline, one.id)
    with pytest.raises(Refused, match="declined already"):
        office.decide(deciding.decline, one.id)
    with pytest.raises(Refused, match="declined already"):
        office.decide(deciding.accept, one.id)
    [letter] = office.post()
    assert (letter.letter.method, letter.letter.address, letter.letter.sequence) == (
        Method.DECLINECOUNTER,
        "ola@ext.example",
        0,
    )
    calendar = office.mail(letter).get_body(("calendar",))
    assert calendar is not None
    assert "METHOD:DECLINECOUNTER" in calendar.get_content()
    text = office.mail(letter).get_body(("plain",))
    assert text is not None
    assert "10 May 2040" in text.get_content()
    assert "cannot accept your proposal" in text.get_content()
    assert office.post() == []
    # What he holds is what he was invited to: the next change is told as one from there.
    with office.store.write() as connection:
        followups.reschedule(connection, "m1", {"title": "Oppstart"})
    update = next(one for one in office.post() if one.letter.address == "ola@ext.example")
    assert update.letter.method is Method.REQUEST
    assert update.letter.before is not None
    assert update.letter.before.title == "Kick-off"
    assert update.letter.dtstamp > letter.letter.dtstamp


def test_a_move_by_anybody_overtakes_what_was_proposed_before(office: Office) -> None:
    counter(office)
    [one] = office.open()
    with office.store.write() as connection:
        followups.reschedule(
            connection, "m1", {"start_at": START + HOUR, "end_at": START + 2 * HOUR}
        )
    office.post()
    assert office.open() == []
    with pytest.raises(Refused, match="overtaken already"):
        office.decide(deciding.accept, one.id)
    with pytest.raises(NotFound):
        office.decide(deciding.accept, one.id + 1000)


def test_what_a_removed_guest_asked_for_is_not_asked_any_more(office: Office) -> None:
    counter(office)
    with office.store.write() as connection:
        connection.execute(
            sa.update(schema.participant)
            .where(schema.participant.c.email == "ola@ext.example")
            .values(removed=True)
        )
    assert office.open() == []


def test_a_new_title_overtakes_nothing(office: Office) -> None:
    counter(office)
    with office.store.write() as connection:
        followups.reschedule(connection, "m1", {"title": "Oppstart"})
    office.post()
    assert len(office.open()) == 1


def test_one_date_of_a_series_is_moved_alone(store: Store) -> None:
    office = Office(store).begin(recurrence={"rrule": "FREQ=WEEKLY;COUNT=5"})
    assert (
        counter(office, "20400517T090000Z", extra="RECURRENCE-ID:20400516T070000Z").outcome
        is Outcome.PROPOSAL
    )
    [one] = office.open()
    assert one.instance == START + 7 * DAY
    office.decide(deciding.accept, one.id)
    with store.read() as connection:
        [date] = connection.execute(sa.select(schema.follow_up_date)).all()
    assert (date.original_start, date.start_at, date.end_at) == (
        START + 7 * DAY,
        START + 8 * DAY + 2 * HOUR,
        START + 8 * DAY + 2 * HOUR + HOUR / 2,
    )
    assert {one.letter.edition.start for one in office.post()} == {START}


@pytest.mark.parametrize(
    ("start", "rule", "reason"),
    [
        ("20400510T070000Z", "FREQ=WEEKLY;COUNT=5;BYDAY=WE", "rule of the series"),
        ("20200510T070000Z", "", "is over"),
        ("20400510", "FREQ=WEEKLY;COUNT=5", "series of days"),
    ],
)
def test_what_cannot_be_is_refused_and_stays_open(
    store: Store, start: str, rule: str, reason: str
) -> None:
    office = Office(store).begin(**({"recurrence": {"rrule": rule}} if rule else {}))
    counter(office, start)
    [one] = office.open()
    with pytest.raises(Refused, match=reason):
        office.decide(deciding.accept, one.id)
    assert office.open() == [one]
    assert office.post() == []


def test_a_day_may_be_proposed_instead_of_an_hour(office: Office) -> None:
    counter(office, "20400510")
    office.decide(deciding.accept, office.open()[0].id)
    assert {
        (one.letter.edition.all_day, str(one.letter.edition.start)) for one in office.post()
    } == {(True, "2040-05-10")}


def test_a_wish_inside_a_reply_is_kept_beside_the_answer(office: Office) -> None:
    result = office.answer(
        attendee=';TO-ALL-PROPOSED-NEW-TIME="DTSTART:20400510T070000Z;STATUS:NEEDS-ACTION"',
        partstat="TENTATIVE",
    )
    assert result.outcome is Outcome.APPLIED
    assert [(one.start, one.location) for one in office.open()] == [(START + DAY, "")]


# Delegation (RFC 5546 §3.2.2.3)


def delegate(
    office: Office, to: str, who: str = "ola@ext.example", token: str = "ola", extra: str = ""
) -> process.Result:
    return office.answer(
        who, token=token, partstat="DELEGATED", attendee=f';DELEGATED-TO="mailto:{to}"', extra=extra
    )


def test_a_delegate_is_invited_and_told_by_whom(office: Office) -> None:
    assert delegate(office, "jon@ext.example").outcome is Outcome.DELEGATED
    row = office.row("ola@ext.example")
    assert (row.status, row.reply) == ("declined", Reply.DELEGATED)
    [letter] = office.post()
    assert (letter.letter.address, letter.letter.method) == ("jon@ext.example", Method.REQUEST)
    message = office.mail(letter)
    text, calendar = message.get_body(("plain",)), message.get_body(("calendar",))
    assert text is not None
    assert calendar is not None
    assert "Ola Hansen has passed this invitation on to you." in text.get_content()
    lines = calendar.get_content().replace("\r\n", "\n").replace("\n ", "").split("\n")
    assert [line for line in lines if line.startswith("ATTENDEE")] == [
        'ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;DELEGATED-FROM="mailto:ola@ext.example";RSVP=TRUE;'
        "CN=jon@ext.example:mailto:jon@ext.example",
        'ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=DELEGATED;DELEGATED-TO="mailto:jon@ext.example";CN=Ola Hansen'
        ":mailto:ola@ext.example",
        *(line for line in lines if line.startswith("ATTENDEE") and "eva@other" in line),
    ]
    assert office.events("delegated_to", "invited") == [
        ("delegated_to", "jon@ext.example"),
        ("invited", "delegated by ola@ext.example"),
    ]


def test_his_own_next_letter_names_the_delegate(office: Office) -> None:
    delegate(office, "jon@ext.example")
    office.post()
    with office.store.write() as connection:
        followups.reschedule(connection, "m1", {"title": "Oppstart"})
    letter = next(one for one in office.post() if one.letter.address == "ola@ext.example")
    assert letter.letter.remarks.delegated_to is not None
    assert letter.letter.remarks.delegated_to.address == "jon@ext.example"


def test_whoever_is_there_already_is_matched(office: Office) -> None:
    assert delegate(office, "EVA@other.example").outcome is Outcome.DELEGATED
    assert sorted(office.addresses()) == ["eva@other.example", "ola@ext.example"]
    assert office.post() == [], "she holds her invitation"
    assert office.events("matched") == [("matched", "delegated by ola@ext.example")]


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ("kari@crm.example", "never asked"),
        (MAILBOX, ""),
        ("ola@ext.example", ""),
        (f"invites+{TOKENS['eva']}@crm.example", ""),
    ],
)
def test_nobody_of_the_house_is_invited(office: Office, to: str, reason: str) -> None:
    assert delegate(office, to).outcome is Outcome.DELEGATED
    assert sorted(office.addresses()) == ["eva@other.example", "ola@ext.example"]
    assert office.row("ola@ext.example").reply is Reply.DELEGATED
    assert all(reason in detail for _, detail in office.events("not_invited"))
    assert len(office.events("not_invited")) == bool(reason)


def test_a_guest_whom_the_owner_removed_is_not_brought_back(office: Office) -> None:
    with office.store.write() as connection:
        connection.execute(
            sa.update(schema.participant)
            .where(schema.participant.c.email == "eva@other.example")
            .values(removed=True)
        )
    office.post()
    delegate(office, "eva@other.example")
    assert office.addresses() == ["ola@ext.example"]
    assert office.events("not_invited") == [
        ("not_invited", "eva@other.example: the owner has removed him")
    ]


def test_one_delegate_for_each_row_and_three_in_a_chain(office: Office) -> None:
    givers = ["ola@ext.example", "a@ext.example", "b@ext.example", "c@ext.example"]
    for giver, taker in zip(givers, [*givers[1:], "d@ext.example"], strict=True):
        office.post()
        if giver != givers[0]:
            TOKENS[giver] = next(
                one.letter.token for one in office.letters if one.letter.address == giver
            )
        assert (
            delegate(office, taker, giver, token=giver if giver in TOKENS else "ola").outcome
            is Outcome.DELEGATED
        )
    for giver in givers[1:]:
        del TOKENS[giver]
    assert "c@ext.example" in office.addresses()
    assert "d@ext.example" not in office.addresses()
    assert office.events("not_invited") == [
        ("not_invited", f"d@ext.example: it has been passed on {joining.LONGEST_CHAIN} times")
    ]
    office.clock += HOUR
    assert office.answer(partstat="ACCEPTED").outcome is Outcome.APPLIED
    office.clock += HOUR
    delegate(office, "e@ext.example")
    assert "e@ext.example" not in office.addresses()


def test_an_invitation_does_not_go_round_in_a_circle(office: Office) -> None:
    delegate(office, "eva@other.example")
    delegate(office, "ola@ext.example", "eva@other.example", "eva")
    assert office.events("not_invited") == [("not_invited", "ola@ext.example: it came from him")]


def test_only_an_applied_answer_delegates(office: Office) -> None:
    assert (
        office.answer(
            "mallory@evil.example",
            partstat="DELEGATED",
            attendee=';DELEGATED-TO="mailto:jon@evil.example"',
        ).outcome
        is Outcome.HELD
    )
    assert sorted(office.addresses()) == ["eva@other.example", "ola@ext.example"]


def test_one_date_is_not_passed_on_by_itself(store: Store) -> None:
    office = Office(store).begin(recurrence={"rrule": "FREQ=WEEKLY;COUNT=5"})
    assert (
        delegate(office, "jon@ext.example", extra="RECURRENCE-ID:20400516T070000Z").outcome
        is Outcome.DELEGATED
    )
    assert "jon@ext.example" not in office.addresses()
    assert [name for name, _ in office.events("not_invited")] == ["not_invited"]


def test_a_delegate_who_is_deleted_leaves_the_planner_at_peace(office: Office) -> None:
    delegate(office, "jon@ext.example")
    office.post()
    with office.store.write() as connection:
        connection.execute(
            sa.delete(schema.participant).where(schema.participant.c.email == "jon@ext.example")
        )
    assert [(one.letter.address, one.letter.method) for one in office.post()] == [
        ("jon@ext.example", Method.CANCEL)
    ]


# REFRESH, and answers to an old time (itip.md §4, P7)


def test_a_refresh_brings_the_invitation_again_once_an_hour(office: Office) -> None:
    first = next(one for one in office.letters if one.letter.address == "ola@ext.example")
    for minutes, letters in ((0, 1), (30, 0), (31, 1)):
        office.clock += timedelta(minutes=minutes)
        assert office.answer(method="REFRESH").outcome is Outcome.REFRESHED
        left = office.post()
        assert [one.letter.address for one in left] == ["ola@ext.example"] * letters
        assert all(
            one.letter.sequence == first.letter.sequence
            and one.letter.dtstamp > first.letter.dtstamp
            for one in left
        )
        assert all(one.letter.remarks.occasion is Occasion.REFRESH for one in left)
    assert len(office.events("not_repeated")) == 1
    assert office.row("ola@ext.example").status == "invitation"


def test_a_refresh_is_answered_though_the_clock_was_set_back(office: Office) -> None:
    office.clock += 7 * DAY
    assert office.answer(method="REFRESH").outcome is Outcome.REFRESHED
    assert len(office.post()) == 1
    office.clock -= 7 * DAY
    for letters in (1, 0):
        assert office.answer(method="REFRESH").outcome is Outcome.REFRESHED
        office.clock += timedelta(minutes=30)
        assert len(office.post()) == letters


def test_two_refreshes_before_the_letter_left_bring_one(office: Office) -> None:
    office.answer(method="REFRESH")
    planning.plan_due(office.store, office.settings, office.clock, everything=True)
    office.clock += 2 * HOUR
    office.answer(method="REFRESH")
    assert len(office.post()) == 1
    assert office.post() == []


def test_no_letter_in_reply_to_a_machine(office: Office) -> None:
    assert (
        office.answer(method="REFRESH", headers="Auto-Submitted: auto-replied\r\n").outcome
        is Outcome.REFRESHED
    )
    assert office.post() == []


def test_who_answers_the_old_time_is_asked_once_for_each_move(office: Office) -> None:
    for hours in (1, 2):
        with office.store.write() as connection:
            followups.reschedule(
                connection,
                "m1",
                {"start_at": START + hours * HOUR, "end_at": START + (hours + 1) * HOUR},
            )
        assert len(office.post()) == 2
        for expected in (1, 0):
            office.clock += timedelta(minutes=1)
            assert office.answer(sequence=hours - 1).outcome is Outcome.OLD_ANSWER
            left = office.post()
            assert [one.letter.remarks.occasion for one in left] == [Occasion.OLD_ANSWER] * expected
            for one in left:
                message = office.mail(one)
                text = message.get_body(("plain",))
                assert text is not None
                assert str(message["Subject"]).startswith("Please reply again: Kick-off")
                assert "Your reply was for an earlier time of this meeting" in text.get_content()
    assert office.row("ola@ext.example").reply is Reply.NEEDS_ACTION


def test_a_letter_that_is_under_way_asks_him_already(office: Office) -> None:
    with office.store.write() as connection:
        followups.reschedule(
            connection, "m1", {"start_at": START + HOUR, "end_at": START + 2 * HOUR}
        )
    office.post()
    with office.store.write() as connection:
        followups.reschedule(connection, "m1", {"title": "Oppstart"})
    planning.plan_due(office.store, office.settings, office.clock, everything=True)
    office.answer(sequence=0)
    assert [one.letter.address for one in office.post()].count("ola@ext.example") == 1
    assert office.post() == []


# Party crashers (P3)

AUTHENTIC = "Authentication-Results: mx.crm.example; dmarc=pass header.from=new.example\r\n"


def crash(office: Office, headers: str = AUTHENTIC, who: str = "mia@new.example") -> process.Result:
    return office.answer(who, token="", headers=headers)


def test_policy_add_lets_an_authenticated_crasher_in(store: Store) -> None:
    office = Office(store, party_crasher="add").begin()
    assert crash(office).outcome is Outcome.APPLIED
    row = office.row("mia@new.example")
    assert (row.email_invite, row.status, row.reply) == (True, "not_started", Reply.ACCEPTED)
    [letter] = office.post()
    assert (letter.letter.address, letter.letter.reply) == ("mia@new.example", Reply.ACCEPTED)
    assert [name for name, _ in office.events("invited")] == ["invited"]
    assert crash(office).outcome is not Outcome.PARTY_CRASHER
    assert office.addresses().count("mia@new.example") == 1


@pytest.mark.parametrize(
    ("policy", "headers", "who"),
    [
        ("add", "", "mia@new.example"),
        ("ask", AUTHENTIC, "mia@new.example"),
        ("refuse", AUTHENTIC, "mia@new.example"),
        (
            "add",
            "Authentication-Results: mx.crm.example; dmarc=pass header.from=crm.example\r\n",
            "kari@crm.example",
        ),
        (
            "add",
            "Authentication-Results: mx.crm.example; dmarc=pass header.from=crm.example\r\n",
            MAILBOX,
        ),
    ],
)
def test_nobody_else_is_let_in(store: Store, policy: str, headers: str, who: str) -> None:
    office = Office(store, party_crasher=policy).begin()
    assert crash(office, headers, who).outcome is Outcome.PARTY_CRASHER
    assert sorted(office.addresses()) == ["eva@other.example", "ola@ext.example"]
    assert office.post() == []


def test_nobody_is_let_into_what_is_cancelled(store: Store) -> None:
    office = Office(store, party_crasher="add").begin()
    with store.write() as connection:
        followups.reschedule(connection, "m1", {"cancelled": True})
    office.post()
    assert crash(office).outcome is Outcome.PARTY_CRASHER


# Words for the owner (P23)


def test_words_reach_the_owner_once_in_the_gateways_name(office: Office) -> None:
    before = office.row("ola@ext.example")
    assert (
        office.text("Hei, jeg kan dessverre ikke komme.\r\nOla", number=7).outcome
        is Outcome.COMMENT
    )
    assert (
        office.text("Hei, jeg kan dessverre ikke komme.\r\nOla", number=7).outcome
        is Outcome.DUPLICATE
    )
    [letter] = office.post()
    message = office.mail(letter)
    assert (letter.letter.method, str(message["To"])) == (
        Method.NONE,
        "Kari Nordmann <kari@crm.example>",
    )
    assert str(message["From"]) == f"Ola Hansen via Firma AS <{MAILBOX}>"
    assert (str(message["Reply-To"]), str(message["Auto-Submitted"])) == (
        "ola@ext.example",
        "auto-generated",
    )
    assert message.get_content_type() == "text/plain"
    text = message.get_content().replace("\r\n", "\n")
    assert "Ola Hansen <ola@ext.example> skrev om «Kick-off»" in text
    assert "> Hei, jeg kan dessverre ikke komme.\n> Ola\n" in text
    assert "Svaret ser ut til å være: nei." in text
    assert letter.letter.bounce_address == MAILBOX, (
        "a report about the owner's mailbox names no invitee"
    )
    assert office.row("ola@ext.example") == before, "neither status nor delivery of the invitee"
    assert office.events("comment", "forwarded") == [
        ("comment", "Hei, jeg kan dessverre ikke komme.\nOla"),
        ("forwarded", ""),
    ]


def test_words_of_a_stranger_are_marked_and_answers_go_to_the_invitee(office: Office) -> None:
    office.text("Send me the contract.", "Kari Nordmann <mallory@evil.example>")
    message = office.mail(office.post()[0])
    assert str(message["From"]) == f'"mallory@evil.example via Firma AS" <{MAILBOX}>'
    assert str(message["Reply-To"]) == "ola@ext.example"
    assert "Det er ikke kjent om denne adressen tilhører Ola Hansen" in message.get_content()


def test_words_that_our_server_calls_forged_wait_for_a_person(office: Office) -> None:
    refused = "Authentication-Results: mx.crm.example; dmarc=fail header.from=ext.example\r\n"
    assert office.text("Send me the contract.", headers=refused).outcome is Outcome.HELD
    assert office.post() == []
    [case] = review.waiting(office.store)
    assert case.kept.reason == (
        "our mail server says that From is not from ext.example (dmarc=fail)"
    )
    assert case.question.startswith("did ola@ext.example write this himself?")
    assert case.claims[0]["comment"] == "Send me the contract."
    processor = process.Processor(office.store, office.settings)
    desk = review.Desk(office.store, office.settings, processor.again, "kari", office.clock)
    assert not review.apply(desk, case.kept.number).done
    assert review.apply(desk, case.kept.number, named="ola@ext.example").done
    [words] = office.post()
    assert (words.letter.address, words.letter.remarks.words) == (
        "kari@crm.example",
        "Send me the contract.",
    )


def test_five_texts_a_day_and_row(office: Office) -> None:
    office.clock = office.clock.replace(hour=12) + DAY
    for number in range(7):
        assert office.text(f"Text {number}").outcome is Outcome.COMMENT
    assert len(office.post()) == 5
    assert len(office.events("not_forwarded")) == 2
    office.clock += DAY
    office.text("The next day")
    assert len(office.post()) == 1
    assert len(office.events("comment")) == 8, "all are filed"


@pytest.mark.parametrize(
    ("who", "headers"),
    [
        ("kari@crm.example", ""),
        (MAILBOX, ""),
        ("ola@ext.example", "Precedence: bulk\r\n"),
        ("ola@ext.example", "List-Id: <a.b>\r\n"),
        ("ola@ext.example", "Return-Path: <>\r\n"),
    ],
)
def test_no_loop(office: Office, who: str, headers: str) -> None:
    office.text("Hello there", who, headers)
    assert office.post() == []


@pytest.mark.parametrize("owner", ["", MAILBOX, f"invites+{TOKENS['eva']}@crm.example", "nobody"])
def test_no_mail_to_an_owner_without_a_mailbox_of_his_own(office: Office, owner: str) -> None:
    with office.store.write() as connection:
        connection.execute(sa.update(schema.associate).values(email=owner))
    assert office.text("Hello there").outcome is Outcome.COMMENT
    assert office.post() == []
    assert len(office.events("not_forwarded")) == 1


def test_words_neither_wait_for_the_invitees_letters_nor_keep_them_waiting(office: Office) -> None:
    with office.store.write() as connection:
        followups.reschedule(connection, "m1", {"title": "Oppstart"})
    planning.plan_due(office.store, office.settings, office.clock, everything=True)
    with office.store.write() as connection:
        connection.execute(
            sa.update(schema_letters.outbox)
            .where(schema_letters.outbox.c.state == LetterState.WAITING)
            .values(state=LetterState.HELD)
        )
    office.text("Hello there")
    [words] = office.post()
    assert words.letter.method is Method.NONE
    with office.store.write() as connection:
        connection.execute(
            sa.update(schema_letters.outbox)
            .where(schema_letters.outbox.c.id == words.id)
            .values(state=LetterState.HELD)
        )
        connection.execute(
            sa.update(schema_letters.outbox)
            .where(
                schema_letters.outbox.c.id < words.id,
                schema_letters.outbox.c.state == LetterState.HELD,
            )
            .values(state=LetterState.WAITING)
        )
    assert {one.letter.address for one in office.post()} == {"ola@ext.example", "eva@other.example"}


def test_words_that_wait_survive_the_planner(office: Office) -> None:
    office.text("Hello there")
    with office.store.write() as connection:
        followups.reschedule(connection, "m1", {"cancelled": True})
    assert sorted(one.letter.method for one in office.post()) == [
        Method.NONE,
        Method.CANCEL,
        Method.CANCEL,
    ]


def test_an_answer_to_the_passed_on_words_speaks_for_nobody(office: Office) -> None:
    office.text("Hello there")
    [words] = office.post()
    result = office.receive(
        f"From: kari@crm.example\r\nTo: {MAILBOX}\r\nSubject: Re: x\r\nMessage-ID: <k@crm.example>\r\n"
        f"In-Reply-To: <{words.letter.message_id}>\r\n\r\nThank you\r\n"
    )
    assert result.outcome is Outcome.IGNORED


# Reports (itip.md §3, Bounces)


def report(
    office: Office,
    action: str,
    to: str = "ola@ext.example",
    token: str = "ola",
    words: str = "",
    *,
    mta: str = "mx.example",
    fields: str = "",
    letter: str = "",
    at: str = "",
) -> process.Result:
    """`mta`: whose report it is; `fields`: more of the recipient; `letter`: the Message-ID of what
    came back; `at`: the address that it comes to.
    """
    at = at or f"invites+b_{TOKENS[token]}@crm.example"
    office.mails += 1
    diagnostic = f"Diagnostic-Code: smtp; {words}\r\n" if words else ""
    returned = f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{letter}>\r\n\r\n"
    status = re.search(r"[45]\.\d+\.\d+", words)
    code = status[0] if status else "5.1.1" if action == "failed" else "4.4.7"
    return office.receive(
        f"From: MAILER-DAEMON@mx.example\r\nTo: {at}\r\nReturn-Path: <>\r\nSubject: Report\r\n"
        f"Message-ID: <r{office.mails}@mx.example>\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nReport\r\n'
        f"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; {mta}\r\n\r\n"
        f"Final-Recipient: rfc822; {to}\r\nAction: {action}\r\nStatus: {code}\r\n{fields}{diagnostic}\r\n"
        f"{returned if letter else ''}--b--\r\n"
    )


def prose(office: Office, to: str, words: str = "ola@ext.example") -> process.Result:
    office.mails += 1
    return office.receive(
        f"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nTo: {to}\r\nSubject: Undeliverable\r\n"
        f"Message-ID: <p{office.mails}@mx.example>\r\n\r\nNot delivered to {words}: no such user\r\n"
    )


def envelope(office: Office, to: str = "ola@ext.example") -> str:
    """The envelope sender of the last letter to somebody."""
    return next(
        one for one in reversed(office.letters) if one.letter.address == to
    ).letter.bounce_address


def test_words_count_at_the_keyed_bounce_address_alone(office: Office) -> None:
    bounce = envelope(office)
    assert bounce.startswith(f"invites+b_{TOKENS['ola']}_")
    mailbox, _, check = bounce.partition("@")[0].rpartition("_")
    for forged in (mailbox, f"{mailbox}_{check[::-1]}", f"{mailbox}_", f"invites+{TOKENS['ola']}"):
        assert prose(office, f"{forged}@crm.example").outcome is Outcome.COMMENT
    eva = envelope(office, "eva@other.example").replace(TOKENS["eva"], TOKENS["ola"])
    assert prose(office, eva).outcome is Outcome.COMMENT
    assert office.row("ola@ext.example").delivery is Delivery.SENT
    assert prose(office, bounce.upper(), "somebody").outcome is Outcome.BOUNCED
    assert office.row("ola@ext.example").delivery is Delivery.UNDELIVERABLE


def test_the_mark_of_an_earlier_program_counts_until_a_letter_left_with_a_check(
    office: Office,
) -> None:
    old = f"invites+b_{TOKENS['ola']}@crm.example"
    with office.store.write() as connection:
        connection.execute(sa.update(schema_letters.invitation).values(bounce_address=old))
    assert prose(office, old, "somebody").outcome is Outcome.COMMENT
    assert prose(office, old).outcome is Outcome.BOUNCED
    with office.store.write() as connection:
        followups.reschedule(connection, "m1", {"location": "Vidda"})
    office.post()
    assert envelope(office) != old
    assert prose(office, old).outcome is Outcome.COMMENT
    assert prose(office, envelope(office)).outcome is Outcome.BOUNCED


def test_an_adopted_invitation_gets_its_mark_with_the_first_letter_from_here(
    store: Store,
) -> None:
    office = Office(store)
    office.begin()
    with office.store.write() as connection:
        connection.execute(sa.update(schema_letters.invitation).values(bounce_address=""))
        followups.reschedule(connection, "m1", {"title": "Oppstart"})
    office.post()
    assert "_" in envelope(office).partition("+b_")[2]


def receipt(office: Office, sender: str, of: str, to: str = "ola") -> process.Result:
    """A read receipt for the last letter to `of`."""
    office.mails += 1
    letter = next(one for one in reversed(office.letters) if one.letter.address == of).letter
    return office.receive(
        f"From: {sender}\r\nTo: invites+{TOKENS[to]}@crm.example\r\nSubject: Read\r\nMessage-ID: <d{office.mails}@x.example>\r\n"
        'Content-Type: multipart/report; report-type=disposition-notification; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
        f"Final-Recipient: rfc822; {of}\r\nOriginal-Message-ID: <{letter.message_id}>\r\n"
        "Disposition: manual-action/MDN-sent-manually; displayed\r\n\r\n--b--\r\n"
    )


def test_a_receipt_is_of_the_letter_that_it_names_and_came_by_mail(office: Office) -> None:
    assert receipt(office, "mallory@evil.example", "eva@other.example").outcome is Outcome.IGNORED
    assert receipt(office, "eva@other.example", "eva@other.example").outcome is Outcome.IGNORED
    assert receipt(office, "ola@ext.example", "eva@other.example").outcome is Outcome.IGNORED
    assert office.row("ola@ext.example").status == "invitation"
    assert receipt(office, "robot@far.example", "ola@ext.example").outcome is Outcome.SEEN
    assert office.row("ola@ext.example").status == "seen"
    assert office.row("eva@other.example").status == "invitation"
    with office.store.read() as connection:
        entries = connection.execute(
            sa.select(schema.journal.c.channel).where(schema.journal.c.event == "seen")
        ).scalars()
        assert list(entries) == ["mail"]


def test_a_report_about_anothers_letter_is_for_a_person(office: Office) -> None:
    eva = next(one for one in office.letters if one.letter.address == "eva@other.example")
    office.mails += 1
    result = office.receive(
        f"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example\r\nTo: invites+{TOKENS['ola']}@crm.example\r\nSubject: Report\r\n"
        'Message-ID: <f@mx.example>\r\nContent-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        "Final-Recipient: rfc822; ola@ext.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{eva.letter.message_id}>\r\n\r\n--b--\r\n"
    )
    assert result.outcome is Outcome.NOT_AN_ANSWER
    for one in ("ola@ext.example", "eva@other.example"):
        assert office.row(one).delivery is Delivery.SENT


def test_a_machines_notice_reaches_the_owner(office: Office) -> None:
    office.mails += 1
    result = office.receive(
        f"From: filter@ext.example\r\nTo: invites+{TOKENS['ola']}@crm.example\r\nSubject: Quarantine\r\n"
        "Message-ID: <n@ext.example>\r\nAuto-Submitted: auto-generated\r\n\r\nYour letter waits for a key.\r\n"
    )
    assert result.outcome is Outcome.COMMENT
    [words] = office.post()
    assert (words.letter.method, words.letter.address) == (Method.NONE, "kari@crm.example")


def cancelled(office: Office) -> list[str]:
    with office.store.write() as connection:
        followups.reschedule(connection, "m1", {"cancelled": True})
    return sorted(one.letter.address for one in office.post() if one.letter.method is Method.CANCEL)


def test_after_a_bounce_no_cancel_goes_there(office: Office) -> None:
    assert report(office, "failed").outcome is Outcome.BOUNCED
    row = office.row("ola@ext.example")
    assert (row.delivery, row.status, row.email_invite) == (
        Delivery.UNDELIVERABLE,
        "invitation",
        True,
    )
    assert office.post() == [], "a bounce causes no mail"
    assert cancelled(office) == ["eva@other.example"]


QUOTA = "550 5.1.90 Your message can't be sent because you've reached your daily limit"
BLOCKED = (
    "554 5.7.1 Service unavailable; Client host [203.0.113.9] blocked using zen.spamhaus.example"
)


def sent(office: Office) -> None:
    """As a worker writes it down whose server took the letters."""
    with office.store.write() as connection:
        attempts = [
            Attempt(one.id, office.clock, 0.1, "sent", "body", 250, "", "ok", "mx")
            for one in outbox.find(connection, Selection())
        ]
        claims.settle(connection, [], attempts, "", office.clock)


@pytest.mark.parametrize("words", [QUOTA, BLOCKED, "550 5.7.54 Relaying denied"])
def test_a_report_about_our_account_blames_nobody_and_the_letter_is_tried_again(
    office: Office, words: str
) -> None:
    sent(office)
    with capture_logs() as logs:
        assert report(office, "failed", words=words).outcome is Outcome.BOUNCED
        report(office, "failed", "eva@other.example", "eva", words)
    assert [one["event"] for one in logs if one["log_level"] == "error"] == [
        "mail comes back for the account's sake"
    ], "one alarm"
    row = office.row("ola@ext.example")
    assert row.delivery is Delivery.DEFERRED
    assert office.post() == [], "not by itself"
    changed = queue.change(
        office.store, queue.Verb.RETRY, Selection(account="default"), office.clock, "root"
    )
    assert {one.letter.address for one in changed} == {"ola@ext.example", "eva@other.example"}
    assert {one.letter.address for one in office.post()} == {"ola@ext.example", "eva@other.example"}
    assert office.row("ola@ext.example").delivery is Delivery.SENT
    with office.store.read() as connection:
        assert pace.resting(connection) == [], "two are too few to rest for"


SPF = "550 5.7.26 This mail has been blocked: SPF check of crm.example failed, 198.51.100.7"


@pytest.mark.parametrize(
    "facts",
    [
        {"to": "ola@mail.example"},
        {"to": "ola@mail.example", "fields": "Original-Recipient: rfc822; ola@ext.example\r\n"},
        {"mta": "mx.ext.example", "fields": "Remote-MTA: dns; in.mail.example (192.0.2.1)\r\n"},
    ],
)
def test_what_a_forwarder_was_refused_for_is_no_fault_of_our_account(
    office: Office, facts: dict[str, str]
) -> None:
    sent(office)
    with capture_logs() as logs:
        result = report(office, "failed", words=SPF, at=envelope(office), **facts)
    assert result.outcome is Outcome.BOUNCED
    assert [one["event"] for one in logs if one["log_level"] == "error"] == []
    assert office.events("account_blamed") == []
    row = office.row("ola@ext.example")
    assert row.delivery is Delivery.UNDELIVERABLE
    assert SPF in reason(office)
    assert office.row("eva@other.example").delivery is Delivery.SENT


@pytest.mark.parametrize(
    "facts",
    [
        {"mta": "out.relay.example", "fields": "Remote-MTA: dns; mx.ext.example\r\n"},
        {"mta": "mx.ext.example", "fields": "Remote-MTA: dns; store.ext.example\r\n"},
        {"to": "ola.hansen@mail.ext.example", "mta": "mx.ext.example"},
    ],
)
def test_what_the_invitees_own_server_says_of_us_is_our_accounts(
    office: Office, facts: dict[str, str]
) -> None:
    sent(office)
    report(office, "failed", words=SPF, at=envelope(office), **facts)
    assert len(office.events("account_blamed")) == 1
    assert office.row("ola@ext.example").delivery is Delivery.DEFERRED


def reason(office: Office) -> str:
    """What is shown of Ola's delivery."""
    with office.store.read() as connection:
        shown = invitations.deliveries(connection, None).values()
    return next(one.delivery_text for one in shown if one.address == "ola@ext.example")


def states(office: Office, to: str = "ola@ext.example") -> list[LetterState]:
    with office.store.read() as connection:
        letters = outbox.find(connection, Selection())
    return [one.state for one in letters if one.letter.address == to]


@pytest.mark.parametrize("words", [BLOCKED, ""])
def test_a_report_is_about_the_letter_that_it_names(office: Office, words: str) -> None:
    """The first one comes back when the second has arrived: who holds that gets its CANCEL."""
    with office.store.write() as connection:
        followups.reschedule(connection, "m1", {"location": "Vidda"})
    office.post()
    sent(office)
    first, second = [
        one.letter.message_id for one in office.letters if one.letter.address == "ola@ext.example"
    ]
    assert report(office, "failed", words=words, letter=first).outcome is Outcome.BOUNCED
    assert report(office, "delayed", letter=first).outcome is Outcome.DELAYED
    assert states(office) == [LetterState.REFUSED, LetterState.SENT]
    assert office.row("ola@ext.example").delivery is Delivery.SENT
    report(office, "failed", words=words, letter=first)
    assert states(office) == [LetterState.REFUSED, LetterState.SENT], "the same again"
    assert office.post() == []
    report(office, "failed", letter=second)
    assert office.row("ola@ext.example").delivery is Delivery.UNDELIVERABLE
    assert cancelled(office) == ["eva@other.example"]


def test_a_report_that_names_no_letter_is_about_the_bounce_address_it_came_to(
    office: Office,
) -> None:
    old = envelope(office)
    with office.store.write() as connection:
        connection.execute(
            sa.update(schema.participant)
            .where(schema.participant.c.email == "ola@ext.example")
            .values(email="ola@new.example", given_token=None)
        )
    office.post()
    assert prose(office, old, "somebody").outcome is Outcome.BOUNCED
    assert office.row("ola@new.example").delivery is Delivery.SENT
    assert prose(office, envelope(office, "ola@new.example"), "ola").outcome is Outcome.BOUNCED
    assert office.row("ola@new.example").delivery is Delivery.UNDELIVERABLE


def test_an_account_of_which_several_reports_name_a_quota_rests(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOKENS, "per", "p4h6j2k3l5n7q2r4s6t3u5v7wx")
    with office.store.write() as connection:
        load.load(
            connection,
            {
                "follow_ups": [
                    {
                        "key": "m2",
                        "owner": "kari",
                        "title": "More",
                        "start": "2040-05-10T09:00:00",
                        "participants": [
                            {
                                "email": "per@ext.example",
                                "email_invite": True,
                                "token": TOKENS["per"],
                            }
                        ],
                    }
                ]
            },
            office.settings,
            office.clock,
        )
    office.post()
    sent(office)
    report(office, "failed", words=QUOTA)
    report(office, "failed", words=QUOTA)
    with office.store.read() as connection:
        assert pace.resting(connection) == [], "one person's word"
    report(office, "failed", "eva@other.example", "eva", QUOTA)
    report(office, "failed", "per@ext.example", "per", QUOTA)
    with office.store.read() as connection:
        [rest] = pace.resting(connection)
    assert (rest.account, rest.until - office.clock) == ("default", timedelta(minutes=15))


def test_whoever_answers_a_letter_that_came_back_for_the_accounts_sake_has_it(
    office: Office,
) -> None:
    sent(office)
    report(office, "failed", words=BLOCKED)
    office.answer()
    assert office.row("ola@ext.example").delivery is Delivery.SENT
    assert cancelled(office) == ["eva@other.example", "ola@ext.example"]


@pytest.mark.parametrize("later", ["REPLY", "COUNTER"])
def test_a_later_answer_clears_the_mark(office: Office, later: str) -> None:
    report(office, "failed")
    office.answer() if later == "REPLY" else counter(office)
    assert office.row("ola@ext.example").delivery is Delivery.SENT
    assert cancelled(office) == ["eva@other.example", "ola@ext.example"]


def test_an_answer_clears_the_mark_while_the_next_letter_waits(office: Office) -> None:
    report(office, "failed")
    with office.store.write() as connection:
        followups.reschedule(connection, "m1", {"title": "Oppstart"})
    planning.plan_due(office.store, office.settings, office.clock, everything=True)
    assert office.row("ola@ext.example").delivery is Delivery.QUEUED
    office.answer()
    assert cancelled(office) == ["eva@other.example", "ola@ext.example"]


def test_an_answer_tells_that_a_bounced_invitation_is_held_though_the_switch_is_off(
    office: Office,
) -> None:
    report(office, "failed")
    with office.store.write() as connection:
        connection.execute(
            sa.update(schema.participant)
            .where(schema.participant.c.email == "ola@ext.example")
            .values(email_invite=False)
        )
    assert office.post() == []
    office.answer()
    assert cancelled(office) == ["eva@other.example", "ola@ext.example"]


def test_a_report_of_delay_is_no_news_of_an_address_that_refused(office: Office) -> None:
    assert report(office, "delayed").outcome is Outcome.DELAYED
    assert office.row("ola@ext.example").delivery is Delivery.DEFERRED
    report(office, "failed")
    assert report(office, "delayed").outcome is Outcome.DELAYED
    assert office.row("ola@ext.example").delivery is Delivery.UNDELIVERABLE
    assert cancelled(office) == ["eva@other.example"]


def test_a_report_about_the_old_address_leaves_the_new_one_alone(office: Office) -> None:
    with office.store.write() as connection:
        connection.execute(
            sa.update(schema.participant)
            .where(schema.participant.c.email == "ola@ext.example")
            .values(email="ola@new.example", given_token=None)
        )
    assert [(one.letter.address, one.letter.method) for one in office.post()] == [
        ("ola@ext.example", Method.CANCEL),
        ("ola@new.example", Method.REQUEST),
    ]
    assert report(office, "failed").outcome is Outcome.BOUNCED
    assert office.row("ola@new.example").delivery is Delivery.SENT


def test_a_refused_refusal_marks_the_address_and_keeps_what_he_holds(office: Office) -> None:
    counter(office)
    office.decide(deciding.decline, office.open()[0].id)
    assert [one.letter.method for one in office.post(refuse="ola@ext.example")] == [
        Method.DECLINECOUNTER
    ]
    assert office.row("ola@ext.example").delivery is Delivery.UNDELIVERABLE
    with office.store.read() as connection:
        assert [one.letter.method for one in outbox.pending(connection, [LetterState.REFUSED])] == [
            Method.DECLINECOUNTER
        ]
    assert office.post() == [], "he holds the invitation all the same"
