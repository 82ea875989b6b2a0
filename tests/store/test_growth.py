"""Nothing that the daemon, the page and the lists do becomes dearer with what a store holds of the
past (quality.md): every statement is planned, and counted, on a store of years.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import health
from gateway import settings as configuration
from gateway.actions import (
    answering,
    assigning,
    cancelling,
    carrying,
    deliveries,
    desk,
    histories,
    inviting,
    letters,
    load,
    mail_accounts,
    measuring,
    moving,
    planning,
    queue,
    recording,
    reminders,
)
from gateway.actions import health as troubles
from gateway.actions.answering import Own, Said
from gateway.actions.desk import Desk
from gateway.actions.moving import When
from gateway.errors import Refused
from gateway.followups.decisions import DecisionKind
from gateway.followups.invitees import Entry, Source
from gateway.inbound import process
from gateway.inbound.process import Received
from gateway.model import Access, Actor, Delivery, Kind, LetterState, Reply
from gateway.outbound import planner
from gateway.status import Status
from gateway.store import (
    codec,
    conditions,
    decisions,
    filters,
    followups,
    inbox,
    journal,
    leases,
    outbox,
    pace,
    reading,
    review,
    upkeep,
    views,
)
from gateway.store.decisions import Filter
from gateway.store.engine import Connection, Store
from gateway.store.inbox import Place
from gateway.store.outbox import Attempt, Queued, Settlement
from gateway.store.pace import Room
from gateway.web import feed
from tests.core import specimens
from tests.store import crowd

SETTINGS = configuration.load(
    overrides={"mail": {"address": "invites@crm.example", "name": "Firma AS"}}
)
GATEWAY = "here"
OUTCOMES = ["applied", "held", "party_crasher", "duplicate", "bounced", "comment", "ignored"]
FOLLOW_UP = {
    "key": "m1",
    "owner": "kari",
    "title": "Kick-off",
    "uid": "m1@crm.example",
    "start": "2040-05-09T09:00:00",
    "end": "2040-05-09T10:00:00",
    "timezone": "Europe/Oslo",
    "participants": [
        {"person": "ola", "email_invite": True, "token": "olatoken"},
        {"email": "eva@other.example", "name": "Eva", "email_invite": True, "token": "evatoken"},
        {"email": "per@other.example", "name": "Per", "email_invite": True, "token": "pertoken"},
    ],
}
DOCUMENT = {
    "associates": [
        {"key": "kari", "name": "Kari Nordmann", "email": "kari@crm.example"},
        {"key": "per", "name": "Per", "email": "per@crm.example"},
    ],
    "persons": [{"key": "ola", "name": "Ola Hansen", "emails": ["ola@ext.example"]}],
    "follow_ups": [FOLLOW_UP],
}


ROWS = 20_000
STEPS = {"sqlite": 10_000, "postgresql": 1_000}
"""What a statement may need, in instructions or in rows (`crowd.Cost`): walking through one of the
tables needs several times as much. A page of 200 journal entries needs most.
"""
NEWEST_FIRST = "ORDER BY attempt.id DESC"
"""Attempts are read from the newest on, until one of the account is a decision."""
SERIES = "follow_up_date USING COVERING INDEX sqlite_autoindex_follow_up_date_1"
"""Every follow-up with dates of its own is a series, and series are shown for ever."""


@pytest.fixture
def crowded(store: Store) -> Store:
    crowd.fill(store, ROWS)
    return store


def test_no_statement_walks_through_what_is_over(crowded: Store) -> None:
    assert len(walking(crowded, walk)) == 2, "by its plan, and by its rows"
    assert walking(crowded, live) == []


def test_the_queue_of_one_domain_makes_no_claim_dearer(crowded: Store) -> None:
    last = range(ROWS - 2, ROWS + 1)
    with crowded.write() as connection:
        facts = {"facts": codec.edition(specimens.SINGLE)}
        connection.execute(sa.text("UPDATE edition SET facts = :facts"), facts)
        connection.exec_driver_sql("UPDATE outbox SET state = 'waiting'")
        connection.exec_driver_sql(
            f"UPDATE outbox SET domain = 'other' || id || '.example' WHERE id >= {last[0]}"
        )
        connection.exec_driver_sql("ANALYZE")
    room, claimed = pace.Room(100, 10, {"ext.example": 0}), list[Queued]()

    def claim(store: Store) -> None:
        claimed.extend(deliveries.claim(store, GATEWAY, datetime.now(UTC), room))

    assert walking(crowded, claim) == []
    assert [letter.id for letter in claimed] == [*last]


def walking(store: Store, work: Callable[[Store], None]) -> list[str]:
    """The statements of this work that walk through a table that grows."""
    most = STEPS["sqlite" if store.is_sqlite else "postgresql"]
    with crowd.costs(store) as found:
        work(store)
    return [
        f"{cost.steps} steps, {cost.scans}: {cost.statement}"
        for cost in found.values()
        if cost.steps > most or _scans(cost)
    ]


def walk(store: Store) -> None:
    """Without an index, and with one that does not lead far."""
    with store.read() as connection:
        for condition in ("subject = 'x'", "account = 'default' AND folder = 'INBOX' AND moved"):
            query = sa.text(f"SELECT count(*) FROM inbox WHERE {condition}")
            connection.execute(query).scalar_one()


def _scans(cost: crowd.Cost) -> list[str]:
    return [
        scan
        for scan in cost.scans
        if not scan.endswith(SERIES) and not ("attempt" in scan and NEWEST_FIRST in cost.statement)
    ]


def live(store: Store) -> None:
    """A day of an installation: letters are planned and sent, answered and refused, looked at."""
    now, tally = datetime.now(UTC), measuring.Tally()
    measuring.look(store, SETTINGS, tally, now)
    prepare(store, now)
    measuring.look(store, SETTINGS, tally, now)
    send(store, now)
    read(store, now)

    look(store, now)
    measuring.look(store, SETTINGS, tally, now)
    lists(store, now)
    participate(store, now)
    own(store, now)
    change(store, now)


def prepare(store: Store, now: datetime) -> None:
    mail_accounts.require(store, SETTINGS, now)
    mail_accounts.revive(store, SETTINGS, now)
    with store.write() as connection:
        load.load(connection, DOCUMENT, SETTINGS, now)
    planner._until_due(store, SETTINGS)
    planning.plan_due(store, SETTINGS, now, everything=True)


def send(store: Store, now: datetime) -> None:
    deliveries.resume(store, "default", now)
    deliveries.others_taken(store, "default")
    deliveries.rest_of(store, "default")
    claimed = deliveries.claim(store, GATEWAY, now, Room(100))
    deliveries.settle(store, GATEWAY, [settled(one, now) for one in claimed], now)
    deliveries.claim(store, GATEWAY, now + timedelta(hours=1), Room(100))
    deliveries.held(store)
    deliveries.renew(store, GATEWAY, now)
    deliveries.leave(store, GATEWAY)


def settled(one: Queued, now: datetime) -> tuple[Queued, Settlement, Attempt]:
    sent = Settlement(one.id, LetterState.SENT, True, Delivery.SENT)
    attempt = Attempt(one.id, now, 0.1, "sent", "body", 250, "2.0.0", "ok", "mx")
    if "per@" in one.letter.address:
        sent = Settlement(
            one.id, LetterState.REFUSED, False, Delivery.UNDELIVERABLE, note="550 no such user"
        )
        attempt = Attempt(one.id, now, 0.1, "refused", "rcpt", 550, "5.1.1", "no such user", "mx")
    return one, sent, attempt


def answer(who: str, token: str, number: int, at: datetime, words: str = "ACCEPTED") -> bytes:
    to = f"invites+{token}@crm.example" if token else "invites@crm.example"
    lines = [
        f"From: {who}",
        f"To: {to}",
        "Subject: Answer",
        f"Message-ID: <{number}@mail.ext.example>",
        "MIME-Version: 1.0",
        "Content-Type: text/calendar; charset=utf-8; method=REPLY",
        "",
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Example//EN",
        "METHOD:REPLY",
        "BEGIN:VEVENT",
        "UID:m1@crm.example",
        f"DTSTAMP:{at:%Y%m%dT%H%M%SZ}",
        f"ORGANIZER:mailto:{to}",
        f"ATTENDEE;PARTSTAT={words}:mailto:{who}",
        "SEQUENCE:0",
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(lines).encode()


def read(store: Store, now: datetime) -> None:
    processor = process.Processor(store, SETTINGS)
    report = (
        b"From: MAILER-DAEMON@mx.example\r\nTo: invites+evatoken@crm.example\r\n"
        b"Subject: Undelivered\r\nMessage-ID: <r@mx.example>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/plain\r\n\r\nSorry\r\n"
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
        b"Final-Recipient: rfc822; eva@other.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"
        b"--b--\r\n"
    )
    words = (
        b"From: ola@ext.example\r\nTo: invites+olatoken@crm.example\r\nSubject: Re: Kick-off\r\n"
        b"Message-ID: <w@ext.example>\r\nContent-Type: text/plain\r\n\r\nI shall be late.\r\n"
    )
    mails = [
        answer("ola@ext.example", "olatoken", 1, now),
        answer("eva@other.example", "", 2, now, "TENTATIVE"),
        answer("mallory@evil.example", "", 3, now),
        answer("ola@ext.example", "olatoken", 1, now),
        report,
        words,
        b"From: nobody@ext.example\r\nTo: invites@crm.example\r\n\r\nBuy!\r\n",
    ]
    batch = [
        Received(raw, now, len(raw), place=Place("default", "INBOX", 1, 1_000_000 + number))
        for number, raw in enumerate(mails)
    ]
    results = processor.receive(batch, Place("default", "INBOX", 1, 1_000_100))
    found = [one.outcome.value if one.outcome else "" for one in results]
    assert found == OUTCOMES, [(one.outcome, one.reason) for one in results]
    processor.explain(batch[0])


def participate(store: Store, now: datetime) -> None:
    """What people do to the rows of one follow-up in the CRM itself."""
    crm = Actor(Access.CRM, name="office")
    with store.read() as connection:
        numbers = {one.key: one.id for one in followups.members(connection, "m1")}
    eva, ola = numbers["eva@other.example"], numbers["ola"]
    added = [Entry(Source.PERSON, "p7"), Entry(Source.COMPANY, "acme"), Entry(Source.PROJECT, "p1")]
    commands: list[Callable[[Desk], object]] = [
        lambda here: inviting.add(here, "m1", added, email_invite=True),
        lambda here: inviting.switch_all(here, "m1", on=True),
        lambda here: answering.answer(here, ola, Said(Reply.DECLINED)),
        lambda here: answering.acknowledge(here, ola),
        lambda here: answering.toggle(here, eva),
        lambda here: answering.see(here, eva),
        lambda here: answering.adjust(here, eva, Own("high")),
        lambda here: inviting.readdress(here, ola, "ola@other.example"),
        lambda here: inviting.remove(here, ola),
        lambda here: inviting.restore(here, ola),
    ]
    for command in commands:
        desk.perform(store, SETTINGS, now, crm, command)


def own(store: Store, now: datetime) -> None:
    """What its owner does to a follow-up in the CRM itself."""
    crm = Actor(Access.CRM, name="office")
    later = When("2040-05-09T11:00:00")
    note = {"key": "m9", "kind": "task", "title": "Note", "deadline": "2040-05-09"}
    commands: list[Callable[[Desk], object]] = [
        lambda here: cancelling.cancel(here, "m1", "Snow"),
        lambda here: cancelling.reinstate(here, "m1"),
        lambda here: moving.reschedule(here, "m1", later),
        lambda here: moving.dates(here, "m1", "2040-05-01", "2040-06-01"),
        lambda here: assigning.assign(here, "m1", "per"),
        lambda here: assigning.assign(here, "m1", "kari"),
        lambda here: carrying.complete(here, "m1"),
        lambda here: carrying.complete(here, "m1", completed=False),
        lambda here: recording.put(here, "m1", FOLLOW_UP),
        lambda here: recording.create(here, note),
        lambda here: recording.delete(here, "m9"),
    ]
    for command in commands:
        desk.perform(store, SETTINGS, now, crm, command)
    planning.plan_due(store, SETTINGS, now, everything=True)
    with pytest.raises(Refused):
        desk.perform(store, SETTINGS, now, crm, lambda here: reminders.ask(here, "m1"))
    recording.forget(store)


def change(store: Store, now: datetime) -> None:
    """The record changes, people are renamed and removed, a follow-up is deleted."""
    for statement in (
        "UPDATE follow_up SET title = 'Kick-off, again' WHERE key = 'm1'",
        "UPDATE associate SET name = 'Per N.' WHERE key = 'per'",
        "UPDATE person_email SET address = 'ola@new.example' WHERE person = 'ola'",
        "UPDATE participant SET removed = TRUE WHERE follow_up = 'm1'",
        "DELETE FROM participant WHERE follow_up = 'm1' AND email = 'eva@other.example'",
        "DELETE FROM follow_up WHERE key = 'm1'",
    ):
        with store.write() as connection:
            connection.exec_driver_sql(statement)
        planning.plan_due(store, SETTINGS, now, everything=True)


def decide(connection: Connection) -> None:
    """Decisions, as each role asks for them."""
    kinds = frozenset({DecisionKind.WORDS})
    for wanted in (
        Filter("kari"),
        Filter("kari", administrators=True, kinds=kinds),
        Filter(administrators=True),
        Filter(follow_up="m1"),
    ):
        decisions.page(connection, wanted, 50, 1_000_000)
        decisions.count(connection, wanted)
    decisions.follow_ups(connection, 0, 200)
    decisions.close_declines(connection, 1, "kari", datetime.now(UTC))
    followups.following(connection, "f1", 200)


def look(store: Store, now: datetime) -> None:
    with store.read() as connection:
        inbox.cursor(connection, "default", "INBOX")
        inbox.leftovers(connection, "default", "INBOX", 1)
        inbox.unmoved(connection, "default", "INBOX")
    with store.write() as connection:
        inbox.moved(connection, "default", "INBOX", 1, [1_000_000, 1_000_001])
        leases.take(connection, "mailbox:default", GATEWAY, now)
        conditions.hold(connection, GATEWAY, [health.store("away", None, now)], now)
    troubles.told(store, SETTINGS, now)
    reminders.remind(store, SETTINGS, GATEWAY, lambda: now)
    upkeep.tidy(store, now)


def lists(store: Store, now: datetime) -> None:
    live = feed.Feed(store)
    live._read_after(live._read_newest() - 3)
    live._read_beginning(5)
    queue.listed(store, queue.unfinished(outbox.Selection(), now))
    queue.listed(store, queue.unfinished(outbox.Selection(follow_up="m1"), now))
    queue.shape(store, now)
    queue.history(store, 1)
    letters.plan(store, SETTINGS, now)
    list(letters.listings(store, pending=True))
    with store.read() as connection:
        ahead = filters.FollowUps(since=now, open=True)
        page = filters.follow_ups(connection, Actor(Access.CRM, name="crm"), ahead, 5)
        reading.follow_ups(connection, page.names, "Europe/Oslo", participants=True)
        views.status_rows(connection, "m1")
        views.known(connection, "m1")
        review.waiting(connection)
        decide(connection)
        journal.after(connection, 0, 200)
        journal.after(connection, 10, 200)
        journal.after(connection, 0, 200, "m1")
    shown(store, now)


FOLLOW_UPS: list[dict[str, Any]] = [
    {},
    {"owner": "a7"},
    {"owner": "a7", "q": "Meeting 1"},
    {"participant": "p7"},
    {"participant": "nobody@ext.example"},
    {"person": "p7"},
    {"company": "acme"},
    {"project": "p1"},
    {"sale": "4711"},
    {"kind": Kind.TASK},
    {"type": "internal"},
    {"open": True},
    {"open": False},
    {"cancelled": True},
    {"q": "no such title"},
    {"q": "Meeting"},
]
PARTICIPANTS: list[dict[str, Any]] = [
    {},
    {"status": Status.DECLINED},
    {"status": Status.COMPLETED},
    {"reply": Reply.ACCEPTED},
    {"reply": Reply.NEEDS_ACTION},
    {"delivery": Delivery.UNDELIVERABLE},
    {"delivery": Delivery.SENT},
    {"conflict": True},
    {"follow_up": "f7"},
    {"person": "p7"},
    {"company": "acme"},
]


def shown(store: Store, now: datetime) -> None:
    """Lists of follow-ups and participants, by each filter, for an associate."""
    kari = Actor(Access.USER, "kari", "kari")
    recent = {"since": now - timedelta(hours=200)}
    times = recent, {"since": now, "silent": True}, {"until": now - timedelta(days=365)}
    changes = [
        {"changed_after": at} for at in (now - timedelta(hours=1), datetime(2019, 1, 1, tzinfo=UTC))
    ]
    with store.read() as connection:
        for wanted in (*FOLLOW_UPS, *times, *changes):
            page = filters.follow_ups(connection, kari, filters.FollowUps(**wanted), 20)
            reading.follow_ups(connection, page.names[:3], "Europe/Oslo", participants=True)
            if page.next is not None:
                filters.follow_ups(connection, kari, filters.FollowUps(**wanted), 20, page.next)
        for wanted in (*PARTICIPANTS, *changes):
            chosen = filters.Participants(**wanted)
            page = filters.participants(connection, kari, chosen, 20)
            reading.rows_of(connection, page.names[:3], "Europe/Oslo")
            filters.participants(connection, kari, chosen, 20, 10_000)
        seen = histories.seen(connection, kari, 10_000, 50)
        histories.now(connection, seen.entries[:3], "Europe/Oslo")
        histories.entries(connection, 0, 100, "f7")
        outbox.page(connection, "m1", 0, 100)
