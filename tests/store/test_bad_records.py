"""One record that says what cannot be: it says what is wrong with it, and nobody else suffers."""

import asyncio
import json
import os
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from gateway import health as conditions
from gateway import settings as configuration
from gateway import shapes
from gateway.actions import load, planning, reminders
from gateway.daemon.health import Monitor
from gateway.doctor import examination
from gateway.followups import limits
from gateway.inbound import process
from gateway.model import Access, Actor, GuestList, Outcome
from gateway.sections import Policy
from gateway.store import filters, journal, marks, outbox, reading
from gateway.store.engine import Store
from gateway.web import app, feed
from gateway.web.api.site import Site
from tests import command
from tests.store import rows
from tests.web import signing

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
GOOD = ("a good one", "z good one")
LATIN = "CAST(x'4AF872' AS TEXT)"
"""What Latin-1 makes of 'Jør', in a column of text."""
BLOB = "CAST('bad' AS BLOB)"
UTF_8, NO_TEXT = "is not text in UTF-8", "is a BLOB, not text"
REACH = "is not an instant of the years 1900 to 2999"


@dataclass(frozen=True)
class Bad:
    """What is wrong: columns of the follow-up, of its participant, and of Eva's card, in SQL.
    `words`: what its row says. `alone`: it is the matter of one participant, the others get mail.
    """

    words: str
    follow_up: dict[str, str]
    participant: dict[str, str]
    person: dict[str, str]
    kinds: tuple[str, ...] = ("sqlite", "postgresql")
    alone: bool = False


def of_follow_up(words: str, *kinds: str, **columns: str) -> Bad:
    return Bad(words, columns, {}, {}, kinds or ("sqlite", "postgresql"))


def of_participant(words: str, *kinds: str, alone: bool = True, **columns: str) -> Bad:
    return Bad(words, {}, columns, {}, kinds or ("sqlite", "postgresql"), alone)


def of_person(words: str, *kinds: str, **columns: str) -> Bad:
    return Bad(words, {}, {}, columns, kinds or ("sqlite", "postgresql"), alone=True)


OLA = {"person": "'ola'"}
CASES = {
    "end-9999": of_follow_up("end_at: '9999-12-31 23:59:59", end_at="'9999-12-31 23:59:59'"),
    "start-1": of_follow_up("start_at: '0001-01-01 00:00:00", start_at="'0001-01-01 00:00:00'"),
    "deadline-9999": of_follow_up(
        REACH, kind="'task'", start_at="NULL", end_at="NULL", deadline="'9999-12-31 23:59:59'"
    ),
    "answer-by-9999": of_follow_up("answer_by: '9999-12-31", answer_by="'9999-12-31 00:00:00'"),
    "infinity": of_follow_up("end_at: 'infinity' " + REACH, "postgresql", end_at="'infinity'"),
    "minus-infinity": of_follow_up("'-infinity' " + REACH, "postgresql", start_at="'-infinity'"),
    "year-20000": of_follow_up(REACH, "postgresql", end_at="'20000-01-01 00:00:00Z'"),
    "before-christ": of_follow_up(REACH, "postgresql", start_at="'0044-03-15 12:00:00Z BC'"),
    "all-day-9999": of_follow_up(
        REACH, all_day="TRUE", start_at="'9999-12-31 00:00:00'", end_at="'9999-12-31 00:00:00'"
    ),
    "zone": of_follow_up("unknown time zone 'Mars/Olympus'", timezone="'Mars/Olympus'"),
    "zone-of-a-folder": of_follow_up("unknown time zone 'Europe'", timezone="'Europe'"),
    "title-latin-1": of_follow_up(f"title: 'J\ufffdr' {UTF_8}", "sqlite", title=LATIN),
    "agenda-blob": of_follow_up(f"agenda: x'626164' {NO_TEXT}", "sqlite", agenda=BLOB),
    "zone-blob": of_follow_up(f"timezone: x'626164' {NO_TEXT}", "sqlite", timezone=BLOB),
    "flag": of_follow_up("cancelled: 'no' is neither 0 nor 1", "sqlite", cancelled="'no'"),
    "rule": of_follow_up("FREQ must be one of", rrule="'FREQ=SECONDLY;BYSETPOS=3;BYHOUR=1'"),
    "rule-of-32-bits": of_follow_up("INTERVAL is above", rrule="'FREQ=DAILY;INTERVAL=4294967297'"),
    "rule-of-nothing": of_follow_up(
        "recurrence rule", rrule="'FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;BYSETPOS=1'"
    ),
    "rule-that-never-matches": of_follow_up(
        "no date", rrule="'FREQ=YEARLY;BYDAY=MO;BYMONTH=5;BYSETPOS=300'"
    ),
    "name-latin-1": of_participant(f"name: 'J\ufffdr' {UTF_8}", "sqlite", name=LATIN),
    "switch": of_participant("email_invite: 'yes' is neither", "sqlite", email_invite="'yes'"),
    "date-9999": of_participant(
        "original_start: '9999-12-31", alone=False, original_start="'9999-12-31 00:00:00'"
    ),
    "date-infinity": of_participant(
        "original_start: 'infinity'", "postgresql", alone=False, original_start="'infinity'"
    ),
    "address-blob": of_participant(
        "email: x'626164' is a BLOB", "sqlite", person="NULL", email=BLOB
    ),
    "card-key-blob": of_person(f"person: x'626164' {NO_TEXT}", "sqlite", key=BLOB),
    "card-name-latin-1": of_person("person 'eva bad 0', name: 'J\ufffdr'", "sqlite", name=LATIN),
    "card-language-blob": of_person(
        "person 'eva bad 0', language: x'626164'", "sqlite", language=BLOB
    ),
}


