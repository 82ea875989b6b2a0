"""`/metrics`, and the alarms and pictures that are made of it (docs/operations.md, "Alarms")."""

import json
import re
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from gateway import metrics
from gateway.actions import measuring
from gateway.health import Condition, State
from gateway.outbound import retry
from gateway.web import app, feed
from gateway.web.metrics import FRESH_SECONDS
from tests import rig
from tests.web.world import NOW, Office

ROOT = Path(__file__).parents[2]
RULES = ROOT / "config" / "prometheus-rules.yml"
DASHBOARD = ROOT / "config" / "grafana-dashboard.json"
OPERATIONS = ROOT / "docs" / "operations.md"
NAME = re.compile(r"invite_gateway_\w+")


def client(office: Office, *conditions: Condition, address: str = "127.0.0.1") -> httpx.AsyncClient:
    async def look() -> list[Condition]:
        return [*conditions]

    made = app.create(feed.Feed(office.store), look, lambda: conditions, office.site)
    transport = httpx.ASGITransport(made, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8025")


async def told(office: Office, *conditions: Condition) -> str:
    async with client(office, *conditions) as asking:
        answer = await asking.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == metrics.CONTENT_TYPE
    return answer.text


def names(text: str) -> set[str]:
    """Every name that a query may use."""
    found = set(re.findall(r"(?m)^# TYPE (\w+)", text))
    return found | {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line[:1] != "#"}


@pytest.fixture
def checked(office: Office) -> Office:
    """With something of everything that only this process knows."""
    board = office.site.board
    board.stops["inbound"] += 2
    board.looks["default"] = lambda: NOW
    return office


async def test_what_the_process_and_the_store_say(
    checked: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = datetime(2027, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(metrics, "CERTIFICATES", {"mail.crm.example:993": ends})
    wrong = Condition("mailbox", State.FAILED, "of ola@ext.example", NOW)
    text = await told(checked, wrong, Condition("mailbox", State.WARNING))
    lines = text.splitlines()
    assert 'invite_gateway_role_stops_total{role="inbound"} 2' in lines
    assert (
        f'invite_gateway_mailbox_look_time_seconds{{account="default"}} {NOW.timestamp():.0f}'
        in lines
    )
    assert 'invite_gateway_trouble{subject="mailbox",state="failed"} 1' in lines
    assert 'invite_gateway_trouble{subject="mailbox",state="warning"} 1' not in lines
    assert (
        'invite_gateway_certificate_end_time_seconds{server="mail.crm.example:993"}'
        f" {ends.timestamp():.0f}"
    ) in lines
    assert "invite_gateway_store_up 1" in lines
    for secret in ("ola", "Ola", "kari", "Title", "ext.example"):
        assert secret not in text


async def test_every_name_of_the_alarms_and_of_the_dashboard_is_there(checked: Office) -> None:
    known = names(await told(checked))
    for path in (RULES, DASHBOARD):
        asked = set(NAME.findall(path.read_text(encoding="utf-8")))
        assert len(asked) > 10
        assert asked <= known, path.name
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert all(NAME.search(target["expr"]) for panel in panels for target in panel["targets"])


def test_every_alarm_is_explained() -> None:
    text = OPERATIONS.read_text(encoding="utf-8").partition("\n## Alarms")[2]
    alarms = re.findall(r"alert: (\w+)", RULES.read_text(encoding="utf-8"))
    assert alarms == re.findall(r"(?m)^### (\w+)$", text.partition("\n## ")[0])


def test_every_verdict_is_told_before_it_happens() -> None:
    """Prometheus sees no rise in what begins with 40."""
    assert list(measuring.VERDICTS) == list(retry.Verdict)


async def test_it_is_for_those_who_watch(office: Office) -> None:
    async with client(office, address="192.0.2.1") as asking:
        answer = await asking.get("/metrics")
    assert answer.status_code == 403
    assert "web.metrics_from" in answer.json()["detail"]
    async with client(office, address="::ffff:127.0.0.1") as asking:
        assert (await asking.get("/metrics")).status_code == 200


async def test_the_store_may_be_away(checked: Office) -> None:
    assert checked.store.path is not None
    checked.store.close()
    checked.store.path.unlink()
    lines = (await told(checked)).splitlines()
    assert "invite_gateway_store_up 0" in lines
    assert 'invite_gateway_role_stops_total{role="inbound"} 2' in lines


async def test_nobody_keeps_the_store_busy_with_it(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two questions at once are one look."""
    monkeypatch.setattr("gateway.web.metrics.FRESH_SECONDS", 3600.0)
    asked = []
    clock = office.site.clock

    def counted() -> datetime:
        asked.append(clock())
        return asked[-1]

    office.site.clock = counted
    async with client(office) as asking:
        for _ in range(2):
            assert (await asking.get("/metrics")).status_code == 200
    assert len(asked) == 1
    assert timedelta(seconds=FRESH_SECONDS) < timedelta(seconds=15), "Prometheus asks seldom"


@pytest.mark.real
async def test_prometheus_understands_it(checked: Office, tmp_path: Path) -> None:
    promtool = rig.need("promtool", "prometheus")

    def run(*arguments: str, said: str = "") -> None:
        done = subprocess.run(
            [promtool, *arguments], input=said, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    run("check", "metrics", said=await told(checked, Condition('a "b" \\', State.FAILED)))
    run("check", "rules", str(RULES))
