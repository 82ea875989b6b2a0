"""A series and its single dates, answered by real mail programs: what one date is told stays with
that date (P9).

The gateway runs as its administrator runs it. What is asked of each program is what its buttons do;
Gnus, aerc and Thunderbird keep the RECURRENCE-ID of what they answer, Horde loses it.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from types import ModuleType
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.rig import aerc, gnus, horde, mailbox, thunderbird
from tests.rig import postfix as postfix_server
from tests.rig.fixtures import NewInvitee
from tests.wire import gateway_process

pytestmark = pytest.mark.real

KEY = "weekly"
OSLO = ZoneInfo("Europe/Oslo")
FIRST = (
    (datetime.now(UTC) + timedelta(days=30))
    .astimezone(OSLO)
    .replace(hour=9, minute=0, second=0, microsecond=0, tzinfo=None)
)
"""Start of the first date, on the clock of its zone: the series may pass a change of that clock."""
HOUR = timedelta(hours=1)
SECOND = FIRST + timedelta(weeks=1)
WORDS = {"accept": "accepted", "decline": "declined", "tentative": "tentative"}


def document(*invitees: mailbox.Mailbox) -> dict[str, Any]:
    """What a CRM exports: a weekly series whose second date is two hours later than the others
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
                "title": "Ukesmøte",
                "start": FIRST.isoformat(),
                "end": (FIRST + HOUR).isoformat(),
                "timezone": "Europe/Oslo",
                "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=6"},
                "instances": [
                    {
                        "original_start": SECOND.isoformat(),
                        "start": (SECOND + 2 * HOUR).isoformat(),
                        "end": (SECOND + 3 * HOUR).isoformat(),
                    }
                ],
                "participants": [
                    {"email": box.address, "name": box.name, "email_invite": True}
                    for box in invitees
                ],
            }
        ],
    }


def is_request(message: EmailMessage) -> bool:
    return "\nMETHOD:REQUEST\n" in mailbox.calendar_of(message)


def dates(message: EmailMessage) -> list[str]:
    """The RECURRENCE-ID of each event of a letter, "" for the series."""
    return [
        "".join(re.findall(r"^RECURRENCE-ID[^:]*:(.*)$", event, re.MULTILINE))
        for event in events(message)
    ]


def events(message: EmailMessage) -> list[str]:
    return re.findall(
        r"^BEGIN:VEVENT\n.*?^END:VEVENT\n", mailbox.calendar_of(message), re.MULTILINE | re.DOTALL
    )


def only_the_date(letter: EmailMessage) -> bytes:
    """The same invitation without the series:
    what somebody holds who was asked about this date alone.
    """
    calendar = mailbox.calendar_of(letter).replace(events(letter)[0], "")
    made = EmailMessage()
    for name in ("From", "To", "Reply-To", "Subject", "Date"):
        made[name] = str(letter[name])
    made["Message-ID"] = f"<date.{str(letter['Message-ID']).strip('<>')}>"
    made.set_content("Bare denne datoen.")
    made.add_alternative(
        calendar.replace("\n", "\r\n").encode(),
        "text",
        "calendar",
        params={"method": "REQUEST", "charset": "utf-8"},
    )
    return made.as_bytes()


DATE = f"{SECOND:%Y%m%dT%H%M%S}"
BATCH = [
    (gnus, "accept", "decline", [[""], [DATE]]),
    (horde, "tentative", "accept", [[""], [""]]),
    (aerc, "accept", "tentative", [["", DATE], [DATE]]),
]
"""Program; its answer to all of it, and then to the one date; the RECURRENCE-IDs in both. What
these programs do today: should one of them change, the rules for it can go.
"""
LARGE = [(thunderbird, "tentative", "accept", [["", DATE], [DATE]])]


