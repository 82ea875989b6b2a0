"""The main job, end to end, with nothing of ours but the gateway: Postfix, Dovecot, a real
database, Gnus and Horde as invitees.

A record becomes an invitation, the answer becomes a status, a move asks again, a cancellation takes
it back; nobody does anything by hand. What is expected of the letters is read from the mailboxes
they arrived in.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from types import ModuleType
from zoneinfo import ZoneInfo

import pytest

from tests import rig
from tests.rig import gnus, horde, mailbox
from tests.rig import postfix as postfix_server
from tests.rig.fixtures import NewInvitee
from tests.wire import gateway_process

pytestmark = pytest.mark.real

KEY = "kick-off"
START = (datetime.now(UTC) + timedelta(days=30)).replace(hour=9, minute=0, second=0, microsecond=0)
CODES = {
    "accept": (1, "not_started", "accepted"),
    "decline": (9, "declined", "declined"),
    "tentative": (7, "seen", "tentative"),
}
"""Answer → code, status and reply of a row never moved (domain.md §4)."""
CODES_MOVED = CODES | {"tentative": (8, "moved_seen", "tentative")}


@dataclass(frozen=True)
class Letter:
    """What a test wants to know of a letter that arrived."""

    method: str
    uid: str
    sequence: int
    dtstamp: str
    start: str
    message_id: str
    attendees: str

    @classmethod
    def read(cls, message: EmailMessage) -> Letter:
        calendar = mailbox.calendar_of(message)
        (method,) = {
            part.get_param("method")
            for part in message.walk()
            if part.get_content_type() == "text/calendar" and not part.get_filename()
        }
        assert f"\nMETHOD:{method}\n" in calendar
        return cls(
            str(method),
            _value(calendar, "UID"),
            int(_value(calendar, "SEQUENCE")),
            _value(calendar, "DTSTAMP"),
            _value(calendar, "DTSTART"),
            str(message["Message-ID"]),
            _value(calendar, "ATTENDEE"),
        )


def _value(calendar: str, name: str) -> str:
    event = calendar.split("\nBEGIN:VEVENT\n")[1].split("\nEND:VEVENT\n")[0]
    return ",".join(re.findall(rf"^{name}(?:;[^:]*)?:(.*)$", event, re.MULTILINE))


def letters(box: mailbox.Mailbox, method: str, count: int) -> list[Letter]:
    """All letters of a mailbox in the order of arrival, once there are `count` of `method`."""
    box.wait_for(lambda message: f"\nMETHOD:{method}\n" in mailbox.calendar_of(message), count)
    return [Letter.read(message) for message in box.messages()]


@dataclass(frozen=True)
class Database:
    """A store, and the program that its administrator has for it. `zone`: how its instants end."""

    url: str
    program: list[str]
    zone: str

    def execute(self, statement: str) -> str:
        """Run SQL as somebody who knows nothing of the gateway, and return what it printed. Raises
        CalledProcessError.
        """
        return subprocess.run(
            self.program, input=statement, capture_output=True, text=True, check=True, timeout=60
        ).stdout.strip()

    def instant(self, value: datetime) -> str:
        return f"'{value:%Y-%m-%d %H:%M:%S}{self.zone}'"


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        file = tmp_path / "store.db"
        return Database(
            f"sqlite:///{file}",
            [rig.need("sqlite3", "sqlite3"), "-bail", "-cmd", ".timeout 30000", str(file)],
            "",
        )
    url = request.getfixturevalue("postgres_url")
    return Database(
        url, [rig.need("psql", "postgresql-client"), "-qtAX", "-v", "ON_ERROR_STOP=1", url], "+00"
    )


def document(*invitees: mailbox.Mailbox) -> dict[str, object]:
    """What a CRM exports: one meeting, its owner, and people who are nobody's customers yet
    (contract.md §3).
    """
    return {
        "associates": [
            {
                "key": "per",
                "name": "Per Eier",
                "email": "per@crm.example",
                "timezone": "Europe/Oslo",
                "language": "nb",
            }
        ],
        "follow_ups": [
            {
                "key": KEY,
                "kind": "meeting",
                "owner": "per",
                "title": "Oppstartsmøte",
                "agenda": "Vi går gjennom alt.",
                "start": f"{START:%Y-%m-%dT%H:%M:%SZ}",
                "end": f"{START + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
                "timezone": "Europe/Oslo",
                "location": "Fjord",
                "notes": "hemmelig",
                "participants": [
                    {"email": box.address, "name": box.name, "email_invite": True}
                    for box in invitees
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("database", "first", "second"),
    [
        pytest.param("sqlite", ("accept", "decline"), ("tentative", "accept"), id="sqlite"),
        pytest.param(
            "postgresql", ("tentative", "accept"), ("decline", "tentative"), id="postgresql"
        ),
    ],
    indirect=["database"],
)
def test_a_record_becomes_an_invitation_and_the_answer_a_status(
    first: tuple[str, str],
    second: tuple[str, str],
    database: Database,
    postfix: postfix_server.Server,
    invites: mailbox.Mailbox,
    new_invitee: NewInvitee,
    tmp_path: Path,
) -> None:
    kari, ola = (
        new_invitee("kari", "Kari Nordmann"),
        new_invitee("ola", "Ola Hansen", "other.example"),
    )
    nobody = new_invitee("nobody", "Nobody", "refused.example")
    answers = [(kari, gnus), (ola, horde)]
    file = tmp_path / "export.json"
    file.write_text(json.dumps(document(kari, nobody, ola)))
    settings = gateway_process.environment(database.url, invites, postfix)
    gateway_process.Gateway(settings).command("db", "upgrade")
    with gateway_process.running(settings) as gateway:
        gateway.command("load", str(file))

        # Invited, and answered in two mail programs; somebody whose server refuses him disturbs
        # nobody.
        requests = {box.address: letters(box, "REQUEST", 1) for box, _ in answers}
        gateway.wait_status(KEY, {nobody.address: {"delivery": "undeliverable", "code": 5}})
        answer(answers, first, postfix)
        gateway.wait_status(KEY, expected(answers, first, CODES))

        # Moved by plain SQL: both are asked again, and answer again.
        moved = START + timedelta(days=1, hours=2)
        database.execute(
            f"UPDATE follow_up SET start_at = {database.instant(moved)}, "
            f"end_at = {database.instant(moved + timedelta(hours=1))} WHERE key = '{KEY}'"
        )
        updates = {box.address: letters(box, "REQUEST", 2)[1:] for box, _ in answers}
        gateway.wait_status(
            KEY,
            {
                box.address: {"code": 6, "status": "moved", "reply": "needs-action"}
                for box, _ in answers
            },
        )
        answer(answers, second, postfix)
        gateway.wait_status(KEY, expected(answers, second, CODES_MOVED))

        # A row of plain SQL is mailed like any other, and only that row.
        eva = new_invitee("eva", "Eva", "other.example")
        database.execute(
            "INSERT INTO participant (follow_up, email, name, email_invite) "
            f"VALUES ('{KEY}', '{eva.address}', '{eva.name}', true)"
        )
        (joined,) = letters(eva, "REQUEST", 1)
        gateway.wait_status(KEY, {eva.address: {"code": 5, "delivery": "sent"}})

        # Cancelled: everybody who holds the invitation learns of it; a late answer changes nothing
        # any more.
        database.execute(f"UPDATE follow_up SET cancelled = true WHERE key = '{KEY}'")
        cancels = {box.address: letters(box, "CANCEL", 1) for box in (kari, ola, eva)}
        gateway.wait_status(
            KEY,
            {box.address: {"code": 10, "status": "cancelled"} for box in (kari, ola, eva, nobody)},
        )
        answer([(kari, gnus)], ("accept",), postfix)
        journal = gateway.wait_for(
            lambda: gateway.objects("journal", KEY),
            lambda entries: happened(entries, "closed") == 1,
            what="the journal says that the answer came too late",
        )
        assert gateway.status(KEY)[kari.address]["code"] == 10
        processed = invites.wait_for(anything, 5, folder="Processed")
        assert gateway.stop() == 0

    # Each letter once, in order, recognisable as the same meeting.
    (start, moved_to) = (f"{time:%Y%m%dT%H%M%S}" for time in (in_oslo(START), in_oslo(moved)))
    for box in (kari, ola):
        request, update, cancel = cancels[box.address]
        assert requests[box.address] == [request]
        assert updates[box.address] == [update]
        assert [one.method for one in (request, update, cancel)] == ["REQUEST", "REQUEST", "CANCEL"]
        assert [request.start, update.start, cancel.start] == [start, moved_to, moved_to]
        assert (
            request.sequence,
            update.sequence < cancel.sequence,
            request.sequence < update.sequence,
        ) == (0, True, True)
        assert request.dtstamp < update.dtstamp < cancel.dtstamp
        assert all(f"mailto:{box.address}" in one.attendees for one in (request, update, cancel))
        assert "hemmelig" not in "".join(map(str, box.messages()))
    assert joined.sequence == updates[kari.address][0].sequence
    assert [one.method for one in cancels[eva.address]] == ["REQUEST", "CANCEL"]
    everything = [one for found in cancels.values() for one in found]
    assert len({one.uid for one in everything}) == 1
    assert len({one.message_id for one in everything}) == len(everything) == 8
    # Nothing of what came in is left where it came in, and nothing went wrong unnoticed.
    assert invites.messages() == []
    assert len(processed) == 5
    assert {folder: len(invites.messages(folder)) for folder in ("Review", "Ignored")} == {
        "Review": 0,
        "Ignored": 0,
    }
    assert happened(journal, "applied") == 4
    # Asked once and once more when it was moved; no CANCEL goes where the last letter was refused.
    assert happened(journal, "undeliverable") == 2
    assert gateway.complaints() == []


def answer(
    clients: Sequence[tuple[mailbox.Mailbox, ModuleType]],
    actions: Sequence[str],
    via: postfix_server.Server,
) -> None:
    """Each invitee answers his newest invitation with his own mail program."""
    for (box, client), action in zip(clients, actions, strict=True):
        client.answer(box, via, action)


def expected(
    clients: Sequence[tuple[mailbox.Mailbox, ModuleType]],
    actions: Sequence[str],
    codes: Mapping[str, tuple[int, str, str]],
) -> dict[str, dict[str, object]]:
    """What `status` should show after these answers."""
    found = {}
    for (box, _), action in zip(clients, actions, strict=True):
        code, word, reply = codes[action]
        found[box.address] = {"code": code, "status": word, "reply": reply}
    return found


def happened(journal: list[dict[str, object]], event: str) -> int:
    return sum(entry["event"] == event for entry in journal)


def anything(_: EmailMessage) -> bool:
    return True


def in_oslo(value: datetime) -> datetime:
    return value.astimezone(ZoneInfo("Europe/Oslo"))