def values(columns: dict[str, str]) -> str:
    return f"({', '.join(columns)}) VALUES ({', '.join(columns.values())})"


def record(store: Store, *cases: Bad) -> list[str]:
    """Each bad one between good ones, with people of its own, written as other programs do. Returns
    the keys of the bad ones as they are written.
    """
    begins, ends = (f"'{NOW + DAY + timedelta(hours=one):%Y-%m-%d %H:%M:%S}'" for one in (0, 1))
    meeting = {
        "owner": "'kari'",
        "title": "'Kick-off'",
        "start_at": begins,
        "end_at": ends,
        "timezone": "'Europe/Oslo'",
    }
    statements = [
        "INSERT INTO associate (key, name, email) VALUES ('kari', 'Kari', 'kari@crm.example')",
        "INSERT INTO person (key, name) VALUES ('ola', 'Ola')",
        "INSERT INTO person_email (person, position, address) VALUES ('ola', 0, 'ola@ext.example')",
    ]
    keys = [f"bad {number}" for number, _ in enumerate(cases)]
    for key, bad in zip(keys, cases, strict=True):
        card = {"key": f"'eva {key}'", "name": "'Eva'"} | bad.person
        record = meeting | {"key": f"'{key}'"} | bad.follow_up
        row = {"follow_up": record["key"], "person": card["key"], "email_invite": "TRUE"}
        statements += [
            f"INSERT INTO person {values(card)}",
            "INSERT INTO person_email (person, position, address)"
            f" VALUES ({card['key']}, 0, 'eva@ext.example')",
            f"INSERT INTO follow_up {values(record)}",
            f"INSERT INTO participant {values(row | bad.participant)}",
            f"INSERT INTO participant {values(row | OLA)}",
        ]
    for key in GOOD:
        row = {"follow_up": f"'{key}'", "person": "'ola'", "email_invite": "TRUE"}
        statements += [
            f"INSERT INTO follow_up {values(meeting | {'key': row['follow_up']})}",
            f"INSERT INTO participant {values(row)}",
        ]
    rows.run(store, *statements)
    return keys


def settings(store: Store) -> configuration.Settings:
    return configuration.load(
        overrides={
            "store": {"url": store.url.render_as_string(hide_password=False)},
            "mail": {"address": "invites@crm.example", "timezone": "Europe/Oslo"},
        }
    )


