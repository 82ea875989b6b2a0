"""Plays a corpus mail to the pure inbound path, over rows that are made from the seed of its line
in `expected.jsonl`.

The whole way with a real store is played by the tests of `receive`; here a failure points at the
reading or the conclusion.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway import status
from gateway.answer import classify, facts, judge, reply
from gateway.mail import address
from gateway.model import DateChange, Edition, Kind, Moment, Policy, Recurrence

FOLDER = Path(__file__).parent
ARRIVED = datetime(2026, 11, 20, 8, 0, 10, tzinfo=UTC)
MAILBOX = "invites@crm.example"


@dataclass(frozen=True)
class Case:
    file: str
    raw: bytes
    mailbox: str
    rows: tuple[facts.Row, ...]
    expect: dict[str, Any]
    zone: str


def cases() -> Iterator[Case]:
    with (FOLDER / "expected.jsonl").open(encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            seed = line["seed"]
            seeds = seed.get("follow_ups", [seed])
            rows = tuple(row for one in seeds for row in _rows(one))
            numbered = tuple(_numbered(row, number) for number, row in enumerate(rows, 1))
            yield Case(
                line["file"],
                (FOLDER / line["file"]).read_bytes(),
                line.get("mailbox", MAILBOX),
                numbered,
                line["expect"],
                seeds[0]["timezone"],
            )


def play(case: Case, policy: Policy | None = None) -> judge.Judgement:
    """What the gateway makes of the mail.
    A message that cannot be parsed is malformed, as in the daemon.
    """
    here = installation(case, policy or Policy(require_authentication=False))
    reading = judge.read(case.raw, ARRIVED, here)
    return judge.judge(reading, look_up(case.rows, reading.asked), here)


def installation(case: Case, policy: Policy) -> judge.Installation:
    return judge.Installation(classify.Ours((case.mailbox,)), policy, b"secret")


def look_up(rows: tuple[facts.Row, ...], asked: facts.Keys) -> facts.Lookup:
    """What a store that holds these rows says under the keys (`facts.Lookup`)."""

    def hit(row: facts.Row) -> bool:
        known = {address.plain(one) for one in (row.address, *row.known)}
        return (
            bool({one.lower() for one in row.tokens} & set(asked.tokens))
            or bool(row.message_ids & set(asked.message_ids))
            or (row.uid in asked.uids and bool(known & set(asked.addresses)))
        )

    follow_ups = {row.uid: row.follow_up for row in rows if row.uid in asked.uids}
    return facts.Lookup(tuple(filter(hit, rows)), frozenset(follow_ups), follow_ups)


def answers(case: Case, meaning: judge.Judgement) -> dict[str | None, str]:
    """The replies that the message leaves behind: date (RFC 3339, None for the whole) → word."""
    return {
        moment(one.conclusion.instance, case.zone): status.apply(
            reply.standing_of(one.row, one.conclusion.instance), one.conclusion.effect
        ).reply.value
        for one in meaning.answers
        if one.row is not None and one.conclusion.effect is not None
    }


def moment(value: Moment | str | None, zone: str) -> str | None:
    """One spelling for expected and real dates."""
    if value is None or (isinstance(value, str) and not value):
        return None
    when = datetime.fromisoformat(value) if isinstance(value, str) and len(value) > 10 else value
    if isinstance(when, datetime):
        return (
            (when if when.tzinfo else when.replace(tzinfo=ZoneInfo(zone)))
            .astimezone(UTC)
            .isoformat()
        )
    return str(when)


def _rows(seed: dict[str, Any]) -> Iterator[facts.Row]:
    edition = _edition(seed)
    for one in seed["participants"]:
        yield facts.Row(
            0,
            seed["key"],
            seed["uid"],
            one["email"],
            edition,
            known=frozenset([one["email"]]),
            tokens=frozenset([one["token"]]),
            removed=one.get("removed", False),
            sent=edition,
            single_dates=frozenset(
                change.original for change in edition.dates if not change.cancelled
            ),
        )


def _numbered(row: facts.Row, number: int) -> facts.Row:
    return facts.Row(
        number,
        row.follow_up,
        row.uid,
        row.address,
        row.current,
        known=row.known,
        tokens=row.tokens,
        removed=row.removed,
        sent=row.sent,
        single_dates=row.single_dates,
    )


def _edition(seed: dict[str, Any]) -> Edition:
    zone, all_day = ZoneInfo(seed["timezone"]), seed.get("all_day", False)

    def read(text: str) -> Moment:
        when = datetime.fromisoformat(text)
        return when.date() if all_day else when.replace(tzinfo=when.tzinfo or zone).astimezone(UTC)

    def maybe(one: dict[str, Any], name: str) -> datetime | date | None:
        return read(one[name]) if name in one else None

    rule = seed.get("recurrence")
    recurrence = (
        Recurrence(
            rule["rrule"],
            tuple(map(read, rule.get("exdates", []))),
            tuple(map(read, rule.get("rdates", []))),
        )
        if rule
        else None
    )
    dates = tuple(
        DateChange(
            read(one["original_start"]),
            maybe(one, "start"),
            maybe(one, "end"),
            one.get("cancelled", False),
        )
        for one in seed.get("instances", [])
    )
    return Edition(
        seed["uid"],
        Kind(seed["kind"]),
        seed["title"],
        read(seed["start"]),
        read(seed["end"]),
        seed["timezone"],
        "Kari",
        all_day,
        cancelled=seed.get("cancelled", False),
        recurrence=recurrence,
        dates=dates,
        sequence=seed["sequence"],
        significant=seed["sequence"],
    )
