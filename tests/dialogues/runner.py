"""Plays a scene line by line and compares what the gateway does with what the script says. The
language: README.txt here.

Strictness: every letter that leaves must have been expected, in the script, before the next mail
comes in or the clock moves on. `Mismatch` names file and line, what was expected and what was seen;
`ScriptError` is a fault of the script itself.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.inbound import process
from gateway.mail import address
from gateway.model import Method, Moment
from gateway.sandbox import reading
from gateway.shapes import StatusRow
from gateway.store import codec
from gateway.store.engine import Store
from tests.dialogues import language, mails, office, world
from tests.dialogues.language import Line, Scene
from tests.dialogues.world import Sent, World

BEGIN = language.instant("2026-11-20 09:00", datetime.now(language.ZONE))
PARTICIPANT = r"(?P<who>\S+?)(?: in (?P<key>\w+))?"


class Mismatch(AssertionError):
    """The gateway did something else than the script says."""


@dataclass
class Stage:
    """A scene while it is played. unread: letters that left and that no line has named yet."""

    world: World
    unread: list[Sent] = field(default_factory=list)
    changed: bool = False
    raw: bytes = b""
    result: process.Result | None = None
    latest: str = ""


def play(scene: Scene, store: Store) -> None:
    """Raises `Mismatch` at the first line that does not hold."""
    stage = Stage(world.begin(store, BEGIN))
    for line in scene.lines:
        step(stage, line)
    post(stage)
    nothing_unread(stage, scene.lines[-1], "the end of the scene")


def step(stage: Stage, line: Line) -> None:
    """One line: the clock, a mail, an expectation, or something that the office does."""
    text = line.text
    if text.startswith("at "):
        post(stage)
        nothing_unread(stage, line, "the clock moves on")
        stage.world.now = language.instant(text[3:].strip(), stage.world.now)
        stage.changed = bool(
            stage.world.settings.outbound.reminder_hours
        )  # the clock alone may make a letter owed
    elif text.startswith("<"):
        post(stage)
        nothing_unread(stage, line, "the next mail comes in")
        receive(stage, line, text[1:].strip())
    elif text.startswith(">"):
        post(stage)
        expect(stage, line, text[1:].strip())
    else:
        office.act(stage, line)
        stage.changed = True


def post(stage: Stage) -> None:
    """Let everything leave that is owed. Edits that stand together are one change, as within the
    coalescing window.
    """
    if stage.changed:
        stage.unread += stage.world.post()
        stage.changed = False
        if stage.world.held:
            raise Mismatch(f"preflight held a letter: {stage.world.held}")


def nothing_unread(stage: Stage, line: Line, before: str) -> None:
    if stage.unread:
        raise Mismatch(
            f"{line.file}:{line.number}: before {before}, letters had left that nobody expected:\n    "
            + "\n    ".join(map(shown, stage.unread))
        )


def receive(stage: Stage, line: Line, text: str) -> None:
    """A mail comes in: `SENDER KIND WORDS, options`, or `again` for the same bytes once more."""
    first, *options = language.options(text)
    arrived = stage.world.now
    late = [one for one in options if one.startswith("arrived ")]
    for one in late:
        arrived = language.instant(one.removeprefix("arrived "), stage.world.now)
    options = [one for one in options if one not in late]
    if first != "again":
        parts = first.split(" ", 2)
        if len(parts) < 2:
            raise line.error("a mail is written as: < SENDER KIND WORDS, options")
        sender, kind, words = parts[0], parts[1], parts[2] if len(parts) > 2 else ""
        letter = answered(stage, line, sender, options)
        mail = mails.Mail(sender, kind, words, letter, arrived)
        for one in options:
            if not one.startswith("using "):
                mails.change(mail, one, line)
        stage.raw = mail.build()
    elif options:
        raise line.error("the same bytes again have no options but when they arrived")
    stage.result = stage.world.receive(stage.raw, arrived)
    stage.changed = True


def answered(stage: Stage, line: Line, sender: str, options: list[str]) -> Sent | None:
    """The letter that a mail answers: the newest to its sender, or as `using the [first|second|…]
    letter to X` says.
    """
    using = next((one for one in options if one.startswith("using ")), None)
    at, to = -1, sender
    if using is not None:
        found = re.fullmatch(r"using the (?:(first|second|third|newest) )?letter to (\S+)", using)
        if found is None:
            raise line.error(f"not understood: {using}")
        at, to = {"first": 0, "second": 1, "third": 2}.get(found[1] or "", -1), found[2]
    mine = [one for one in stage.world.letters if address.same(one.letter.address, to)]
    if using is not None and not mine:
        raise line.error(f"no letter to {to} has left")
    return mine[at] if mine else None


def expect(stage: Stage, line: Line, text: str) -> None:
    """One expectation."""
    for pattern, check in EXPECTATIONS:
        if found := re.fullmatch(pattern, text):
            check(stage, line, found)
            return
    raise line.error("no such expectation")


def _no_letter(stage: Stage, line: Line, _: re.Match[str]) -> None:
    nothing_unread(stage, line, "this line")


def _letter(stage: Stage, line: Line, found: re.Match[str]) -> None:
    """Takes the first letter of that method to that address off the unread ones."""
    fitting = [
        one
        for one in stage.unread
        if one.letter.method == found["method"] and address.same(one.letter.address, found["to"])
    ]
    if not fitting:
        unread = "\n    ".join(map(shown, stage.unread)) or "none"
        raise _wrong(line, text_of(found), f"letters that left: {unread}")
    letter = fitting[0]
    stage.unread.remove(letter)
    earlier = [
        one
        for one in stage.world.letters[: stage.world.letters.index(letter)]
        if address.same(one.letter.address, letter.letter.address)
        and one.letter.edition.uid == letter.letter.edition.uid
    ]
    for option in language.options(found["options"] or ""):
        _letter_option(letter, line, option, earlier[-1] if earlier else None)


def _letter_option(letter: Sent, line: Line, option: str, before: Sent | None) -> None:
    """Judged as an outsider reads the letter, not as the outbox has it."""
    event = letter.invitation.event
    assert event is not None
    if option == "recognised as an update":
        if not (told := _newer(letter, event, before))[0]:
            raise _wrong(line, option, told[1])
        return
    for pattern, seen in LETTER_FACTS:
        if found := re.fullmatch(pattern, option):
            if not (told := seen(letter, event, found))[0]:
                raise _wrong(line, option, told[1])
            return
    raise line.error(f"no such fact of a letter: {option}")


def _flat(event: reading.Event) -> str:
    return "\n".join(one.raw for one in event.lines)


def _same_moment(text: str, line: reading.Line | None) -> tuple[bool, str]:
    return (
        line is not None and line.moment == language.moment(text),
        line.raw if line else "nothing",
    )


def _newer(letter: Sent, event: reading.Event, before: Sent | None) -> tuple[bool, str]:
    """An update is one to its reader: the same UID, a DTSTAMP of its own, another Message-ID, a
    SEQUENCE no lower (P13).
    """
    old = before.invitation.event if before else None
    if before is None or old is None:
        return False, "the first letter"
    stamps, sequences = (
        (old.value("DTSTAMP"), event.value("DTSTAMP")),
        (old.sequence, event.sequence),
    )
    newer = (
        old.value("UID") == event.value("UID")
        and stamps[0] < stamps[1]
        and sequences[0] <= sequences[1]
        and before.invitation.message_id != letter.invitation.message_id
    )
    return (
        newer,
        f"UIDs {old.value('UID')}, {event.value('UID')}; DTSTAMPs {stamps}; SEQUENCEs {sequences}",
    )


LETTER_FACTS: tuple[
    tuple[str, Callable[[Sent, reading.Event, re.Match[str]], tuple[bool, str]]], ...
] = (
    (
        r"sequence (\d+)",
        lambda letter, event, f: (event.sequence == int(f[1]), f"SEQUENCE {event.sequence}"),
    ),
    (
        r"cancelled",
        lambda letter, event, f: (
            event.value("STATUS") == "CANCELLED",
            f"STATUS {event.value('STATUS') or 'missing'}",
        ),
    ),
    (
        r"withdrawn",
        lambda letter, event, f: (event.value("STATUS") != "CANCELLED", "STATUS CANCELLED"),
    ),
    (
        r"asks again",
        lambda letter, event, f: ("PARTSTAT=NEEDS-ACTION" in _flat(event), _flat(event)),
    ),
    (
        r"shows ([A-Z-]+) of (\S+)",
        lambda letter, event, f: (
            any(
                f"PARTSTAT={f[1]};" in one.raw and one.value.lower() == f"mailto:{f[2]}"
                for one in event.lines
            ),
            _flat(event),
        ),
    ),
    (
        r"shows ([A-Z-]+)",
        lambda letter, event, f: (f"PARTSTAT={f[1]}" in _flat(event), _flat(event)),
    ),
    (
        rf"date ({language.WHEN})",
        lambda letter, event, f: _same_moment(f[1], event.line("RECURRENCE-ID")),
    ),
    (
        r"the whole series",
        lambda letter, event, f: (event.line("RECURRENCE-ID") is None, "a single date"),
    ),
    (
        rf"starts ({language.WHEN})",
        lambda letter, event, f: _same_moment(f[1], event.line("DTSTART")),
    ),
    (
        r'subject (".*")',
        lambda letter, event, f: (
            language.quoted(f[1]) in letter.invitation.subject,
            letter.invitation.subject,
        ),
    ),
    (
        r'says (".*")',
        lambda letter, event, f: (
            language.quoted(f[1]) in letter.invitation.text,
            letter.invitation.text,
        ),
    ),
    (r"lists (\S+)", lambda letter, event, f: (f"mailto:{f[1]}" in _flat(event), _flat(event))),
    (
        r"does not list (\S+)",
        lambda letter, event, f: (f"mailto:{f[1]}" not in _flat(event), _flat(event)),
    ),
    (
        r"organizer is the token",
        lambda letter, event, f: (
            event.value("ORGANIZER").lower() == f"mailto:{letter.letter.organizer_address}"
            and "+" in letter.letter.organizer_address,
            event.value("ORGANIZER"),
        ),
    ),
    (
        r"from (\S+)",
        lambda letter, event, f: (f"<{f[1]}>".encode() in letter.content, "another From"),
    ),
    (r"zone (\S+)", lambda letter, event, f: (f"TZID:{f[1]}" in event.timezones, event.timezones)),
    (
        r"no web link to answer by",
        lambda letter, event, f: (b"http" not in letter.content.lower(), "a web link"),
    ),
    (r"has ([A-Z-]+)", lambda letter, event, f: (event.line(f[1]) is not None, _flat(event))),
    (r"has no ([A-Z-]+)", lambda letter, event, f: (event.line(f[1]) is None, _flat(event))),
)


def _outcome(stage: Stage, line: Line, found: re.Match[str]) -> None:
    result = _result(stage, line)
    words = found["words"].split(" or ")
    if result.outcome is None or result.outcome.value not in words:
        rules = "".join(f"\n        {rule.name}: {rule.text}" for rule in result.rules)
        raise _wrong(line, found["words"], f"{result.outcome}: {result.reason}{rules}")


def _reason(stage: Stage, line: Line, found: re.Match[str]) -> None:
    result = _result(stage, line)
    told = " / ".join(
        [
            result.reason,
            *(one.answer.conclusion.reason for one in result.consequences),
            *(rule.text for rule in result.rules),
        ]
    )
    if language.quoted(found[1]) not in told:
        raise _wrong(line, found[1], told)


def _rule(stage: Stage, line: Line, found: re.Match[str]) -> None:
    names = [rule.name for rule in _result(stage, line).rules]
    if found["rule"] not in names:
        raise _wrong(line, found["rule"], ", ".join(names))


def _folder(stage: Stage, line: Line, found: re.Match[str]) -> None:
    if (seen := stage.world.destination()) != found["folder"]:
        raise _wrong(line, found["folder"], seen)


def _status(stage: Stage, line: Line, found: re.Match[str]) -> None:
    row = _row(stage, line, found)
    wanted = found["value"]
    if row is None:
        if wanted != "gone":
            raise _wrong(line, wanted, "no such participant")
        return
    value = row.status if found["fact"] == "status" else row.reply.value
    if found["date"]:
        wanted_date = codec.moment(language.moment(found["date"]))
        own = next((one for one in row.instances if one.instance == wanted_date), None)
        value = (
            value if own is None else own.status if found["fact"] == "status" else own.reply.value
        )
    if value != wanted:
        raise _wrong(line, wanted, value)


def _dates(stage: Stage, line: Line, found: re.Match[str]) -> None:
    """The dates for which anything is stored: no ghost among them (P9)."""
    row = _row(stage, line, found)
    seen = sorted(one.instance for one in row.instances) if row else []
    wanted = sorted(
        codec.moment(language.moment(one)) for one in re.findall(language.WHEN, found["dates"])
    )
    if seen != wanted:
        raise _wrong(line, ", ".join(wanted) or "none", ", ".join(seen) or "none")


def _comment(stage: Stage, line: Line, found: re.Match[str]) -> None:
    row = _row(stage, line, found)
    if row is None or row.comment != language.quoted(found["text"]):
        raise _wrong(line, found["text"], repr(row.comment) if row else "no such participant")


def _delivery(stage: Stage, line: Line, found: re.Match[str]) -> None:
    row = _row(stage, line, found)
    if (
        row is None
        or row.delivery.value != found["value"]
        or language.quoted(found["text"] or "") not in row.note
    ):
        raise _wrong(
            line,
            found["value"],
            f"{row.delivery.value}: {row.note}" if row else "no such participant",
        )


def _switch(stage: Stage, line: Line, found: re.Match[str]) -> None:
    row = _row(stage, line, found)
    if row is None or row.email_invite != (found["value"] == "on"):
        raise _wrong(line, found["value"], str(row))


def _participants(stage: Stage, line: Line, found: re.Match[str]) -> None:
    seen = sorted(row.address for row in stage.world.rows(found["key"] or stage.latest))
    wanted = sorted(found["people"].split(" "))
    if seen != wanted:
        raise _wrong(line, " ".join(wanted), " ".join(seen))


def _proposal(stage: Stage, line: Line, found: re.Match[str]) -> None:
    """What the owner can decide on:
    the open proposals of the store, which the last mail has told of too.
    """
    row = _row(stage, line, found)
    seen = [
        f"{_day_and_times(start, end)} {language.spelled(start)}"
        for key, start, end in stage.world.proposals()
        if row and key == row.key
    ]
    told = [
        one.answer.conclusion.proposal
        for one in _result(stage, line).consequences
        if one.answer.conclusion.proposal
    ]
    if not told or not any(found["when"] in one for one in seen):
        raise _wrong(line, found["when"], ", ".join(seen) or "no proposal")


def _claimed(stage: Stage, line: Line, found: re.Match[str]) -> None:
    """What a held answer says, or what a human's text suggests."""
    claims = [one.answer.conclusion.claimed for one in _result(stage, line).consequences]
    if found["value"] not in [claim.value if claim else "nothing" for claim in claims]:
        raise _wrong(line, found["value"], str(claims))


