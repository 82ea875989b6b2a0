"""What the office does in a scene: follow-ups, invitees, moves, the owner's decisions, the mail
server's moods.

Everything goes through what a CRM or an administrator has: the load format, plain SQL where that
has no word, the commands.
"""

import re
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import time_machine

from gateway.actions import proposals
from gateway.model import Moment
from gateway.store import schema
from tests import command as program
from tests.dialogues import language
from tests.dialogues.language import Line
from tests.dialogues.world import World

if TYPE_CHECKING:
    from tests.dialogues.runner import Stage

FIELDS = ("person", "associate", "resource", "email")


def act(stage: "Stage", line: Line) -> None:
    """Do what one line says."""
    for pattern, action in ACTIONS:
        if found := re.fullmatch(pattern, line.text):
            action(stage, line, found)
            return
    raise line.error("nobody knows how to do that")


def start(world: World, key: str) -> Moment | None:
    """When a follow-up starts, as the record has it."""
    with world.store.read() as connection:
        row = connection.execute(
            sa.select(schema.follow_up.c.start_at, schema.follow_up.c.all_day).where(
                schema.follow_up.c.key == key
            )
        ).one()
    start: datetime | None = row.start_at
    return start.date() if row.all_day and start else start


def _follow_up(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    key = found["key"]
    one: dict[str, Any] = {
        "key": key,
        "kind": "meeting",
        "owner": "kari",
        "title": found["title"],
        "uid": f"{key}-7f3c@crm.example",
        "timezone": found["zone"] or "Europe/Oslo",
        "participants": [],
    }
    if found["day"]:
        one |= {"all_day": True, "start": found["day"], "end": found["last"] or found["day"]}
    else:
        begins, ends = language.span(found["span"])
        one |= {"start": begins, "end": ends}
    for option in language.options(found["options"] or ""):
        _facts(one, option, line)
    stage.world.document[key] = one
    stage.latest = key
    stage.world.write()


def _facts(one: dict[str, Any], option: str, line: Line) -> None:
    if option.startswith("repeats "):
        one["recurrence"] = {"rrule": option.removeprefix("repeats ")}
    elif found := re.fullmatch(r"weekly (\d+) times", option):
        one["recurrence"] = {"rrule": f"FREQ=WEEKLY;COUNT={found[1]}"}
    elif found := re.fullmatch(r"weekly without end", option):
        one["recurrence"] = {"rrule": "FREQ=WEEKLY"}
    elif found := re.fullmatch(r"(public|private) guest list", option):
        one["guest_list"] = found[1]
    elif option.startswith("owner "):
        one["owner"] = option.removeprefix("owner ")
    elif found := re.fullmatch(rf"answer by ({language.WHEN})", option):
        one["answer_by"] = _clock(found[1])
    elif option.startswith("in "):
        one["location"] = option.removeprefix("in ")
    else:
        raise line.error(f"no such fact of a follow-up: {option}")


def _person(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    key = found["key"]
    stage.world.persons[key] = {
        "key": key,
        "name": found["name"] or stage.world.persons.get(key, {}).get("name", ""),
        "emails": found["emails"].split(" "),
    }
    stage.world.write()


def _invite(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    key, who = found["key"] or stage.latest, found["who"]
    stage.latest = key
    kind = "email" if "@" in who else "person"
    participants = stage.world.document[key]["participants"]
    date = {"original_start": _clock(found["date"])} if found["date"] else {}
    present = next(
        (
            one
            for one in participants
            if one.get(kind) == who and one.get("original_start") == date.get("original_start")
        ),
        None,
    )
    if present is not None:
        present |= {"removed": False, "email_invite": True}
    else:
        participants.append({kind: who, "name": found["name"] or "", "email_invite": True} | date)
    stage.world.write()


def _participant(participants: list[dict[str, Any]], who: str) -> dict[str, Any] | None:
    return next((one for one in participants if who in [one.get(name) for name in FIELDS]), None)


def _of(stage: "Stage", line: Line, who: str, key: str | None) -> dict[str, Any]:
    one = _participant(stage.world.document[key or stage.latest]["participants"], who)
    if one is None:
        raise line.error(f"{who} is no participant")
    return one


def _remove(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    _of(stage, line, found["who"], found["key"])["removed"] = True
    stage.world.write()


def _switch(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    _of(stage, line, found["who"], found["key"])["email_invite"] = found["value"] == "on"
    stage.world.write()


def _move(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    begins, ends = language.span(found["span"])
    one = stage.world.document[found["key"]]
    if found["date"]:
        _own_date(
            one,
            found["date"],
            {"start": begins, "end": ends, "cancelled": False, "cancel_reason": ""},
        )
    else:
        one |= {"start": begins, "end": ends}
    stage.world.write()


def _own_date(one: dict[str, Any], date: str, facts: dict[str, Any]) -> None:
    original = _clock(date)
    instances = one.setdefault("instances", [])
    present = next((each for each in instances if each["original_start"] == original), None)
    if present is None:
        instances.append({"original_start": original, **facts})
    else:
        present |= facts


def _clock(date: str) -> str:
    """A moment of a script as `load` takes it."""
    return date.replace(" ", "T") + (":00" if " " in date else "")


def _cancel(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    one = stage.world.document[found["key"]]
    facts = {"cancelled": True, "cancel_reason": found["why"] or ""}
    if found["date"]:
        _own_date(one, found["date"], facts)
    else:
        one |= facts
    stage.world.write()


def _stop(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    command(stage, "series", "stop", found["key"], "--after", found["day"])
    with stage.world.store.read() as connection:
        rule = connection.execute(
            sa.select(schema.follow_up.c.rrule).where(schema.follow_up.c.key == found["key"])
        ).scalar_one()
    stage.world.document[found["key"]]["recurrence"] = {"rrule": rule}


def _reinstate(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    stage.world.document[found["key"]] |= {"cancelled": False, "cancel_reason": ""}
    stage.world.write()


def _set(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    field = {"title": "title", "agenda": "agenda", "place": "location", "notes": "notes"}[
        found["what"]
    ]
    stage.world.document[found["key"]][field] = found["text"]
    stage.world.write()


def _answer_by(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    stage.world.document[found["key"]]["answer_by"] = _clock(found["when"])
    stage.world.write()


def _delete(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    del stage.world.document[found["key"]]
    stage.world.sql("DELETE FROM follow_up WHERE key = :key", key=found["key"])


def _toggle(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    wanted = {"accepted": 1, "declined": 9, "none": 5}[found["value"]]
    stage.world.sql(
        "UPDATE participant SET set_status = :wanted WHERE follow_up = :key AND coalesce(email, person) = :who",
        wanted=wanted,
        key=found["key"] or stage.latest,
        who=found["who"],
    )


def _refuses(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    stage.world.refusals[found["who"]] = found["words"]


def _takes(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    stage.world.refusals.pop(found["who"], None)


def _server(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    stage.world.server_up = found["mood"] == "up"


SETTINGS = {
    "require_authentication": "policy",
    "party_crasher": "policy",
    "authserv_id": "policy",
    "organizer_address": "mail",
    "request_receipt": "outbound",
    "reminder_hours": "outbound",
}


def _setting(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    if found["name"] not in SETTINGS:
        raise line.error("no such setting")
    value: Any = {"on": True, "off": False}.get(found["value"], found["value"])
    stage.world.set(SETTINGS[found["name"]], found["name"], value)


def command(stage: "Stage", *words: str) -> str:
    """Run `invite-gateway …` as an administrator does."""
    settings = stage.world.settings
    environment = {
        "GATEWAY_STORE__URL": settings.store.url,
        "GATEWAY_MAIL__ADDRESS": settings.mail.address,
        "GATEWAY_POLICY__AUTHSERV_ID": settings.policy.authserv_id,
        "GATEWAY_POLICY__PARTY_CRASHER": settings.policy.party_crasher,
    }
    with time_machine.travel(stage.world.now, tick=False):
        done = program.run(*words, environment=environment)
    assert done.returncode == 0, f"invite-gateway {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def _last_message(stage: "Stage") -> str:
    with stage.world.store.read() as connection:
        return str(connection.execute(sa.select(sa.func.max(schema.inbox.c.id))).scalar_one())


def _says(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    """The same person? Yes teaches the alias, and the message is judged again; no makes him a party
    crasher (itip.md §5).
    """
    if found["word"] == "yes":
        command(stage, "review", "learn", _last_message(stage))
    else:
        command(stage, "review", "reject", _last_message(stage))


def _proposal(stage: "Stage", line: Line, found: re.Match[str]) -> None:
    with stage.world.store.write() as connection:
        number = connection.execute(
            sa.select(sa.func.max(schema.proposal.c.id))
            .join(schema.participant, schema.participant.c.id == schema.proposal.c.participant)
            .where(
                sa.func.coalesce(schema.participant.c.email, schema.participant.c.person)
                == found["who"]
            )
        ).scalar_one()
        decide = proposals.accept if found["word"] == "accepts" else proposals.decline
        one = decide(connection, number, stage.world.settings, stage.world.now, by="kari")
    stage.world.reread(one.follow_up)


Action = Callable[["Stage", Line, "re.Match[str]"], None]
IN = r"(?: in (?P<key>\w+))?"
ACTIONS: tuple[tuple[str, Action], ...] = (
    (
        rf'follow-up (?P<key>\w+) "(?P<title>[^"]*)" (?:(?P<span>{language.SPAN})|all day (?P<day>[\d-]{{10}})(?: to (?P<last>[\d-]{{10}}))?)'
        r"(?: (?P<zone>[A-Z]\w+/\w+))?(?:, (?P<options>.+))?",
        _follow_up,
    ),
    (r'person (?P<key>\w+)(?: "(?P<name>[^"]*)")?:? (?P<emails>\S+@.+)', _person),
    (
        rf'invite (?P<who>\S+)(?: "(?P<name>[^"]*)")?(?: to (?P<key>\w+))?(?: for (?P<date>{language.WHEN}))?',
        _invite,
    ),
    (rf"remove (?P<who>\S+){IN}", _remove),
    (rf"switch (?P<who>\S+) (?P<value>on|off){IN}", _switch),
    (rf"move (?P<key>\w+)(?: date (?P<date>{language.WHEN}))? to (?P<span>{language.SPAN})", _move),
    (
        rf'cancel (?P<key>\w+)(?: date (?P<date>{language.WHEN}))?(?:, because "(?P<why>[^"]*)")?',
        _cancel,
    ),
    (r"stop (?P<key>\w+) after (?P<day>[\d-]{10})", _stop),
    (r"reinstate (?P<key>\w+)", _reinstate),
    (rf"(?P<key>\w+) wants answers by (?P<when>{language.WHEN})", _answer_by),
    (r"(?P<what>title|agenda|place|notes) of (?P<key>\w+): (?P<text>.+)", _set),
    (r"delete (?P<key>\w+)", _delete),
    (rf"by hand (?P<who>\S+) (?P<value>accepted|declined|none){IN}", _toggle),
    (r"the mail server refuses (?P<who>\S+): (?P<words>.+)", _refuses),
    (r"the mail server takes (?P<who>\S+) again", _takes),
    (r"the mail server is (?P<mood>up|down)", _server),
    (r"the owner says (?P<word>yes|no) to the last message", _says),
    (r"the owner (?P<word>accepts|refuses) the proposal of (?P<who>\S+)", _proposal),
    (r"sql (?P<statement>.+)", lambda stage, line, found: stage.world.sql(found["statement"])),
    (r"setting (?P<name>\w+) = (?P<value>\S+)", _setting),
)
