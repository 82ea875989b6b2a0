"""Storms: random edits by SQL, answers, lost connections of unknown fate, refusals, gateways that
die, reminders; in the end every calendar holds exactly what its owner should hold.

The real store, planner, outbox, renderer and reader of answers, in one process on SQLite; the clock
and the mail server are played. `python -m tests.faults.storm --storms 5000` prints the numbers; a
finding names its seed, and `--first SEED --storms 1 --verbose` tells that storm step by step. The
judge is `tests.faults.holdings`.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
import time_machine

from gateway import sections
from gateway import settings as configuration
from gateway.actions import deliveries, planning, reminders, series
from gateway.errors import GatewayError
from gateway.inbound import process
from gateway.outbound import receipts, retry, worker
from gateway.store import meta, schema
from gateway.store.engine import Store
from gateway.store.inbox import Place
from gateway.store.outbox import Attempt, Queued, Settlement
from gateway.store.pace import Room
from gateway.writing import render
from tests import stores
from tests.faults import holdings

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
START = datetime(2027, 1, 5, 10, 0, tzinfo=UTC)
MINUTE, HOUR, DAY, WEEK = (
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
    timedelta(weeks=1),
)
PEOPLE = ("ann", "bob", "gil")
GUEST = "gil"
"""Is invited to one date of a series, where there is one."""
OTHERS = {"ann": "pia", "bob": "tor", "gil": "gus"}
"""To whom a row may be given, and who may give it back."""
TYPO = "somebody at a.example"
HERE, ELSEWHERE = "storm", "another-host/boot/1:77:abcd"
FATES = ("taken", "later", "cut", "refused")
WEATHERS = ((8, 1, 1, 0), (3, 3, 3, 0), (2, 3, 3, 1), (0, 2, 3, 0), (4, 1, 3, 2))
"""How often the mail server does what, in a storm of one kind."""
LISTS = ((5, 168, 172), (24, 29, 200), (24, 48, 72))
"""Further dates of a list, in hours after the start. Most of them have two on one day, which is one
invitation for each date; the last one is told by a rule.
"""
RULES = ("FREQ=WEEKLY;COUNT=5", "FREQ=WEEKLY;COUNT=7", "FREQ=DAILY;COUNT=6")


@dataclass
class Storm:
    """One storm; `mail` is what the server took, in its order, `tries` what it said of each."""

    store: Store
    seed: int
    verbose: bool = False
    now: datetime = NOW
    mail: list[holdings.Arrival] = field(default_factory=list)
    tries: list[holdings.Try] = field(default_factory=list)
    given: list[holdings.Given] = field(default_factory=list)
    late: list[bytes] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    uid: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.weather = self.chance.choice(WEATHERS)
        outbound = sections.Outbound(reminder_hours=2)
        self.settings = configuration.Settings(
            store=sections.Store(url=str(self.store.url)),
            mail=sections.Mail(address="invites@crm.example", name="Firma AS"),
            outbound=outbound,
        )
        self.series = self.chance.random() < 0.6
        apart = random.Random(f"list {self.seed}")
        self.listed = apart.choice(LISTS) if apart.random() < 0.25 else ()

    def run(self) -> list[str]:
        """Everything that happens, and what is wrong in the end."""
        self._begin()
        steps = [
            self._edit,
            self._edit,
            self._edit,
            self._plan,
            self._deliver,
            self._deliver,
            self._answer,
        ]
        steps += [self._die, self._remind, self._wait]
        for _ in range(self.chance.randint(4, 30)):
            self.now += self.chance.choice((MINUTE, 10 * MINUTE, 2 * HOUR))
            self.chance.choice(steps)()
            if self.chance.random() < 0.5:
                self._plan()
        self._drain()
        return holdings.check(
            self.path, self.mail, self.tries, self.given, self._owed(), alone=bool(self.listed)
        )

    @property
    def path(self) -> Path:
        assert self.store.path is not None
        return self.store.path

    # --- the record ---

    def _begin(self) -> None:
        public = self.chance.choice(("private", "public"))
        rule = self.chance.choice(RULES) if self.series else ""
        if self.listed:
            self.series, rule = True, ""
        self.sql(
            "INSERT INTO associate (key, name, email) VALUES ('kari', 'Kari', 'kari@crm.example')"
        )
        self.sql(
            "INSERT INTO follow_up (key, owner, title, start_at, end_at, timezone, rrule, guest_list)"
            " VALUES ('m1', 'kari', 'Kick-off', :start, :end, 'Europe/Oslo', :rule, :public)",
            start=_text(START),
            end=_text(START + HOUR),
            rule=rule,
            public=public,
        )
        for hours in self.listed:
            add(self, "m1", START + hours * HOUR)
        for who in (*PEOPLE, *OTHERS.values()):
            self.sql(
                "INSERT INTO person (key, name) VALUES (:who, :name)", who=who, name=who.title()
            )
            self.sql(
                "INSERT INTO person_email (person, position, address) VALUES (:who, 0, :address)",
                who=who,
                address=f"{who}@a.example",
            )
        for who in PEOPLE:
            date = _text(START + WEEK) if self.series and who == GUEST else None
            if date is not None and "DAILY" in rule:
                date = _text(START + DAY)
            if date is not None and self.listed:
                date = _text(START + self.listed[0] * HOUR)
            self.sql(
                "INSERT INTO participant (follow_up, person, email_invite, original_start)"
                " VALUES ('m1', :who, TRUE, :date)",
                who=who,
                date=date,
            )

    def sql(self, statement: str, **values: Any) -> None:
        """As other programs write."""
        with self.store.write() as connection:
            connection.execute(sa.text(statement), values)

    def rows(self, statement: str, **values: Any) -> list[Any]:
        with self.store.read() as connection:
            return list(connection.execute(sa.text(statement), values))

    def _edit(self) -> None:
        keys = [row.key for row in self.rows("SELECT key FROM follow_up ORDER BY key")]
        if not keys:
            return
        edits = EDITS if self.series else [one for one in EDITS if one not in OF_SERIES]
        edit = self.chance.choice([*edits, *OF_LISTS] if self.listed else edits)
        self._say("edit", edit.__name__)
        self.counts["edits"] += 1
        edit(self, self.chance.choice(keys))

    # --- the gateway ---

    def _plan(self) -> None:
        with self.store.write() as connection:
            connection.execute(sa.update(schema.change_mark).values(at=self.now))
        new = planning.plan_due(self.store, self.settings, self.now, everything=True)
        self.counts["letters"] += new
        if new:
            self._say("planned", self._open())

    def _remind(self) -> None:
        self.counts["reminders"] += reminders.remind(
            self.store, self.settings, HERE, lambda: self.now
        )

    def _deliver(self) -> None:
        for _ in range(self.chance.randint(1, 3)):
            self._round(self.weather)

    def _round(self, weather: tuple[int, ...]) -> int:
        claimed = deliveries.claim(self.store, HERE, self.now, Room(self.chance.choice((1, 2, 50))))
        settled = [self._hand_over(one, self.chance.choices(FATES, weather)[0]) for one in claimed]
        deliveries.settle(self.store, HERE, settled, self.now)
        return len(claimed)

    def _die(self) -> None:
        """A gateway is killed, or stops, while it sends."""
        stops = self.chance.random() < 0.3
        name = HERE if stops else ELSEWHERE
        for one in deliveries.claim(self.store, name, self.now, Room(self.chance.choice((1, 50)))):
            self._arrive(one, arrives=self.chance.random() < 0.5, known=False)
        if stops:
            deliveries.leave(self.store, name)
        self.now += MINUTE  # its lease runs out
        self.counts["deaths"] += 1
        self._say("death")

    def _wait(self) -> None:
        self.now += self.chance.choice((HOUR, 5 * HOUR))

    def _hand_over(self, one: Queued, fate: str) -> tuple[Queued, Settlement, Attempt | None]:
        if (settlement := worker.dropped(one, self.now)) is not None:
            return one, settlement, None
        step, code, text = {
            "taken": (receipts.Step.BODY, 250, "2.0.0 ok"),
            "later": (receipts.Step.RCPT, 450, "4.2.0 try again later"),
            "refused": (
                receipts.Step.RCPT,
                550,
                f"5.1.1 {one.letter.address} is unknown here {one.id}",
            ),
            "cut": (receipts.Step.BODY, None, "connection lost"),
        }[fate]
        if fate in ("taken", "cut"):
            arrives = fate == "taken" or self.chance.random() < 0.5
            self._arrive(one, arrives=arrives, known=fate == "taken")
        else:
            self.tries.append(
                holdings.Try(
                    one.letter.address,
                    one.letter.edition.uid,
                    fate,
                    one.letter.method.value,
                    one.letter.edition.recurrence_id,
                )
            )
        self.counts[fate] += 1
        self._say(fate, one.id, one.letter.method.value, one.letter.address, one.letter.sequence)
        receipt = receipts.Receipt(
            step=step,
            code=code,
            text=text,
            enhanced=receipts.enhanced(text),
            host="mail.crm.example",
            started=self.now,
            ended=self.now,
        )
        verdict = retry.judge(receipt)
        attempt = Attempt(
            one.id, self.now, 0.0, verdict, step, code, receipt.enhanced, text, receipt.host
        )
        limits = self.settings.outbound
        due = retry.again(one.created_at, one.tries + 1, self.now, limits, 0.5)
        settlement = worker.settle(one, verdict, receipt, text, due)
        return one, settlement, attempt

    def _arrive(self, one: Queued, *, arrives: bool, known: bool) -> None:
        letter = one.letter
        uid, fate = letter.edition.uid, "taken" if known else "unknown"
        date = letter.edition.recurrence_id
        self.tries.append(holdings.Try(letter.address, uid, fate, letter.method.value, date))
        if arrives:
            with self.store.read() as connection:
                secret = meta.site_secret(connection)
            content = render.render(letter, self.settings.mail, secret)
            self.mail.append(holdings.Arrival(letter.address, content))
        if not known:
            self._say(
                "unknown",
                one.id,
                letter.method.value,
                letter.address,
                "arrives" if arrives else "lost",
            )

    def _drain(self) -> None:
        """The weather is fine again, and all that waits leaves. What was refused or given up is not
        owed again by itself, so such a record is touched once.
        """
        for raw in self.late:
            self._receive(raw)
        self._plan()
        self.sql(
            "UPDATE person_email SET address = person || '@a.example' WHERE address = :a", a=TYPO
        )
        self._plan()
        self.sql(
            "UPDATE follow_up SET title = title || '.' WHERE EXISTS (SELECT 1 FROM outbox"
            " WHERE outbox.follow_up = follow_up.key AND state IN ('refused', 'dropped'))"
        )
        self._plan()
        for _ in range(60):
            self.now += 5 * HOUR
            self._plan()
            if not self._round((1, 0, 0, 0)) and not self._open():
                break
        self._plan()

    def _open(self) -> list[Any]:
        return self.rows(
            "SELECT id, address, method, instance, sequence FROM outbox"
            " WHERE state IN ('waiting', 'sending', 'held')"
        )

    def _owed(self) -> list[str]:
        return [f"left in the outbox: {tuple(row)}" for row in self._open()]

    # --- people ---

    def _answer(self) -> None:
        """Somebody answers the last invitation that he got."""
        asked = [one for one in self.mail if holdings.read(one.content).method == "REQUEST"]
        if not asked:
            return
        one = self.chance.choice(asked[-4:])
        invitation = holdings.read(one.content)
        reply = self.chance.choice(("ACCEPTED", "DECLINED", "TENTATIVE"))
        raw = holdings.answer(invitation, one.address, reply, self.now)
        late = self.chance.random() < 0.3
        self.given.append(holdings.Given(one.address, invitation.uid, reply, len(self.mail), late))
        self.counts["answers"] += 1
        self._say("answer", one.address, reply, invitation.sequence, "late" if late else "")
        if late:
            self.late.append(raw)
        else:
            self._receive(raw)

    def _receive(self, raw: bytes) -> None:
        self.uid += 1
        place = Place("default", "INBOX", 1, self.uid)
        with time_machine.travel(self.now, tick=False):
            received = process.Received(raw, self.now, len(raw), place=place)
            [result] = process.Processor(self.store, self.settings).receive([received])
        assert result.outcome is not None, result.reason
        assert not result.reason.startswith("this program failed"), result.reason
        self.counts[f"outcome {result.outcome.value}"] += 1
        self._say("outcome", result.outcome.value, result.reason)

    def _say(self, *words: object) -> None:
        if self.verbose:
            print(f"{self.now:%d %H:%M}", *words)


# --- edits, each as another program writes it ---


def title(storm: Storm, key: str) -> None:
    storm.sql(
        "UPDATE follow_up SET title = :t WHERE key = :k",
        t=f"Title {storm.chance.randrange(3)}",
        k=key,
    )


def place(storm: Storm, key: str) -> None:
    storm.sql(
        "UPDATE follow_up SET location = :t WHERE key = :k",
        t=f"Room {storm.chance.randrange(2)}",
        k=key,
    )


def move(storm: Storm, key: str) -> None:
    """Often there and back."""
    [row] = storm.rows("SELECT start_at, rrule FROM follow_up WHERE key = :k", k=key)
    if "UNTIL" in row.rrule:
        return  # it might end before it begins
    start = datetime.fromisoformat(row.start_at)
    start = start.replace(hour=storm.chance.choice((10, 12)))
    storm.sql(
        "UPDATE follow_up SET start_at = :s, end_at = :e WHERE key = :k",
        s=_text(start),
        e=_text(start + HOUR),
        k=key,
    )


def rule(storm: Storm, key: str) -> None:
    storm.sql("UPDATE follow_up SET rrule = :r WHERE key = :k", r=storm.chance.choice(RULES), k=key)


def _date(storm: Storm, key: str) -> str:
    """One of the dates that the series has."""
    dates = holdings.names(storm.path, key)
    return _text(storm.chance.choice(dates)) if dates else _text(START)


def move_date(storm: Storm, key: str) -> None:
    name = _date(storm, key)
    start = datetime.fromisoformat(name) + storm.chance.choice((1, 2)) * HOUR
    storm.sql(
        "DELETE FROM follow_up_date WHERE follow_up = :k AND original_start = :d", k=key, d=name
    )
    storm.sql(
        "INSERT INTO follow_up_date (follow_up, original_start, start_at, end_at) VALUES (:k, :d, :s, :e)",
        k=key,
        d=name,
        s=_text(start),
        e=_text(start + HOUR),
    )


def add(storm: Storm, key: str, date: datetime) -> None:
    storm.sql(
        "INSERT INTO follow_up_date (follow_up, original_start) VALUES (:k, :d)",
        k=key,
        d=_text(date),
    )


def add_date(storm: Storm, key: str) -> None:
    """To a list, at another hour of a day that has one already, perhaps."""
    hours = storm.chance.choice((5, 6, 24, 29, 168, 173))
    date = START + hours * HOUR
    if date.replace(tzinfo=None) not in holdings.names(storm.path, key):
        storm.sql(
            "DELETE FROM follow_up_date WHERE follow_up = :k AND original_start = :d",
            k=key,
            d=_text(date),
        )
        add(storm, key, date)


def cancel_date(storm: Storm, key: str) -> None:
    name = _date(storm, key)
    storm.sql(
        "DELETE FROM follow_up_date WHERE follow_up = :k AND original_start = :d", k=key, d=name
    )
    storm.sql(
        "INSERT INTO follow_up_date (follow_up, original_start, cancelled) VALUES (:k, :d, TRUE)",
        k=key,
        d=name,
    )


def restore_date(storm: Storm, key: str) -> None:
    own = storm.rows(
        "SELECT original_start AS d FROM follow_up_date WHERE follow_up = :k ORDER BY 1", k=key
    )
    if own:
        storm.sql(
            "DELETE FROM follow_up_date WHERE follow_up = :k AND original_start = :d",
            k=key,
            d=storm.chance.choice(own).d,
        )


def stop(storm: Storm, key: str) -> None:
    _at_a_date(storm, key, series.stop)


def split(storm: Storm, key: str) -> None:
    def work(connection: Any, key: str, at: Any, settings: Any, now: datetime) -> None:
        series.split(connection, key, series.From(at, {"title": "The rest"}), settings, now)

    if len(storm.rows("SELECT key FROM follow_up")) < 3:
        _at_a_date(storm, key, work)


def _at_a_date(storm: Storm, key: str, work: Callable[..., Any]) -> None:
    at = datetime.fromisoformat(_date(storm, key)).replace(tzinfo=UTC)
    try:
        with storm.store.write() as connection:
            work(connection, key, at, storm.settings, storm.now)
    except GatewayError as error:
        storm._say("refused by the rules", error)


def remove(storm: Storm, key: str) -> None:
    storm.sql(
        "UPDATE participant SET removed = NOT removed WHERE follow_up = :k AND person = :p",
        k=key,
        p=_somebody(storm, key),
    )


def give(storm: Storm, key: str) -> None:
    """To somebody else, or back."""
    who = _somebody(storm, key)
    pairs = OTHERS | {other: first for first, other in OTHERS.items()}
    storm.sql(
        "UPDATE participant SET person = :to WHERE follow_up = :k AND person = :p"
        " AND NOT EXISTS (SELECT 1 FROM participant WHERE follow_up = :k AND person = :to)",
        k=key,
        p=who,
        to=pairs[who],
    )


def drop(storm: Storm, key: str) -> None:
    """The row itself is deleted, or somebody who has none gets one."""
    rows = storm.rows("SELECT person FROM participant WHERE follow_up = :k", k=key)
    without = sorted({*PEOPLE, *OTHERS.values()} - {row.person for row in rows})
    if storm.chance.random() < 0.5:
        statement = "DELETE FROM participant WHERE follow_up = :k AND person = :p"
        who = _somebody(storm, key)
    else:
        statement = (
            "INSERT INTO participant (follow_up, person, email_invite) VALUES (:k, :p, TRUE)"
        )
        who = storm.chance.choice(without)
    storm.sql(statement, k=key, p=who)


def _somebody(storm: Storm, key: str) -> str:
    """Who has one of the rows of a follow-up, or nobody."""
    rows = storm.rows("SELECT person FROM participant WHERE follow_up = :k ORDER BY id", k=key)
    return str(storm.chance.choice(rows).person) if rows else PEOPLE[0]


def switch(storm: Storm, key: str) -> None:
    storm.sql(
        "UPDATE participant SET email_invite = NOT email_invite WHERE follow_up = :k AND person = :p",
        k=key,
        p=_somebody(storm, key),
    )


def address(storm: Storm, key: str) -> None:
    """There and back."""
    who = _somebody(storm, key)
    storm.sql(
        "UPDATE person_email SET address = CASE WHEN address = :a THEN :b ELSE :a END WHERE person = :p",
        a=f"{who}@a.example",
        b=f"{who}@b.example",
        p=who,
    )


def typo(storm: Storm, key: str) -> None:
    """No address any more, until it is put right: by another edit, or in the end."""
    storm.sql(
        "UPDATE person_email SET address = :a WHERE person = :p", a=TYPO, p=_somebody(storm, key)
    )


def another_date(storm: Storm, key: str) -> None:
    storm.sql(
        "UPDATE participant SET original_start = :d WHERE follow_up = :k"
        " AND original_start IS NOT NULL",
        d=_date(storm, key),
        k=key,
    )


def cancel(storm: Storm, key: str) -> None:
    storm.sql("UPDATE follow_up SET cancelled = NOT cancelled WHERE key = :k", k=key)


def delete(storm: Storm, key: str) -> None:
    if storm.chance.random() < 0.2:
        storm.sql("DELETE FROM follow_up WHERE key = :k", k=key)


def answer_by(storm: Storm, key: str) -> None:
    storm.sql(
        "UPDATE follow_up SET answer_by = :t WHERE key = :k",
        t=_text(storm.now + storm.chance.choice((1, 3)) * HOUR),
        k=key,
    )


EDITS: list[Callable[[Storm, str], None]] = [
    *(title, place, move, move, rule, move_date, move_date, cancel_date, restore_date, stop, split),
    *(
        remove,
        remove,
        give,
        drop,
        switch,
        address,
        address,
        typo,
        another_date,
        another_date,
        cancel,
        delete,
        answer_by,
    ),
]
OF_LISTS = [add_date, cancel_date, move_date]
OF_SERIES = {rule, move_date, cancel_date, restore_date, stop, split, another_date}


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def storms(
    first: int, number: int, folder: Path, *, seconds: float = 1e9, verbose: bool = False
) -> tuple[dict[int, list[str]], Counter[str]]:
    """Play storms, no more once so many seconds have passed; returns seed → findings, and what was
    counted.
    """
    until = time.monotonic() + seconds
    template = folder / "template.db"
    template.unlink(missing_ok=True)
    stores.upgraded(f"sqlite:///{template}")
    found, counts = dict[int, list[str]](), Counter[str]()
    with closing(Store(f"sqlite:///{folder / 'storm.db'}")) as store:
        for seed in range(first, first + number):
            if time.monotonic() > until:
                break
            stores.renew(store, template)
            storm = Storm(store, seed, verbose=verbose)
            if problems := storm.run():
                found[seed] = problems
            counts += storm.counts
            counts["storms"] += 1
    return found, counts


def main() -> int:
    parser = argparse.ArgumentParser(description="Storms, judged by what people hold.")
    parser.add_argument("--storms", type=int, default=500)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1e9, help="begin no storm after these")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    began = time.monotonic()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        found, counts = storms(
            options.first,
            options.storms,
            Path(folder),
            seconds=options.seconds,
            verbose=options.verbose,
        )
    for seed, problems in found.items():
        print(f"storm {seed}:", *problems, sep="\n  ")
    print(
        f"{len(found)} of {counts['storms']} storms have findings, {time.monotonic() - began:.0f} s"
    )
    print(", ".join(f"{name} {number}" for name, number in sorted(counts.items())))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