def _away(stage: Stage, line: Line, found: re.Match[str]) -> None:
    days = [one.answer.conclusion.until for one in _result(stage, line).consequences]
    if found["day"] not in [str(day) for day in days]:
        raise _wrong(line, found["day"], str(days))


def _answers(stage: Stage, line: Line, found: re.Match[str]) -> None:
    """Every answer of the message, in its order: series first."""
    seen = [one.answer.conclusion.outcome.value for one in _result(stage, line).consequences]
    if seen != found["words"].split(" "):
        raise _wrong(line, found["words"], " ".join(seen))


def _start(stage: Stage, line: Line, found: re.Match[str]) -> None:
    """Where the follow-up stands in the record: never where a mail says."""
    seen = office.start(stage.world, found["key"])
    if seen != language.moment(found["when"]):
        raise _wrong(line, found["when"], language.spelled(seen) if seen else "nothing")


def _forwarded(stage: Stage, line: Line, found: re.Match[str]) -> None:
    """Somebody's words, passed on: no calendar object, replies go back to him (P23)."""
    words = next(
        (
            one
            for one in stage.unread
            if one.letter.method is Method.NONE and one.letter.address == found["to"]
        ),
        None,
    )
    if words is None:
        raise _wrong(line, text_of(found), "\n    ".join(map(shown, stage.unread)) or "no letter")
    stage.unread.remove(words)
    if words.invitation.event is not None:
        raise _wrong(line, "plain words", "a calendar object in it")
    if (reply_to := address.normal(words.invitation.reply_to)) != address.normal(
        found["answers"] or reply_to
    ):
        raise _wrong(line, found["answers"], reply_to)
    if language.quoted(found["text"] or "") not in words.invitation.text:
        raise _wrong(line, found["text"], words.invitation.text)