def run(store: Store, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")
    } | {
        "GATEWAY_STORE__URL": store.url.render_as_string(hide_password=False),
        "GATEWAY_MAIL__ADDRESS": "invites@crm.example",
        "GATEWAY_MAIL__TIMEZONE": "Europe/Oslo",
    }
    done = command.run(*arguments, environment=environment)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


def listed(store: Store, *arguments: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in run(store, *arguments, "--json").stdout.splitlines()]


@pytest.mark.parametrize(
    ("store", "name"),
    [
        pytest.param(kind, name, marks=[pytest.mark.real] if kind == "postgresql" else [])
        for name, case in CASES.items()
        for kind in case.kinds
    ],
    indirect=["store"],
)
def test_the_others_go_on_and_it_says_what_is_wrong(store: Store, name: str) -> None:
    """Each value on the databases that take it."""
    case = CASES[name]
    [key] = record(store, case)
    site = settings(store)
    cards = {one.key: one.fault for one in shown(store, site)}
    assert cards.keys() == {key, *GOOD}
    assert not any(cards[one] for one in GOOD)
    if case.follow_up and "rrule" not in case.follow_up:
        assert case.words in cards[key]
    planning.plan_due(store, site, NOW, everything=True)
    letters = listed(store, "letters")
    assert {one["follow_up"] for one in letters} == {*GOOD, *([key] if case.alone else [])}
    status = listed(store, "status")
    notes = [one["note"] for one in status if one["follow_up"] == key]
    assert len(status) == 4
    assert any(case.words in str(note) for note in notes), notes
    assert not any(one["note"] for one in status if one["follow_up"] in GOOD)
    events = {(one["follow_up"], one["event"]): one["detail"] for one in listed(store, "journal")}
    said = str(events[key, "suspended" if case.alone else "not_planned"])
    assert case.words in said
    assert "this program failed" not in said
    with store.read() as connection:
        assert marks.next_due(connection) is None, "nothing is planned over and over"


def test_every_reader_reads_on(store: Store) -> None:
    """With all of it in one store, before and after it is planned."""
    keys = record(store, *(case for case in CASES.values() if possible(store, case)))
    site = settings(store)
    for everything in (
        ("status",),
        ("status", keys[0]),
        ("letters",),
        ("journal",),
        ("journal", keys[0]),
        ("queue", "list"),
        ("queue", "shape"),
        ("review", "list"),
        ("review", "known"),
    ):
        run(store, *everything)
        listed(store, *everything)
    assert len(listed(store, "status")) == 2 * len(keys) + 2
    run(store, "db", "check")
    assert reminders.remind(store, site, "here", lambda: NOW) == 0
    answer = b"From: eva@ext.example\r\nSubject: Yes\r\n\r\nYes"
    [result] = process.Processor(store, site).receive([process.Received(answer, NOW, len(answer))])
    assert result.outcome is not None
    monitor = Monitor(store, site, "here:1:test", conditions.Board())
    asyncio.run(asked(store, site, monitor))


def shown(store: Store, site: configuration.Settings) -> list[shapes.FollowUp]:
    """All follow-ups, as API and page show them."""
    everybody = Actor(Access.CRM, name="test")
    with store.read() as connection:
        keys = filters.follow_ups(connection, everybody, filters.FollowUps(), 100).names
        return reading.follow_ups(connection, keys, site.mail.timezone, participants=True)


def possible(store: Store, case: Bad) -> bool:
    return ("sqlite" if store.is_sqlite else "postgresql") in case.kinds


async def asked(store: Store, site: configuration.Settings, health: Monitor) -> None:
    """The page with everything on it, `readyz`, the feed and `doctor`."""
    live = feed.Feed(store, poll_seconds=0.02)
    stop = asyncio.Event()
    running = asyncio.create_task(live.run(stop))
    made = app.create(
        live,
        health.look,
        health.troubles,
        Site(store, site),
    )
    transport = httpx.ASGITransport(app=made)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", cookies=signing.session(store)
    ) as client:
        for path in ("/", "/follow-ups?since=1990-01-01", "/troubles", "/healthz", "/readyz"):
            answer = await client.get(path)
            assert answer.status_code == 200, (path, answer.text)
            if path.startswith("/follow-ups"):
                assert answer.text.count("Kick-off") >= 2
    with store.read() as connection:
        newest = journal.newest(connection)
    async with asyncio.timeout(60):
        async for entry in live.entries(0):
            if entry.id == newest:
                break
    stop.set()
    await running
    checks = [one async for one in examination.examine(site, None, roundtrip=False)]
    assert not [one for one in checks if one.subject == "store" and one.state.value == "failed"]


