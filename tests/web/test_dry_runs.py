"""A dry run of every write that owes letters equals what then happens, subject and body byte for
byte, asked over HTTP as a CRM would (docs/api.md; the kinds of change are those of itip.md §2).
"""

import email
import email.policy
from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.store import outbox, schema
from tests.store import acting
from tests.web.world import Office

Json = dict[str, Any]
SERIES = {
    "key": "weekly",
    "owner": "kari",
    "title": "Weekly",
    "agenda": "Why & <what>",
    "start": "2026-12-01T09:00:00",
    "end": "2026-12-01T10:00:00",
    "timezone": "Europe/Oslo",
    "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=6"},
    "participants": [
        {"associate": "per", "email_invite": True},
        {"person": "ola", "email_invite": True},
        {"email": "eva@other.example", "name": "Eva"},
    ],
}
OWN, WEEKLY = "/follow-ups/own", "/follow-ups/weekly"
SECOND, LATER = "2026-12-08T09:00:00", "2026-12-22T09:00:00"
APART = {"rrule": None, "rdates": ["2026-12-01T14:00:00", "2026-12-08T09:00:00"]}
AT_ONE_TIME = {"rrule": None, "rdates": ["2026-12-03T09:00:00", "2026-12-08T09:00:00"]}
MADE = {
    "key": "new",
    "title": "New",
    "start": "2026-12-03T09:00:00",
    "participants": [{"person": "ola", "email_invite": True}],
}
SHOWN = ("follow_up", "to", "method", "subject", "text", "html")
Change = tuple[str, str, Json | None, Mapping[str, int]]
ASKED, ALL, ONE = {"REQUEST": 2}, {"CANCEL": 2}, {"REQUEST": 1}
CHANGES: dict[str, Change] = {
    "made": ("POST", "/follow-ups", MADE, ONE),
    "made by a put": ("PUT", "/follow-ups/new", MADE, ONE),
    "imported": ("POST", "/import", {"follow_ups": [MADE]}, ONE),
    "added": (
        "POST",
        f"{OWN}/participants",
        {"add": [{"email": "new@other.example"}], "email_invite": True},
        ONE,
    ),
    "switched on": ("PATCH", "/participants/weekly:eva@other.example", {"email_invite": True}, ONE),
    "all switched on": ("PUT", f"{WEEKLY}/email-invitation", {"on": True}, ONE),
    "all switched off": ("PUT", f"{OWN}/email-invitation", {"on": False}, ALL),
    "switched off": ("PATCH", "/participants/own:ola", {"email_invite": False}, {"CANCEL": 1}),
    "removed": ("PATCH", "/participants/own:ola", {"removed": True}, {"CANCEL": 1}),
    "another address": (
        "PATCH",
        "/participants/own:ola",
        {"address": "ola@new.example"},
        {"REQUEST": 4, "CANCEL": 4},
    ),
    "another address of a person": (
        "PATCH",
        "/persons/ola",
        {"emails": ["ola@new.example"]},
        {"REQUEST": 4, "CANCEL": 4},
    ),
    "an address that is none": ("PATCH", "/persons/ola", {"emails": ["ola@"]}, {}),
    "no address": ("PATCH", "/persons/ola", {"emails": []}, {}),
    "title": ("PATCH", OWN, {"title": "Kick-off, really"}, ASKED),
    "agenda": ("PATCH", OWN, {"agenda": "Why"}, ASKED),
    "video link": ("PATCH", OWN, {"video_url": "https://video.example/1"}, ASKED),
    "place": ("PATCH", OWN, {"location": "Fjord"}, ASKED),
    "start": ("PATCH", OWN, {"start": "2026-12-01T08:30:00"}, ASKED),
    "end": ("PATCH", OWN, {"end": "2026-12-01T11:00:00"}, ASKED),
    "zone": ("PATCH", OWN, {"timezone": "America/New_York"}, ASKED),
    "all day": ("PATCH", OWN, {"all_day": True, "start": "2026-12-01", "end": None}, ASKED),
    "rule": ("PATCH", WEEKLY, {"recurrence": {"rrule": "FREQ=WEEKLY;INTERVAL=2;COUNT=6"}}, ASKED),
    "recurs from now on": ("PATCH", OWN, {"recurrence": {"rrule": "FREQ=DAILY;COUNT=3"}}, ASKED),
    "recurs no more": ("PATCH", WEEKLY, {"recurrence": None}, ASKED),
    "dates at one time of day": ("PATCH", OWN, {"recurrence": AT_ONE_TIME}, ASKED),
    "each date by itself": ("PATCH", OWN, {"recurrence": APART}, {"REQUEST": 6, "CANCEL": 2}),
    "free": ("PATCH", OWN, {"availability": "free"}, {}),
    "guest list": ("PATCH", OWN, {"guest_list": "private"}, ASKED),
    "a task": (
        "PATCH",
        OWN,
        {"kind": "task", "start": None, "end": None, "deadline": "2026-12-04"},
        ASKED,
    ),
    "notes, alarm and links": (
        "PATCH",
        OWN,
        {"notes": "x", "alarm_minutes": 5, "priority": "high", "company": "acme", "project": "p1"},
        {},
    ),
    "completed": ("POST", f"{OWN}/complete", {"completed": True}, {}),
    "moved": ("POST", f"{OWN}/reschedule", {"start": "2026-12-02T09:00:00"}, ASKED),
    "one date moved": (
        "POST",
        f"{WEEKLY}/reschedule",
        {"start": "2026-12-08T12:00:00", "instance": SECOND},
        ASKED,
    ),
    "all future dates moved": (
        "POST",
        f"{WEEKLY}/reschedule",
        {"start": "2026-12-22T12:00:00", "from": LATER},
        {"REQUEST": 4},
    ),
    "one date cancelled": ("POST", f"{WEEKLY}/cancel", {"instance": SECOND, "reason": "Ill"}, ALL),
    "one date taken out": ("DELETE", f"{WEEKLY}/dates/{SECOND}", None, ALL),
    "one date added": ("PUT", f"{WEEKLY}/dates/2026-12-10T09:00:00", {}, ASKED),
    "stopped": ("POST", f"{WEEKLY}/stop", {"after": LATER}, ASKED),
    "split": ("POST", f"{WEEKLY}/split", {"from": LATER, "title": "Other"}, {"REQUEST": 4}),
    "cancelled": ("POST", f"{OWN}/cancel", {"reason": "Snow"}, ALL),
    "deleted": ("DELETE", OWN, None, ALL),
    "assigned": ("POST", f"{OWN}/assign", {"to": "nils"}, {}),
    "answered": ("POST", "/participants/own:ola/answer", {"reply": "declined"}, {}),
    "set by hand": ("POST", "/participants/own:ola/toggle", {}, {}),
    "sent again": ("POST", "/participants/own:ola/resend", {}, ONE),
    "reminded": ("POST", f"{WEEKLY}/remind", {}, ASKED),
    "cancelled what is over": ("POST", "/follow-ups/over/cancel", {}, {}),
}
"""Method, path (`/participants/FOLLOW_UP:KEY`), body, and how many letters of which method."""
FIRST: dict[str, Change] = {
    "comes back": ("POST", f"{OWN}/cancel", {}, ALL),
    "one date comes back": ("POST", f"{WEEKLY}/cancel", {"instance": SECOND}, ALL),
    "invited again": ("PATCH", "/participants/own:ola", {"removed": True}, {"CANCEL": 1}),
}
CHANGES |= {
    "comes back": ("POST", f"{OWN}/reinstate", {}, ASKED),
    "one date comes back": ("POST", f"{WEEKLY}/reinstate", {"instance": SECOND}, ASKED),
    "invited again": ("PATCH", "/participants/own:ola", {"removed": False}, ONE),
}
"""After what is in `FIRST`, and when the letters of that have left."""


