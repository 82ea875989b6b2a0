"""Every alarm goes off when what it tells of happens, and is over when its cure was followed
(docs/operations.md, "Alarms"): what `/metrics` says before, meanwhile and after is given to
Prometheus' own judge of rules.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest

from gateway import metrics
from gateway.actions import queue
from gateway.actions.queue import Verb
from gateway.health import Condition, State, Vitals
from gateway.model import LetterState
from gateway.store import leases, pace, vitals
from gateway.store.outbox import Selection
from gateway.store.pace import Rest
from gateway.web import app, feed
from tests import rig
from tests.web.test_metrics import NAME, RULES
from tests.web.world import NOW, OPERATOR, Office

STEP = timedelta(minutes=10)
"""From one look to the next; until then Prometheus is told the same each minute."""
QUIET, WRONG, CURED = timedelta(minutes=30), timedelta(hours=5), timedelta(hours=7)
OTHER = "elsewhere/boot/1:10.77:aaaa"
JOB = 'up{job="invite-gateway"}'


@dataclass
class Watched:
    """A gateway that is looked at again and again. `looked`: when it read its mailbox last, None
    where it does at this moment.
    """

    office: Office
    conditions: list[Condition] = field(default_factory=list)
    answers: bool = True
    looked: datetime | None = None
    other: Vitals | None = None
    """What another process of the store measures, which has no page."""
    told: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """Series → its values, "_" where it was not there."""
    looks: int = 0

    def __post_init__(self) -> None:
        site = self.office.site
        site.board.looks["default"] = lambda: self.looked or self.office.now
        site.board.stops["inbound"] += 0  # as `supervise` does
        store = self.office.store
        self.application = app.create(feed.Feed(store), self._seen, lambda: self.conditions, site)

    async def go_on(self, time: timedelta) -> None:
        """Let so much time pass."""
        for _ in range(time // STEP):
            if self.other is not None:
                self._measured(self.other)
            said = await self._look()
            for series in said.keys() | self.told.keys():
                values = self.told[series]
                values += ["_"] * (self.looks - len(values))
                values.append(said.get(series, "_"))
            self.looks += 1
            self.office.now += STEP

    def run(self, *statements: str) -> None:
        with self.office.store.write() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def text(self, ago: timedelta) -> str:
        """A moment as the store has it."""
        return f"{self.office.now - ago:%Y-%m-%d %H:%M:%S}"

    def receive(self, number: int, outcome: str, ago: timedelta, raw: str = "NULL") -> None:
        """So many messages that arrived then."""
        at, now = self.text(ago), self.text(timedelta())
        values = f"('{at}', '{now}', 'INBOX', '', 10, {outcome}, {raw})"
        self.run(
            "INSERT INTO inbox (arrived_at, recorded_at, folder, digest, size, outcome, raw)"
            f" VALUES {', '.join([values] * number)}"
        )

    def _measured(self, other: Vitals) -> None:
        with self.office.store.write() as connection:
            leases.take(connection, f"{leases.GATEWAY}{OTHER}", OTHER, self.office.now)
            vitals.hold(connection, OTHER, other)

    async def _seen(self) -> list[Condition]:
        return self.conditions

    async def _look(self) -> dict[str, str]:
        if not self.answers:
            return {JOB: "0"}
        transport = httpx.ASGITransport(self.application, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8025"
        ) as asking:
            text = (await asking.get("/metrics")).text
        lines = [line.rpartition(" ") for line in text.splitlines() if line[:1] != "#"]
        return {name: _since(name, value) for name, _, value in lines} | {JOB: "1"}


def _since(name: str, value: str) -> str:
    """For Prometheus' judge time begins with 0."""
    is_moment = re.match(r"\w+_time_seconds", name)
    return str(float(value) - NOW.timestamp()) if is_moment else value