def test_a_windows_zone_is_understood(store: Store) -> None:
    record(store, of_follow_up("", timezone="'W. Europe Standard Time'"))
    site = settings(store)
    planning.plan_due(store, site, NOW, everything=True)
    assert {one["follow_up"] for one in listed(store, "letters")} == {"bad 0", *GOOD}
    zones = {one.zone for one in shown(store, site)}
    assert zones == {"Europe/Oslo", "Europe/Berlin"}


@pytest.mark.parametrize("key", [BLOB, LATIN])
def test_a_key_that_is_no_text(sqlite_store: Store, key: str) -> None:
    record(sqlite_store, of_follow_up("", key=key))
    site = settings(sqlite_store)
    planning.plan_due(sqlite_store, site, NOW, everything=True)
    assert {one["follow_up"] for one in listed(sqlite_store, "letters")} == {*GOOD}
    assert {one.key for one in shown(sqlite_store, site)} >= {*GOOD}
    status = {one["follow_up"]: one["note"] for one in listed(sqlite_store, "status")}
    [note] = [note for name, note in status.items() if name not in GOOD]
    assert "key" in str(note) or "follow_up" in str(note)
    events = [one for one in listed(sqlite_store, "journal") if one["event"] == "not_planned"]
    assert len(events) == 1
    with sqlite_store.read() as connection:
        assert marks.next_due(connection) is None


def test_a_list_too_long_for_a_letter_is_private_and_its_rows_say_so(store: Store) -> None:
    [key] = record(store, of_follow_up("", guest_list="'public'"))
    guests = ", ".join(f"('{key}', 'g{n}@ext.example', '{'x' * 6_000}', TRUE)" for n in range(60))
    rows.run(
        store, f"INSERT INTO participant (follow_up, email, name, email_invite) VALUES {guests}"
    )
    planning.plan_due(store, settings(store), NOW, everything=True)
    notes = [one["note"] for one in listed(store, "status") if one["follow_up"] == key]
    assert notes == [limits.CROWD] * 62
    events = [one["detail"] for one in listed(store, "journal") if one["event"] == "warning"]
    assert events == [limits.CROWD]
    with store.read() as connection:
        editions = {one.letter.edition for one in outbox.pending(connection)}
    assert not any(one.guests for one in editions if one.guest_list is GuestList.PUBLIC)


REPLY = """\
Authentication-Results: mx.crm.example; dmarc=pass header.from=ext.example\r
From: {who}\r
To: invites{token}@crm.example\r
Message-ID: <{who}>\r
Content-Type: text/calendar; method=REPLY\r
\r
BEGIN:VCALENDAR\r
METHOD:REPLY\r
BEGIN:VEVENT\r
UID:m1@crm.example\r
DTSTAMP:20261120T090000Z\r
ATTENDEE;PARTSTAT=ACCEPTED:mailto:{who}\r
END:VEVENT\r
END:VCALENDAR\r
"""


