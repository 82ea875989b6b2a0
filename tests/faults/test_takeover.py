"""Two gateways on one PostgreSQL, as on two machines: what one of them had in hand when it was
killed, the other takes over.

A process namespace of its own is another machine to `leases`: of what runs there nothing is seen
but the clock of its lease, which lasts some seconds here (`impatient`).
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.daemon import run
from gateway.outbound import webhooks, worker
from gateway.store import leases
from tests import rig
from tests.faults import checker, kill, suite
from tests.rig import dovecot as dovecot_server
from tests.rig import postfix as postfix_server
from tests.wire.gateway_process import Gateway


def test_whatever_a_dead_gateway_had_is_taken_over_within_a_minute() -> None:
    """Its lease runs out, and whoever waits for it looks again."""
    looks = {
        "letters": worker.IDLE_SECONDS,
        "a mailbox": leases.RENEWAL_SECONDS,
        "webhooks": webhooks.IDLE_SECONDS,
        "reminders": run.REMINDER_SECONDS,
    }
    longest = leases.LIFE + timedelta(seconds=max(looks.values()))
    assert longest <= timedelta(minutes=1), looks


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a mail server that takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        yield port


@pytest.fixture
def site(
    tmp_path: Path,
    dovecot: dovecot_server.Server,
    postfix: postfix_server.Server,
    postgres_url: str,
) -> Iterator[kill.Site]:
    made = kill.Site(tmp_path, dovecot, postfix, 7, postgres_url)
    (tmp_path / "names").write_text("")
    made.gateway.settings["FAULTS_NAMES"] = str(tmp_path / "names")
    made.crowd.start()
    try:
        yield made
    finally:
        made.crowd.finish()


def on_a_machine_of_its_own(settings: dict[str, str]) -> Gateway:
    apart = (rig.need("unshare", "util-linux"), "--pid", "--fork", "--kill-child", "--mount-proc")
    return Gateway(settings, (*apart, *suite.IMPATIENT), cold=True)


@pytest.mark.real
def test_what_a_killed_gateway_had_in_hand_is_the_others(
    site: kill.Site, silent: int, tmp_path: Path
) -> None:
    settings = site.gateway.settings
    stuck = {"GATEWAY_SMTP__PORT": str(silent), "GATEWAY_SMTP__TIMEOUT_SECONDS": "600"}
    first = on_a_machine_of_its_own(settings | stuck)
    second = site.gateway = Gateway(settings, suite.IMPATIENT, cold=True)
    try:
        first.start()
        site.invite(3)
        first.wait_for(lambda: claims(site), lambda found: found == 3, what="it has the letters")
        reader = holder(site)
        began = datetime.now(UTC)
        second.start()
        # For longer than a lease lasts, nothing is taken from one that lives.
        while datetime.now(UTC) - began < timedelta(seconds=suite.LEASE_SECONDS + 2):
            assert first.lives(0.2)
            assert second.lives(0.0)
            assert (claims(site), holder(site)) == (3, reader)
        assert site.counts()[0].keys() == {"sending"}
        first.kill()
        site.finish()
        assert holder(site) not in ("", reader)
        copy = checker.copied(site.url, tmp_path / "judged.db")
        assert checker.check(copy, **site.evidence()).problems == []
        assert second.stop() == 0
        assert second.complaints() == []
    finally:
        first.end()
        second.end()


def claims(site: kill.Site) -> int:
    """How many letters somebody has in hand."""
    with site.crm() as connection:
        query = "SELECT count(*) FROM outbox WHERE claimed_by IS NOT NULL"
        [number] = connection.execute(query).fetchone() or (0,)
    return int(number)


def holder(site: kill.Site) -> str:
    """Who reads the mailbox."""
    with site.crm() as connection:
        query = "SELECT holder FROM lease WHERE substr(name, 1, 8) = 'mailbox:'"
        [name] = connection.execute(query).fetchone() or ("",)
    return str(name)