def paused(watched: Watched) -> None:
    rest = Rest("default", NOW, NOW + timedelta(days=1), 9, "account", "535 no")
    with watched.office.store.write() as connection:
        pace.begin_rest(connection, rest)


def tried_again(watched: Watched) -> None:
    """`queue retry --account default`, and the server takes the letter."""
    watched.office.perform(lambda desk: queue.try_now(desk, "default"), OPERATOR)
    with watched.office.store.write() as connection:
        pace.end_rest(connection, "default")


def held(watched: Watched) -> None:
    watched.office.plan()
    watched.run("UPDATE outbox SET state = 'held', note = 'P15: a bare LF'")


def released(watched: Watched) -> None:
    """`queue release`, and they leave."""
    letters = Selection(states=(LetterState.HELD,))
    queue.change(watched.office.store, Verb.RELEASE, letters, watched.office.now, "admin")
    left(watched)


def left(watched: Watched) -> None:
    watched.run("UPDATE outbox SET state = 'sent' WHERE state = 'waiting'")


def refused(watched: Watched) -> None:
    one = f"(1, '{watched.text(timedelta())}', 0.1, 'refused', 'rcpt')"
    watched.run(
        "INSERT INTO attempt (letter, started_at, seconds, verdict, step) VALUES"
        f" {', '.join([one] * 40)}"
    )


def away(watched: Watched) -> None:
    path = watched.office.store.path
    assert path is not None
    watched.office.store.close()
    path.rename(path.with_suffix(".away"))


def back(watched: Watched) -> None:
    path = watched.office.store.path
    assert path is not None
    path.with_suffix(".away").rename(path)


def _says(state: State) -> Callable[[Watched], None]:
    return lambda watched: watched.conditions.append(Condition("mailbox", state, "no answer", NOW))


def _ends(days: int) -> Callable[[Watched], None]:
    def shown(watched: Watched) -> None:
        metrics.CERTIFICATES["mail.crm.example:993"] = NOW + timedelta(days=days)

    return shown


def _answers(value: bool) -> Callable[[Watched], None]:
    return lambda watched: setattr(watched, "answers", value)


def _stops(watched: Watched) -> None:
    watched.office.site.board.stops["inbound"] += 6


def _nothing(watched: Watched) -> None:
    """It was seen to, and does not happen again."""


HOUR = timedelta(hours=1)
Act = Callable[[Watched], object]
ALARMS: dict[str, tuple[Act, Act]] = {
    "GatewayDown": (_answers(False), _answers(True)),
    "GatewayFailed": (_says(State.FAILED), lambda watched: watched.conditions.clear()),
    "GatewayWarns": (_says(State.WARNING), lambda watched: watched.conditions.clear()),
    "StoreAway": (away, back),
    "LettersWait": (lambda watched: watched.office.plan(), left),
    "AccountRests": (paused, tried_again),
    "LettersHeld": (held, released),
    "LettersRefused": (refused, _nothing),
    "MailboxNotRead": (
        lambda watched: setattr(watched, "looked", watched.office.now),
        lambda watched: setattr(watched, "looked", None),
    ),
    "AnswersLate": (
        lambda watched: watched.receive(20, "'applied'", HOUR / 2),
        lambda watched: watched.receive(20, "'applied'", timedelta(seconds=1)),
    ),
    "MessagesUnprocessed": (
        lambda watched: watched.receive(1, "NULL", timedelta()),
        lambda watched: watched.run("UPDATE inbox SET outcome = 'failed'"),
    ),
    "AnswersUnmatched": (
        lambda watched: watched.receive(20, "'unknown_invitation'", timedelta()),
        lambda watched: watched.receive(190, "'applied'", timedelta()),
    ),
    "ReviewWaits": (
        lambda watched: watched.receive(1, "'review'", 72 * HOUR, "x'00'"),
        lambda watched: watched.run("UPDATE inbox SET raw = NULL"),
    ),
    "RoleRestarts": (_stops, _nothing),
    "CertificateEnds": (_ends(10), _ends(100)),
    "WebhookWaits": (
        lambda watched: watched.run("UPDATE webhook_delivery SET state = 'waiting'"),
        lambda watched: watched.run("UPDATE webhook_delivery SET state = 'done'"),
    ),
}
"""What happens, and what is done about it."""