@pytest.mark.parametrize(
    "wrong",
    [
        "UPDATE follow_up SET end_at = '9999-12-31 23:59:59'",
        "UPDATE follow_up SET timezone = 'Mars/Olympus'",
        "UPDATE follow_up SET rrule = 'FREQ=DAILY;BYSETPOS=2;BYHOUR=9'",
    ],
)
def test_answers_to_a_record_that_went_bad_count(store: Store, wrong: str) -> None:
    """By what was sent. Nobody new comes in, and nothing is sent."""
    site = settings(store).model_copy(
        update={"policy": Policy(authserv_id="mx.crm.example", party_crasher="add")}
    )
    guest = {"email": "ola@ext.example", "email_invite": True, "token": "olatoken", "sent": True}
    meeting = {"key": "m1", "uid": "m1@crm.example", "owner": "kari", "sequence": 0}
    meeting |= {"start": "2040-12-01T09:00:00", "participants": [guest]}
    document = {"associates": [{"key": "kari"}], "follow_ups": [meeting]}
    with store.write() as connection:
        load.load(connection, document, site, NOW)
    planning.plan_due(store, site, NOW, everything=True)
    rows.run(store, wrong)
    planning.plan_due(store, site, NOW, everything=True)
    mails = [
        REPLY.format(who="ola@ext.example", token="+olatoken").encode(),
        REPLY.format(who="eva@ext.example", token="").encode(),
    ]
    received = [process.Received(mail, NOW, len(mail)) for mail in mails]
    results = process.Processor(store, site).receive(received)
    assert [one.outcome for one in results] == [Outcome.APPLIED, Outcome.PARTY_CRASHER]
    [row] = listed(store, "status", "m1")
    assert (row["key"], row["reply"]) == ("ola@ext.example", "accepted")
    assert "no letter" in str(row["note"])
    assert listed(store, "letters") == []
    [waits] = listed(store, "review", "list")
    assert waits["outcome"] == "party_crasher"
    run(store, "review", "show", str(waits["number"]))


def test_load_puts_a_bad_record_right(store: Store) -> None:
    kind = "sqlite" if store.is_sqlite else "postgresql"
    bad = {"end_at": "'9999-12-31 23:59:59'", "timezone": "'Mars/Olympus'"}
    bad |= {"title": LATIN, "cancelled": "'no'"} if kind == "sqlite" else {}
    [key] = record(store, of_follow_up("", **bad))
    site = settings(store)
    planning.plan_due(store, site, NOW, everything=True)
    meeting = {"key": key, "owner": "kari", "start": f"{NOW + DAY:%Y-%m-%dT%H:%M:%SZ}"}
    for _ in range(2):
        with store.write() as connection:
            load.load(connection, {"follow_ups": [meeting]}, site, NOW)
    planning.plan_due(store, site, NOW, everything=True)
    assert {one["follow_up"] for one in listed(store, "letters")} == {key, *GOOD}
    assert not any(one["note"] for one in listed(store, "status"))


FAR_DATE = [
    "INSERT INTO follow_up_date (follow_up, original_start, start_at)"
    " VALUES ('bad 0', '2026-12-01 08:00:00', '9999-12-31 23:59:59')"
]
FAR_WORDS = "follow_up_date 'bad 0', start_at: '9999-12-31 23:59:59"
INFINITE_DATE = [
    "INSERT INTO follow_up_date (follow_up, original_start) VALUES ('bad 0', '-infinity')"
]
INFINITE_WORDS = "follow_up_date 'bad 0', original_start: '-infinity' is not an instant"
OWNER = [
    f"INSERT INTO associate (key, name) VALUES ('per', {LATIN})",
    "UPDATE follow_up SET owner = 'per' WHERE key = 'bad 0'",
]
OWNER_WORDS = "associate 'per', name: 'J\ufffdr' is not text in UTF-8"


@pytest.mark.parametrize(
    ("store", "wrong", "words"),
    [
        ("sqlite", FAR_DATE, FAR_WORDS),
        pytest.param("postgresql", FAR_DATE, FAR_WORDS, marks=pytest.mark.real),
        pytest.param("postgresql", INFINITE_DATE, INFINITE_WORDS, marks=pytest.mark.real),
        ("sqlite", OWNER, OWNER_WORDS),
    ],
    indirect=["store"],
)
def test_dates_and_the_owner_are_looked_at_too(store: Store, wrong: list[str], words: str) -> None:
    """Each value on the databases that take it."""
    record(store, of_follow_up(""))
    rows.run(store, *wrong)
    site = settings(store)
    assert len(shown(store, site)) == 3
    listed(store, "status")
    planning.plan_due(store, site, NOW, everything=True)
    assert {one["follow_up"] for one in listed(store, "letters")} == {*GOOD}
    notes = {one["note"] for one in listed(store, "status") if one["follow_up"] == "bad 0"}
    assert len(notes) == 1
    assert words in str(notes.pop())