async def ask(office: Office, change: Change, **params: str) -> Json:
    method, path, body, _ = change
    if path.startswith("/participants/"):
        named, _, verb = path.removeprefix("/participants/").partition("/")
        path = f"/participants/{office.row(*named.split(':'))}{'/' * bool(verb)}{verb}"
    headers = {} if method == "POST" or path.endswith("/new") else {"If-Match": "*"}
    headers |= {"If-None-Match": "*"} if path.endswith("/new") else {}
    said = {} if body is None else {"json": body}
    if method == "PATCH":
        headers["Content-Type"] = "application/merge-patch+json"
    answer = await office.ask(method, path, "crm", headers, params=params, **said)
    assert answer.status_code in (200, 201), answer.text
    return dict(answer.json())


async def begin(office: Office) -> None:
    """Everybody holds what they are invited to, and a day has gone by."""
    over = {"key": "over", "start": "2026-11-18T09:00:00", "end": "2026-11-18T10:00:00"}
    await ask(office, ("POST", "/follow-ups", SERIES, {}))
    await ask(office, ("POST", "/follow-ups", SERIES | over | {"recurrence": None}, {}))
    left(office)
    office.later(days=2)


def left(office: Office) -> None:
    """All that is owed has left."""
    office.plan()
    acting.send(office.store, office.now)
    office.plan()
    acting.send(office.store, office.now)