@pytest.mark.parametrize(
    "programs",
    [BATCH, pytest.param(LARGE, marks=pytest.mark.thunderbird)],
    ids=["batch", "thunderbird"],
)
def test_a_series_and_one_date_of_it(
    programs: list[tuple[ModuleType, str, str, list[list[str]]]],
    postfix: postfix_server.Server,
    invites: mailbox.Mailbox,
    new_invitee: NewInvitee,
    tmp_path: Path,
) -> None:
    people = (
        ("kari", "Kari Nordmann", "ext.example"),
        ("ola", "Ola Hansen", "other.example"),
        ("eva", "Eva Lund", "ext.example"),
    )
    clients = [
        (new_invitee(*person), *program) for person, program in zip(people, programs, strict=False)
    ]
    file = tmp_path / "export.json"
    file.write_text(json.dumps(document(*(box for box, *_ in clients))))
    settings = gateway_process.environment(f"sqlite:///{tmp_path / 'store.db'}", invites, postfix)
    gateway_process.Gateway(settings).command("db", "upgrade")
    with gateway_process.running(settings) as gateway:
        gateway.command("load", str(file))

        # One letter holds the series and the date that is not like the others.
        letters = {box.address: box.wait_for(is_request)[0] for box, *_ in clients}
        assert {tuple(dates(letter)) for letter in letters.values()} == {("", DATE)}
        for box, client, action, *_ in clients:
            client.answer(box, postfix, action)
        rows = gateway.wait_status(
            KEY, {box.address: {"reply": WORDS[action]} for box, _, action, *_ in clients}
        )
        assert {box.address: on_the_date(rows[box.address]) for box, *_ in clients} == {
            box.address: WORDS[action] for box, _, action, *_ in clients
        }, "who answers the series answers its dates"

        # The date alone: the answer is about it, whichever of them keeps its RECURRENCE-ID, and
        # about nothing else.
        for box, client, _, action, _ in clients:
            box.append(only_the_date(letters[box.address]))
            client.answer(box, postfix, action)
        after = gateway.wait_for(
            lambda: gateway.status(KEY),
            lambda now: all(
                on_the_date(now[box.address]) == WORDS[action] for box, _, _, action, _ in clients
            ),
            what="each has answered the date for itself",
        )
        for box, *_ in clients:
            assert [one["instance"] for one in after[box.address]["instances"]] == [utc(SECOND)], (
                "no ghosts"
            )
            assert after[box.address] | {"instances": []} == rows[box.address] | {
                "instances": []
            }, "the series stands"
        processed = invites.wait_for(lambda _: True, 2 * len(clients), folder="Processed")
        assert gateway.stop() == 0
    assert {folder: len(invites.messages(folder)) for folder in ("INBOX", "Review", "Ignored")} == {
        "INBOX": 0,
        "Review": 0,
        "Ignored": 0,
    }
    assert gateway.complaints() == []
    assert {
        box.address: [dates(message) for message in processed if address_of(message) == box.address]
        for box, *_ in clients
    } == {box.address: kept for box, *_, kept in clients}


def on_the_date(row: gateway_process.Object) -> str:
    """What `status` says of the second date."""
    return "".join(one["reply"] for one in row["instances"] if one["instance"] == utc(SECOND))


def utc(when: datetime) -> str:
    """A date of the series as `status` names it."""
    return f"{when.replace(tzinfo=OSLO).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def address_of(message: EmailMessage) -> str:
    return str(message["From"].addresses[0].addr_spec)


def test_one_date_and_no_series(
    postfix: postfix_server.Server,
    invites: mailbox.Mailbox,
    new_invitee: NewInvitee,
    tmp_path: Path,
) -> None:
    """Gnus keeps the RECURRENCE-ID of the only date it was sent, Horde loses it:
    both answers are about that date.
    """
    clients = [
        (new_invitee("kari", "Kari Nordmann", "ext.example"), gnus, "accept"),
        (new_invitee("ola", "Ola Hansen", "other.example"), horde, "decline"),
    ]
    export = document()
    [follow_up] = export["follow_ups"]
    follow_up["participants"] = [
        {
            "email": box.address,
            "name": box.name,
            "email_invite": True,
            "original_start": SECOND.isoformat(),
        }
        for box, *_ in clients
    ]
    file = tmp_path / "export.json"
    file.write_text(json.dumps(export))
    settings = gateway_process.environment(f"sqlite:///{tmp_path / 'store.db'}", invites, postfix)
    gateway_process.Gateway(settings).command("db", "upgrade")
    with gateway_process.running(settings) as gateway:
        gateway.command("load", str(file))
        letters = {box.address: box.wait_for(is_request)[0] for box, *_ in clients}
        assert {tuple(dates(letter)) for letter in letters.values()} == {(DATE,)}
        for box, client, action in clients:
            client.answer(box, postfix, action)
        rows = gateway.wait_status(
            KEY, {box.address: {"reply": WORDS[action]} for box, _, action in clients}
        )
        assert {(row["original_start"], tuple(row["instances"])) for row in rows.values()} == {
            (utc(SECOND), ())
        }
        assert gateway.stop() == 0
    assert gateway.complaints() == []
