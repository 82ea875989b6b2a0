"""Messages that are received together end as they would one after the other, and cost no more
statements than one (architecture.md §1: load, decide, save).
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from hypothesis import HealthCheck, given
from hypothesis import settings as profile
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gateway import settings as configuration
from gateway.actions import deliveries, load, planning
from gateway.inbound import process
from gateway.model import Delivery, LetterState, Outcome
from gateway.store import inbox, schema, schema_domain
from gateway.store.engine import Store
from gateway.store.outbox import Settlement
from gateway.store.pace import Room
from tests.examples import examples

NOW = datetime(2040, 5, 1, 8, tzinfo=UTC)
SETTINGS, ASKING = (
    configuration.load(
        overrides={
            "mail": {"address": "invites@crm.example", "name": "Firma AS"},
            "policy": {"authserv_id": "mx.crm.example", "party_crasher": policy},
        }
    )
    for policy in ("add", "ask")
)
PEOPLE = ("ola", "eva", "per")
MEETING = {
    "owner": "kari",
    "start": "2040-05-09T09:00:00",
    "end": "2040-05-09T10:00:00",
    "timezone": "Europe/Oslo",
}
TABLES = (
    "participant",
    "standing",
    "former_standing",
    "proposal",
    "delegation",
    "invitation",
    "outbox",
    "inbox",
    "journal",
)
VOUCHED = "Authentication-Results: mx.crm.example; dmarc=pass header.from=ext.example\r\n"


@dataclass(frozen=True)
class Mail:
    """A mail about one of the follow-ups. `to`: whose token it carries; "": none."""

    who: str = "ola"
    to: str = "ola"
    about: str = "m1"
    method: str = "REPLY"
    partstat: str = "ACCEPTED"
    minute: int = 0
    number: int = 0
    more: str = ""
    date: str = ""
    sequence: int = 0

    @property
    def head(self) -> str:
        token = f"+{self.to}{self.about}token" if self.to else ""
        return (
            f"{VOUCHED}From: {self.who}@ext.example\r\nTo: invites{token}@crm.example\r\n"
            f"Subject: Re: Kick-off\r\nMessage-ID: <{self.number}@ext.example>\r\n"
        )

    def raw(self) -> bytes:
        if self.method == "words":
            return f"{self.head}\r\nI shall be late.\r\n".encode()
        if self.method == "bounce":
            return self.report()
        date = f"RECURRENCE-ID:{self.date}\r\n" if self.date else ""
        return (
            f"{self.head}Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\n"
            f"METHOD:{self.method}\r\nBEGIN:VEVENT\r\nUID:{self.about}@crm.example\r\n{date}"
            f"DTSTAMP:20400430T08{self.minute:02}00Z\r\nSEQUENCE:{self.sequence}\r\n"
            "DTSTART:20400509T080000Z\r\n"
            f"ATTENDEE;PARTSTAT={self.partstat}{self.more}:mailto:{self.who}@ext.example\r\n"
            "END:VEVENT\r\nEND:VCALENDAR\r\n"
        ).encode()

    def report(self) -> bytes:
        return (
            f"Return-Path: <>\r\n{self.head}Content-Type: multipart/report;"
            " report-type=delivery-status; boundary=b\r\n\r\n--b\r\n"
            "Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx\r\n\r\n"
            f"Final-Recipient: rfc822; {self.to}@ext.example\r\nAction: failed\r\n"
            "Status: 5.1.1\r\n\r\n--b--\r\n"
        ).encode()


def prepare(store: Store) -> None:
    """Two follow-ups whose invitations have left."""
    follow_ups = [
        MEETING
        | {
            "key": key,
            "title": "Kick-off",
            "uid": f"{key}@crm.example",
            "participants": [
                {"email": f"{one}@ext.example", "email_invite": True, "token": f"{one}{key}token"}
                for one in PEOPLE
            ],
        }
        | recurrence
        for key, recurrence in (("m1", {}), ("m2", {"recurrence": {"rrule": "FREQ=DAILY"}}))
    ]
    document = {
        "associates": [{"key": "kari", "name": "Kari", "email": "kari@crm.example"}],
        "follow_ups": follow_ups,
    }
    with time_machine.travel(NOW, tick=False):
        with store.write() as connection:
            load.load(connection, document, SETTINGS, NOW)
        planning.plan_due(store, SETTINGS, NOW, everything=True)
        claimed = deliveries.claim(store, "here", NOW, Room(100))
        assert len(claimed) == 2 * len(PEOPLE)
        settled = [
            (one, Settlement(one.id, LetterState.SENT, True, Delivery.SENT), None)
            for one in claimed
        ]
        deliveries.settle(store, "here", settled, NOW)


def receive(
    store: Store,
    mails: Sequence[Mail | bytes],
    together: bool,
    settings: configuration.Settings = SETTINGS,
) -> list[process.Result]:
    raws = [one if isinstance(one, bytes) else one.raw() for one in mails]
    received = [
        process.Received(raw, NOW, len(raw), place=inbox.Place("default", "INBOX", 1, number))
        for number, raw in enumerate(raws, 1)
    ]
    with time_machine.travel(NOW, tick=False):
        processor = process.Processor(store, settings)
        if together:
            return processor.receive(received)
        return [result for one in received for result in processor.receive([one])]


def contents(store: Store) -> dict[str, list[Any]]:
    """Everything that messages may change, but for what the database's own clock wrote. Decisions
    follow a whole set, and have other numbers for that.
    """
    found = dict[str, list[Any]]()
    with store.read() as connection:
        for name in TABLES:
            table = schema.metadata.tables[name]
            columns = [one for one in table.columns if one.name != "created_at"]
            found[name] = [tuple(row) for row in connection.execute(sa.select(*columns))]
        entries = found.pop("journal")
        names = [one.name for one in schema.journal.columns]
        number, event = (names.index(name) for name in ("id", "event"))
        decided = [one for one in entries if one[event].startswith("decision_")]
        found["journal"] = [one[number + 1 :] for one in entries if one not in decided]
        # Who writes twice is asked about once, by the newest message: one by one the first question
        # opens and closes, together it never opens.
        waiting = schema_domain.decision.c
        standing = sa.select(waiting.kind, waiting.follow_up, waiting.participant, waiting.subject)
        still_open = connection.execute(standing.where(waiting.closed_at.is_(None)))
        found["decisions"] = sorted(map(tuple, still_open), key=repr)
        marks = connection.execute(sa.select(schema.change_mark.c.follow_up).distinct())
        return found | {"change_mark": sorted(marks.scalars())}


def outcomes(results: Sequence[process.Result]) -> list[str]:
    return [one.outcome.value if one.outcome else "failed" for one in results]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    path = tmp_path_factory.mktemp("sets") / "store.db"
    shutil.copy(sqlite_template, path)
    with closing(Store(f"sqlite:///{path}")) as store:
        prepare(store)
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, Store]]:
    folder = tmp_path_factory.mktemp("pair")
    with (
        closing(Store(f"sqlite:///{folder}/together.db")) as together,
        closing(Store(f"sqlite:///{folder}/single.db")) as single,
    ):
        yield together, single


def both(
    pair: tuple[Store, Store],
    template: Path,
    mails: Sequence[Mail | bytes],
    settings: configuration.Settings = SETTINGS,
) -> list[process.Result]:
    """The results of a batch, which are and leave behind what single messages do."""
    for store in pair:
        store.close()
        assert store.path is not None
        for end in ("-wal", "-shm"):
            store.path.with_name(store.path.name + end).unlink(missing_ok=True)
        shutil.copy(template, store.path)
    together, single = (receive(store, mails, store is pair[0], settings) for store in pair)
    assert together == single
    left = contents(pair[1])
    for name, rows in contents(pair[0]).items():
        assert rows == left[name], name
    return together


MAILS = st.builds(
    Mail,
    who=st.sampled_from((*PEOPLE, "stranger")),
    to=st.sampled_from((*PEOPLE, "")),
    about=st.sampled_from(("m1", "m2")),
    method=st.sampled_from(("REPLY", "REPLY", "REPLY", "COUNTER", "REFRESH", "words", "bounce")),
    partstat=st.sampled_from(("ACCEPTED", "DECLINED", "TENTATIVE")),
    minute=st.integers(0, 2),
    number=st.integers(1, 3),
    more=st.sampled_from(("", "", ';DELEGATED-TO="mailto:eva@ext.example"')),
    date=st.sampled_from(("", "20400510T070000Z")),
)


@given(st.lists(MAILS, min_size=2, max_size=8), st.booleans())
@profile(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=examples(60),
)
def test_a_batch_ends_as_its_messages_would_one_by_one(
    pair: tuple[Store, Store], template: Path, mails: list[Mail], adds: bool
) -> None:
    both(pair, template, mails, SETTINGS if adds else ASKING)


YES, NO = Mail(minute=1, number=1), Mail(partstat="DECLINED", minute=2, number=2)
TO_SAM = Mail(partstat="DELEGATED", more=';DELEGATED-TO="mailto:sam@ext.example"')


@pytest.mark.parametrize(
    ("mails", "ends"),
    [
        ([YES, NO], ["applied", "applied"]),
        ([NO, YES], ["applied", "old_answer"]),
        ([YES, replace(YES, number=3)], ["applied", "duplicate"]),
        ([YES, YES], ["applied", "duplicate"]),
        ([YES, replace(NO, number=1)], ["applied", "applied"]),
        ([replace(YES, who="sam", to=""), replace(NO, who="sam", to="")], ["applied", "applied"]),
        ([TO_SAM, replace(YES, who="sam", to="")], ["delegated", "applied"]),
        ([replace(YES, method="bounce"), NO], ["bounced", "applied"]),
        ([replace(YES, method="words"), replace(NO, method="words")], ["comment", "comment"]),
        ([replace(YES, about="m2", date="20400510T070000Z"), NO], ["applied", "applied"]),
    ],
)
def test_what_an_earlier_message_of_the_batch_did_counts(
    pair: tuple[Store, Store], template: Path, mails: list[Mail], ends: list[str]
) -> None:
    assert outcomes(both(pair, template, mails)) == ends


def test_whoever_was_delegated_to_may_answer_in_the_same_batch(
    pair: tuple[Store, Store], template: Path
) -> None:
    mails = [replace(YES, who="eva", to="eva"), TO_SAM, replace(YES, who="sam", to="")]
    ends = outcomes(both(pair, template, mails, ASKING))
    assert ends == ["applied", "delegated", "applied"]


@pytest.mark.parametrize("together", [True, False], ids=["one follow-up", "many follow-ups"])
def test_many_answers_need_no_more_statements_than_few(store: Store, together: bool) -> None:
    """However many there are: of rows that have nothing to do with each other."""
    people = {f"p{at}": "m0" if together else f"m{at}" for at in range(40)}
    follow_ups = [
        MEETING
        | {
            "key": key,
            "title": "Kick-off",
            "uid": f"{key}@crm.example",
            "participants": [
                {"email": f"{one}@ext.example", "email_invite": True, "token": f"{one}{key}token"}
                for one, about in people.items()
                if about == key
            ],
        }
        for key in dict.fromkeys(people.values())
    ]
    document = {
        "associates": [{"key": "kari", "name": "Kari", "email": "kari@crm.example"}],
        "follow_ups": follow_ups,
    }
    with store.write() as connection:
        load.load(connection, document, SETTINGS, NOW)
    planning.plan_due(store, SETTINGS, NOW, everything=True)
    mails = [
        Mail(who=one, to=one, about=key, number=at) for at, (one, key) in enumerate(people.items())
    ]
    few = statements(store, mails[:5])
    many = statements(store, mails[5:])
    assert len(few) == len(many), "\n".join(many)
    assert len(many) <= 40, "\n".join(many)


def statements(store: Store, mails: Sequence[Mail]) -> list[str]:
    processor, found = process.Processor(store, SETTINGS), list[str]()
    received = [
        process.Received(
            one.raw(), NOW, 1, place=inbox.Place("default", "INBOX", 1, one.number + 1)
        )
        for one in mails
    ]

    def note(*event: Any) -> None:
        found.append(event[2])

    sa.event.listen(store.engine, "before_cursor_execute", note)
    try:
        results = processor.receive(received)
    finally:
        sa.event.remove(store.engine, "before_cursor_execute", note)
    assert set(outcomes(results)) == {"applied"}
    return found


def test_a_message_on_which_this_program_fails_takes_nothing_of_the_others_along(
    store: Store,
) -> None:
    """Its bytes are fit to be read, but not to be kept: SQLite's and PostgreSQL's limits."""
    prepare(store)
    refuse = (
        "CREATE TRIGGER refuse BEFORE INSERT ON standing WHEN NEW.comment = 'unlucky'"
        " BEGIN SELECT RAISE(ABORT, 'unlucky'); END"
        if store.is_sqlite
        else "ALTER TABLE standing ADD CONSTRAINT lucky CHECK (comment <> 'unlucky')"
    )
    with store.write() as connection:
        connection.exec_driver_sql(refuse)
    unlucky = replace(YES, who="eva", to="eva", more=';X-RESPONSE-COMMENT="unlucky"')
    mails = [YES, unlucky, replace(NO, who="per", to="per")]
    with capture_logs() as logs:
        results = receive(store, mails, together=True)
    assert outcomes(results) == ["applied", "failed", "applied"]
    assert [one["event"] for one in logs] == ["a message could not be processed"]
    with store.read() as connection:
        replies = connection.execute(sa.select(schema.standing.c.reply).order_by("participant"))
        assert "declined" in replies.scalars().all()
    received = receive(store, mails, together=True)
    assert outcomes(received) == ["duplicate", "failed", "duplicate"], "their places are recorded"


def test_places_of_the_same_batch_are_told_apart(store: Store) -> None:
    """The same bytes at two places: one has its effect, the other is a duplicate."""
    prepare(store)
    results = receive(store, [YES, YES, replace(YES, who="eva", to="eva")], together=True)
    assert outcomes(results) == ["applied", "duplicate", "applied"]
    with store.read() as connection:
        rows = connection.execute(sa.select(schema.inbox.c.uid, schema.inbox.c.outcome))
        assert sorted(tuple(row) for row in rows) == [
            (1, Outcome.APPLIED),
            (2, Outcome.DUPLICATE),
            (3, Outcome.APPLIED),
        ]