async def leaving(office: Office) -> list[Json]:
    """The mails that wait, as the API gives them, read by another program than ours."""
    with office.store.read() as connection:
        waiting = outbox.pending(connection)
    found = list[Json]()
    for one in waiting:
        raw = (await office.ask("GET", f"/letters/{one.id}")).content
        mail = email.message_from_bytes(raw, policy=email.policy.default)
        parts = {kind: mail.get_body((kind,)) for kind in ("plain", "html")}
        texts = {kind: part.get_content() for kind, part in parts.items() if part is not None}
        found.append(
            {
                "follow_up": one.follow_up,
                "to": one.letter.address,
                "method": one.letter.method.value,
                "subject": mail["Subject"],
                "text": texts["plain"].replace("\r\n", "\n"),
                "html": texts["html"].replace("\r\n", "\n"),
            }
        )
    return found


def everything(office: Office) -> dict[str, list[Any]]:
    """All rows of all tables, except who asked when and how often."""
    tables = schema.metadata.tables.values()
    with office.store.read() as connection:
        return {
            table.name: [*connection.execute(sa.select(table))]
            for table in tables
            if table.name not in ("api_token", "pace")
        }


def of_each(letters: list[Json]) -> list[Json]:
    """In the order of each follow-up; which of two comes first matters to nobody."""
    return sorted(letters, key=lambda one: str(one["follow_up"]))


@pytest.mark.parametrize("change", CHANGES)
async def test_a_dry_run_equals_what_then_happens(office: Office, change: str) -> None:
    await begin(office)
    if change in FIRST:
        await ask(office, FIRST[change])
        left(office)
        office.later(hours=2)
    before = everything(office)
    foretold = (await ask(office, CHANGES[change], dry_run="true", bodies="true"))["letters"]
    assert everything(office) == before, "a dry run keeps nothing"
    said = (await ask(office, CHANGES[change]))["letters"]
    office.plan()
    leaves = await leaving(office)
    shown = [{name: one[name] for name in SHOWN} for one in foretold["owed"]]
    assert of_each(shown) == of_each(leaves)
    counted = dict.fromkeys(("REQUEST", "CANCEL"), 0)
    for one in leaves:
        counted[one["method"]] += 1
    for letters in (foretold, said):
        assert (letters["request"], letters["cancel"]) == tuple(counted.values())
    assert {method: number for method, number in counted.items() if number} == CHANGES[change][3]