EXPECTATIONS: tuple[tuple[str, Callable[[Stage, Line, re.Match[str]], None]], ...] = (
    (r"no letter", _no_letter),
    (r"letter (?P<method>[A-Z]+) to (?P<to>[^\s,]+)(?:, (?P<options>.+))?", _letter),
    (r"outcome (?P<words>[a-z_]+(?: or [a-z_]+)*)", _outcome),
    (r"answers (?P<words>[a-z_]+(?: [a-z_]+)*)", _answers),
    (r'because (".*")', _reason),
    (r"by rule (?P<rule>\w+)", _rule),
    (r"moved to (?P<folder>processed|review|ignored)", _folder),
    (
        rf"(?P<fact>status|reply) {PARTICIPANT}(?: on (?P<date>{language.WHEN}))? (?P<value>[a-z_-]+)",
        _status,
    ),
    (rf"dates of {PARTICIPANT}: (?P<dates>.+)", _dates),
    (rf'comment {PARTICIPANT} (?P<text>".*")', _comment),
    (rf'delivery {PARTICIPANT} (?P<value>[a-z]+)(?: (?P<text>".*"))?', _delivery),
    (rf"switch {PARTICIPANT} (?P<value>on|off)", _switch),
    (r"participants(?: of (?P<key>\w+))?: (?P<people>.+)", _participants),
    (rf"proposal of {PARTICIPANT} (?P<when>{language.SPAN}|{language.WHEN})", _proposal),
    (r"claims (?P<value>[a-z-]+)", _claimed),
    (r"away until (?P<day>\d{4}-\d\d-\d\d)", _away),
    (rf"(?P<key>\w+) starts (?P<when>{language.WHEN})", _start),
    (
        r'forwarded to (?P<to>[^\s,]+)(?:, answers go to (?P<answers>[^\s,]+))?(?:, says (?P<text>".*"))?',
        _forwarded,
    ),
)


