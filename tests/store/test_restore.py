"""An older copy of the store is put back and the CRM loads its document again: every invitee has one
entry, later letters reach it, and the answers can be taken in again.

What invitees hold is read from the letters alone, by calendars that share no code with the gateway
(tests/core/attendee.py): they take what is newer by SEQUENCE and DTSTAMP, and drop the rest.
"""

import email
import email.policy
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.inbound import process
from gateway.invite import numbering
from gateway.model import Method, Outcome
from gateway.sandbox import reading
from gateway.store import meta, schema_letters
from gateway.store.engine import Store
from tests.core import attendee
from tests.dialogues import world
from tests.rig import postgres as postgres_server
from tests.store import rows

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
EVER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
Copy = Callable[[], Callable[[], None]]


@pytest.fixture
def copy(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Copy:
    """Makes a copy while the store is in use, as docs/operations.md says. Called, the copy is put
    back.
    """
    if store.is_sqlite:
        return lambda: _sqlite(store, tmp_path / "copy.db")
    cluster: postgres_server.Cluster = request.getfixturevalue("postgres")
    return lambda: _postgres(store, cluster.bin, tmp_path / "copy.dump")


def _sqlite(store: Store, file: Path) -> Callable[[], None]:
    path = store.path
    assert path is not None
    with closing(sqlite3.connect(path)) as live, closing(sqlite3.connect(file)) as target:
        live.backup(target)

    def restore() -> None:
        store.close()
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        shutil.copy(file, path)

    return restore


def _postgres(store: Store, programs: Path, file: Path) -> Callable[[], None]:
    url = store.url.set(drivername="postgresql").render_as_string(hide_password=False)
    dump = [str(programs / "pg_dump"), "--format=custom", f"--file={file}", url]
    subprocess.run(dump, check=True, timeout=120)

    def restore() -> None:
        store.close()
        put_back = [
            str(programs / "pg_restore"),
            "--clean",
            "--if-exists",
            f"--dbname={url}",
            str(file),
        ]
        subprocess.run(put_back, check=True, timeout=120)

    return restore


class Town:
    """The office, and everybody's calendar, which no restore changes."""

    def __init__(self, store: Store) -> None:
        self.office = world.begin(store, NOW)
        self.calendars = dict[tuple[str, str], attendee.Calendar]()
        self.last = dict[tuple[str, str], reading.Invitation]()
        self.processed = list[tuple[bytes, datetime]]()

    def meeting(self, key: str, *people: str, day: int = 1, **facts: Any) -> None:
        self.office.document[key] = {
            "key": key,
            "owner": "kari",
            "title": key,
            "start": f"2026-12-{day:02}T09:00:00",
            "timezone": "Europe/Oslo",
            "participants": [
                {"email": f"{one}@ext.example", "email_invite": True} for one in people
            ],
        } | facts
        self.office.write()

    def move(self, key: str, day: int) -> None:
        self.office.document[key] |= {"start": f"2026-12-{day:02}T09:00:00"}
        self.office.write()

    def post(self) -> list[world.Sent]:
        """What is owed leaves, and arrives in the calendars."""
        self.office.now += MINUTE
        left = self.office.post()
        assert not self.office.held
        for one in left:
            self._arrive(one)
        return left

    def _arrive(self, one: world.Sent) -> None:
        who, event = one.letter.address.partition("@")[0], one.invitation.event
        assert event is not None
        place = (who, event.value("UID"))
        calendar = self.calendars.setdefault(place, attendee.Calendar(keeps=True))
        calendar.take(_object(one.content))
        self.last[who, one.letter.edition.title] = one.invitation

    def entries(self, who: str) -> list[tuple[str, int]]:
        """What somebody's calendar shows: titles and days."""
        shown = [
            one
            for (whose, _), calendar in self.calendars.items()
            if whose == who
            for one in calendar.shows(*EVER)
        ]
        return sorted((one.title, attendee.instant(one.start).day) for one in shown)

    def written(self, who: str, key: str, partstat: str, *, shout: bool = False) -> bytes:
        """An answer to the last letter about this that reached somebody."""
        self.office.now += MINUTE
        event = self.last[who, key].event
        assert event is not None
        to = event.value("ORGANIZER").partition(":")[2]
        to = to.upper() if shout else to
        lines = [
            f"From: {who}@ext.example",
            f"To: {to}",
            f"Date: {self.office.now:%a, %d %b %Y %H:%M:%S} +0000",
            f"Message-ID: <{self.office.now:%H%M%S}.{who}@ext.example>",
            "MIME-Version: 1.0",
            "Content-Type: text/calendar; charset=utf-8; method=REPLY",
            "",
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//Example//EN",
            "METHOD:REPLY",
            "BEGIN:VEVENT",
            f"UID:{event.value('UID')}",
            f"SEQUENCE:{event.sequence}",
            f"DTSTAMP:{self.office.now:%Y%m%dT%H%M%SZ}",
            f"ORGANIZER:mailto:{to}",
            f"ATTENDEE;PARTSTAT={partstat}:mailto:{who}@ext.example",
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        ]
        return "\r\n".join(lines).encode()

    def answer(self, who: str, key: str, partstat: str) -> process.Result:
        raw = self.written(who, key, partstat)
        self.processed.append((raw, self.office.now))
        return self.office.receive(raw, self.office.now)

    def statuses(self, key: str) -> dict[str, str]:
        return {
            one.key.partition("@")[0]: one.status
            for one in self.office.rows(key)
            if one.key != "kari"
        }


def _object(content: bytes) -> bytes:
    message = email.message_from_bytes(content, policy=email.policy.default)
    part = next(one for one in message.walk() if one.get_content_type() == "text/calendar")
    raw = part.get_payload(decode=True)
    assert isinstance(raw, bytes)
    return raw


def restored(store: Store, at: datetime) -> None:
    """What `invite-gateway db restored` does; that it does so is tested in test_commands.py."""
    with store.write() as connection:
        meta.raise_sequence_floor(connection, numbering.floor(at))


def test_a_restored_store_makes_no_second_entry_and_takes_the_answers_in_again(
    store: Store, copy: Copy
) -> None:
    town = Town(store)
    town.meeting("old", "ola", "eva")
    town.post()
    town.answer("ola", "old", "ACCEPTED")
    put_back = copy()

    town.meeting("new", "bo", "siv", "ola")
    town.post()
    town.answer("bo", "new", "DECLINED")
    town.move("old", 3)
    town.move("new", 4)
    town.post()
    for who, key, partstat in (
        ("ola", "old", "DECLINED"),
        ("bo", "new", "ACCEPTED"),
        ("ola", "new", "TENTATIVE"),
    ):
        assert town.answer(who, key, partstat).outcome is Outcome.APPLIED
    before = {key: town.statuses(key) for key in ("old", "new")}
    assert before == {
        "old": {"ola": "declined", "eva": "invitation"},
        "new": {"bo": "not_started", "siv": "invitation", "ola": "seen"},
    }
    late = town.written("siv", "new", "ACCEPTED")  # to the old gateway's letter, still on its way
    names = {one.letter.message_id for one in town.office.letters}

    put_back()
    town.office.now += DAY
    restored(store, town.office.now)
    town.office.write()
    town.post()
    assert [town.entries(one) for one in ("ola", "eva", "bo", "siv")] == [
        [("new", 4), ("old", 3)],
        [("old", 3)],
        [("new", 4)],
        [("new", 4)],
    ]
    assert len(town.calendars) == 5, "one UID for each meeting, whoever holds it"

    outcomes = [town.office.receive(*one).outcome for one in town.processed]
    assert Outcome.UNKNOWN_INVITATION not in outcomes
    assert {key: town.statuses(key) for key in before} == before
    assert town.office.receive(late, town.office.now).outcome is Outcome.APPLIED
    assert town.statuses("new")["siv"] == "not_started"

    town.move("new", 10)
    town.move("old", 11)
    town.post()
    assert town.entries("ola") == [("new", 10), ("old", 11)], "SEQUENCE is above what he holds"
    assert town.entries("siv") == [("new", 10)]
    assert town.answer("siv", "new", "DECLINED").outcome is Outcome.APPLIED
    town.office.document["new"]["cancelled"] = True
    town.office.document["old"]["participants"][0]["removed"] = True
    town.office.write()
    town.post()
    assert [town.entries(one) for one in ("ola", "eva", "bo", "siv")] == [[], [("old", 11)], [], []]
    again = [one.letter.message_id for one in town.office.letters]
    assert len(names) < len(set(again)) == len(again), "a new letter never has an old name"


def test_what_was_deleted_after_a_restore_is_taken_back_in_every_calendar(
    store: Store, copy: Copy
) -> None:
    """Nothing is left of the follow-up then but what was sent: the CANCEL must be above that, and
    above what only the invitee knows.
    """
    town = Town(store)
    town.meeting("old", "ola")
    town.post()
    put_back = copy()
    for day in (2, 3, 4):
        town.move("old", day)
        town.post()
    put_back()
    town.office.now += DAY
    restored(store, town.office.now)
    town.office.sql("DELETE FROM follow_up WHERE key = 'old'")
    [cancel] = town.post()
    assert cancel.letter.method is Method.CANCEL
    assert town.entries("ola") == []


def test_a_letter_that_waits_shows_the_answer_that_came_meanwhile(store: Store, copy: Copy) -> None:
    """Else a restored store would ask everybody again whose answers it has just taken in again."""
    town = Town(store)
    put_back = copy()
    town.meeting("new", "bo", "siv")
    town.post()
    town.answer("bo", "new", "ACCEPTED")
    put_back()
    town.office.now += DAY
    restored(store, town.office.now)
    town.office.write()
    town.office.server_up = False
    assert not town.post()
    assert [town.office.receive(*one).outcome for one in town.processed] == [Outcome.APPLIED]
    town.office.server_up = True
    shown = {
        one.letter.address: str(one.invitation.event and one.invitation.event.line("ATTENDEE"))
        for one in town.post()
    }
    assert "'PARTSTAT': 'ACCEPTED'" in shown["bo@ext.example"]
    assert "'PARTSTAT': 'NEEDS-ACTION'" in shown["siv@ext.example"]


def test_a_copy_from_before_the_first_letter_has_the_secret(store: Store, copy: Copy) -> None:
    """`load`, copy, then the first letters: nothing of that was planned when the copy was made."""
    town = Town(store)
    town.meeting("new", "bo")
    put_back = copy()
    town.post()
    put_back()
    town.office.now += DAY
    town.post()
    assert [uid for _, uid in town.calendars] == [town.office.letters[0].letter.edition.uid], (
        "one entry"
    )


def test_a_follow_up_made_anew_under_the_same_key_is_another_entry(
    store: Store, copy: Copy
) -> None:
    """Before and after a restore alike: which one it is, is told by what was sent."""
    town = Town(store)
    town.meeting("m1", "ola")
    [first] = town.post()
    put_back = copy()

    def anew() -> str:
        town.office.sql("DELETE FROM follow_up WHERE key = 'm1'")
        town.post()
        town.office.write()
        [letter] = town.post()
        assert letter.letter.token != first.letter.token
        return letter.letter.edition.uid

    second = anew()
    third = anew()
    assert len({first.letter.edition.uid, second, third}) == 3
    assert town.entries("ola") == [("m1", 1)]
    put_back()
    town.office.now += DAY
    restored(store, town.office.now)
    assert (anew(), anew()) == (second, third)


def test_a_key_that_a_renamed_follow_up_had_gives_another_uid(store: Store) -> None:
    town = Town(store)
    town.meeting("m1", "ola")
    [first] = town.post()
    town.office.sql("UPDATE follow_up SET key = 'm2' WHERE key = 'm1'")
    town.post()
    town.office.write()
    [second] = town.post()
    assert second.letter.edition.uid != first.letter.edition.uid


def tokens(store: Store) -> list[tuple[str, str]]:
    query = sa.select(schema_letters.invitation.c.address, schema_letters.invitation.c.token)
    with store.read() as connection:
        return [(row.address, row.token) for row in connection.execute(query)]


def test_tokens_are_of_the_person_and_the_address(store: Store, copy: Copy) -> None:
    """A new address has a new one, the old address its old one again, also in a restored store."""
    put_back = copy()

    def live() -> list[tuple[str, str]]:
        town = Town(store)
        town.office.persons["ola"] = {"key": "ola", "emails": ["ola@ext.example"]}
        town.meeting(
            "m1",
            participants=[
                {"person": "ola", "email_invite": True},
                {"email": "office@ext.example", "email_invite": True},
            ],
        )
        sent = town.post()
        for address in ("new@ext.example", "OLA@ext.example"):
            town.office.persons["ola"]["emails"] = [address]
            town.office.write()
            sent += town.post()
        for removed in (True, False):
            town.office.document["m1"]["participants"][0]["removed"] = removed
            town.office.write()
            sent += town.post()
        asked = [
            (one.letter.address.lower(), one.letter.token)
            for one in sent
            if one.letter.method is Method.REQUEST
        ]
        assert [address for address, _ in asked] == [
            "ola@ext.example",
            "office@ext.example",
            "new@ext.example",
            "ola@ext.example",
            "ola@ext.example",
        ]
        assert asked[0] == asked[3] == asked[4]
        assert len({token for _, token in asked}) == 3
        assert all(len(token) == 26 and token == token.lower() for _, token in asked)
        return tokens(store)

    before = live()
    put_back()
    assert live() == before


def test_rows_of_one_mailbox_have_tokens_of_their_own(store: Store) -> None:
    """A database takes two spellings of an address for two rows, two people may share a mailbox, and
    a row may be deleted and made anew.
    """
    town = Town(store)
    town.office.persons["ola"] = {"key": "ola", "emails": ["office@ext.example"]}
    town.office.persons["eva"] = {"key": "eva", "emails": ["office@ext.example"]}
    town.meeting(
        "m1",
        participants=[{"person": one, "email_invite": True} for one in ("ola", "eva")],
    )
    town.post()
    letters = list[world.Sent]()
    for statement in (
        "UPDATE participant SET removed = TRUE WHERE person = 'ola'",
        "UPDATE participant SET removed = TRUE WHERE person = 'eva'",
        "INSERT INTO participant (follow_up, email, email_invite)"
        " VALUES ('m1', 'office@ext.example', TRUE)",
        "DELETE FROM participant WHERE email = 'office@ext.example'",
        "INSERT INTO participant (follow_up, email, email_invite)"
        " VALUES ('m1', 'Office@ext.example', TRUE)",
    ):
        rows.run(store, statement)
        letters += town.post()
        assert len(town.entries("office") + town.entries("Office")) <= 1
    made = [token for _, token in tokens(store)]
    assert len(made) == len(set(made)) == 4


def test_a_token_is_good_in_upper_case(store: Store, copy: Copy) -> None:
    put_back = copy()
    town = Town(store)
    town.meeting("m1", "bo")
    town.post()
    shouted = town.written("bo", "m1", "ACCEPTED", shout=True)
    put_back()
    town.office.now += DAY
    town.office.write()
    town.post()
    assert town.office.receive(shouted, town.office.now).outcome is Outcome.APPLIED


def test_one_date_of_a_series_has_a_token_of_its_own(store: Store, copy: Copy) -> None:
    put_back = copy()

    def live() -> list[tuple[str, str]]:
        town = Town(store)
        town.office.persons["ola"] = {"key": "ola", "emails": ["ola@ext.example"]}
        dates = [f"2026-12-{day:02}T09:00:00" for day in (1, 8)]
        town.meeting(
            "m1",
            recurrence={"rrule": "FREQ=WEEKLY;COUNT=5"},
            participants=[
                {"person": "ola", "email_invite": True, "original_start": one} for one in dates
            ],
        )
        town.office.post()
        return tokens(store)

    before = live()
    assert len({token for _, token in before}) == 2
    put_back()
    assert live() == before