def test_every_alarm_has_its_story() -> None:
    assert list(ALARMS) == re.findall(r"alert: (\w+)", RULES.read_text(encoding="utf-8"))


@pytest.mark.real
@pytest.mark.parametrize("alarm", ALARMS)
async def test_an_alarm_goes_off_and_its_cure_ends_it(
    office: Office, alarm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.metrics.FRESH_SECONDS", 0.0)
    monkeypatch.setattr(metrics, "CERTIFICATES", {})
    happens, cure = ALARMS[alarm]
    watched = Watched(office)
    watched.run("UPDATE webhook_delivery SET state = 'done'")
    await watched.go_on(QUIET)
    happens(watched)
    await watched.go_on(WRONG)
    cure(watched)
    await watched.go_on(CURED)
    judge(alarm, watched, tmp_path)


WELL = Vitals({"inbound": 0}, {}, {"mail.crm.example:993": NOW + timedelta(days=100)})
MEASURED: dict[str, Vitals] = {
    "RoleRestarts": replace(WELL, stops={"inbound": 6}),
    "CertificateEnds": replace(
        WELL, certificates={"mail.crm.example:993": NOW + timedelta(days=10)}
    ),
    "MailboxNotRead": replace(WELL, looks={"default": NOW}),
}


@pytest.mark.real
@pytest.mark.parametrize("alarm", MEASURED)
async def test_an_alarm_of_a_process_without_a_page_is_heard_at_another(
    office: Office, alarm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.web.metrics.FRESH_SECONDS", 0.0)
    monkeypatch.setattr(metrics, "CERTIFICATES", {})
    watched = Watched(office, other=WELL)
    watched.run("UPDATE webhook_delivery SET state = 'done'")
    await watched.go_on(QUIET)
    watched.other = MEASURED[alarm]
    await watched.go_on(WRONG)
    assert any('gateway="elsewhere:10"' in series for series in watched.told)
    watched.other = replace(WELL, stops=watched.other.stops)
    await watched.go_on(CURED)
    judge(alarm, watched, tmp_path)


def _each(values: list[str]) -> list[str]:
    """One for each minute."""
    return [value for value in values for _ in range(int(STEP.total_seconds()) // 60)]


def judge(alarm: str, watched: Watched, folder: Path) -> None:
    """Silent at first, heard meanwhile, and silent in the end, as promtool says."""
    firing = f'ALERTS{{alertname="{alarm}",alertstate="firing"}}'
    ended = int(WRONG.total_seconds()) // 60 + 60
    looks = {
        QUIET: (f"count({firing}) > bool 0 or vector(0)", 0),
        QUIET + WRONG: (f"count(count_over_time({firing}[{ended}m])) > bool 0 or vector(0)", 1),
        QUIET + WRONG + CURED: (f"count({firing}) > bool 0 or vector(0)", 0),
    }
    names = set(NAME.findall(RULES.read_text(encoding="utf-8"))) | {"up"}
    document = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [
                    {"series": series, "values": " ".join(_each(values))}
                    for series, values in watched.told.items()
                    if series.partition("{")[0] in names
                ],
                "promql_expr_test": [
                    {
                        "expr": expression,
                        "eval_time": f"{int(at.total_seconds()) // 60 - 1}m",
                        "exp_samples": [{"labels": "{}", "value": value}],
                    }
                    for at, (expression, value) in looks.items()
                ],
            }
        ],
    }
    path = folder / "tests.yml"
    path.write_text(json.dumps(document), encoding="utf-8")
    done = subprocess.run(
        [rig.need("promtool", "prometheus"), "test", "rules", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