def shown(sent: Sent) -> str:
    """A letter in one line."""
    event = sent.invitation.event
    date = event.value("RECURRENCE-ID") if event else ""
    return (
        f"{sent.letter.method} to {sent.letter.address}, sequence {event.sequence if event else '?'}"
        + (f", date {date}" if date else "")
        + f": {sent.invitation.subject}"
    )


def text_of(found: re.Match[str]) -> str:
    return found[0]


def _row(stage: Stage, line: Line, found: re.Match[str]) -> StatusRow | None:
    rows = stage.world.rows(found["key"] or stage.latest)
    return next(
        (
            row
            for row in rows
            if found["who"] == row.key
            or address.normal(found["who"]) == address.normal(row.address)
        ),
        None,
    )


def _result(stage: Stage, line: Line) -> process.Result:
    if stage.result is None:
        raise line.error("no mail has come in yet")
    return stage.result


def _day_and_times(start: Moment | None, end: Moment | None) -> str:
    if not isinstance(start, datetime) or not isinstance(end, datetime):
        return ""
    return f"{language.spelled(start)}-{end.astimezone(language.ZONE):%H:%M}"


def _wrong(line: Line, expected: str, seen: Any) -> Mismatch:
    return Mismatch(
        f"{line.file}:{line.number}: {line.text}\n    expected: {expected}\n    seen:     {seen}"
    )
