"""Nothing is lost and nothing happens twice: killed at random moments, copied at random moments,
stopped in the middle.

The same as `python -m tests.faults.kill`, shorter. A failure names its seed; FAULT_SEED repeats it.
"""

from __future__ import annotations

import os
import random
import secrets
import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.faults import checker, kill
from tests.rig import dovecot as dovecot_server
from tests.rig import postfix as postfix_server
from tests.wire import gateway_process

pytestmark = pytest.mark.real


@pytest.fixture
def seed() -> int:
    """Another one each time, so that many runs try many moments."""
    chosen = int(os.environ.get("FAULT_SEED", secrets.randbelow(10**6)))
    print(f"FAULT_SEED={chosen}")
    return chosen


@pytest.fixture
def site(
    tmp_path: Path, dovecot: dovecot_server.Server, postfix: postfix_server.Server, seed: int
) -> Iterator[kill.Site]:
    """A site whose store is made and whose daemon does not run yet."""
    made = kill.Site(tmp_path, dovecot, postfix, seed)
    made.gateway.command("db", "upgrade")
    try:
        yield made
    finally:
        made.gateway.end()
        made.crowd.finish()


@pytest.mark.parametrize(
    "changes", [pytest.param(0, id="invited"), pytest.param(12, id="moved-and-cancelled")]
)
def test_killed_again_and_again_it_loses_nothing_and_repeats_nothing(
    changes: int, dovecot: dovecot_server.Server, postfix: postfix_server.Server, seed: int
) -> None:
    report = kill.run(dovecot, postfix, kills=6, invitations=60, changes=changes, seed=seed)
    assert report.verdict.problems == [], str(report)
    assert len(report.kills) == 6
    assert report.verdict.numbers["answers"] >= 60 or changes
    assert report.verdict.numbers["applications"] > 0


def test_a_copy_made_at_any_moment_is_sound_and_knows_what_was_moved_away(
    site: kill.Site, seed: int
) -> None:
    """As a power cut would leave it: the process is halted, the file and its -wal are copied,
    the process goes on.
    """
    chance = random.Random(seed)
    site.crowd.start()
    site.gateway.start()
    states = Counter[str]()
    for _ in range(8):
        site.invite(5)
        assert site.gateway.lives(chance.uniform(0, 0.6)), site.gateway.tail()
        site.gateway.halt()
        try:
            copy = site.copy("copy")
            states[str(site.counts(copy))] += 1
            problems = site.examine(copy)
        finally:
            site.gateway.process.send_signal(signal.SIGCONT)
        assert problems == [], f"FAULT_SEED={seed}"
    assert len(states) > 1, "the copies were made of a store that does not change"
    site.finish()
    assert site.gateway.stop() == 0
    assert site.judge().problems == [], f"FAULT_SEED={seed}"


def test_stopped_in_the_middle_it_puts_its_work_down_in_order(site: kill.Site) -> None:
    """SIGTERM while letters leave: the daemon ends within its grace, nothing is in flight, and the
    next start repeats nothing.
    """
    for _ in range(10):
        site.invite(16)
    site.gateway.start()
    site.wait(lambda: site.counts()[0].get("sent", 0) > 0, "the first letter is sent")
    assert site.gateway.stop(gateway_process.GRACE_SECONDS) == 0
    letters, _ = site.counts()
    assert letters.keys() == {"sent", "waiting"}, "stopped before or after its work, not amid it"
    assert site.arrived() == letters["sent"]

    site.crowd.start()
    site.gateway.start()
    site.finish()
    assert site.gateway.stop() == 0
    verdict = site.judge()
    assert verdict.problems == []
    assert verdict.numbers["repeated"] == 0
    assert site.gateway.complaints() == []


def test_the_checker_finds_what_it_is_for(site: kill.Site) -> None:
    """A judge that finds nothing wrong must be able to: each fault is planted into a finished run
    and must be named.
    """
    site.invite(6)
    site.crowd.start()
    site.gateway.start()
    site.finish()
    assert site.gateway.stop() == 0
    assert site.judge().problems == []
    evidence = site.evidence()
    letters, folders, meetings = evidence["letters"], evidence["folders"], evidence["meetings"]
    first, second, *_ = letters

    def found(**changed: Any) -> str:
        judged: dict[str, Any] = {**evidence, **changed}
        return "\n".join(checker.check(site.store, **judged).problems)

    assert f"{first} got no letter" in found(letters=letters | {first: []})
    other = letters[first][0].replace(b"Message-ID: <", b"Message-ID: <another-")
    assert f"{first} got 1 letters that say nothing new" in found(
        letters=letters | {first: [*letters[first], other]}
    )
    altered = letters[first][0].replace(b"Subject: ", b"Subject:  ")
    assert "in different wordings" in found(letters=letters | {first: [*letters[first], altered]})
    again = b"Received: from elsewhere\r\n\tby here\r\n" + letters[first][0]
    assert found(letters=letters | {first: [*letters[first], again]}) == ""
    later = replace(meetings[first], start=meetings[first].start + timedelta(hours=1), moves=1)
    assert f"{first} was last told REQUEST" in found(meetings=meetings | {first: later})
    assert f"{first} was not told that" in found(
        meetings=meetings | {first: replace(meetings[first], cancelled=True)}
    )
    assert "arrived and is not in the outbox" in found(letters=letters | {first: letters[second]})
    assert "1 messages are left in INBOX" in found(
        folders=folders | {"INBOX": folders["Processed"][:1]}
    )
    assert "too many" in found(folders=folders | {"Processed": folders["Processed"][1:]})
    assert "answers were put into {'Review'" in found(
        folders=folders | {"Review": folders["Processed"][:1]}
    )
    for statement, words in (
        ("UPDATE outbox SET state = 'sending'", "the outbox holds {'sending'"),
        ("UPDATE outbox SET state = 'refused'", f"{first} was refused"),
        ("UPDATE inbox SET outcome = NULL WHERE id = 1", "has no outcome"),
        ("UPDATE inbox SET outcome = 'ignored' WHERE id = 1", "'ignored': 1"),
        ("DELETE FROM inbox WHERE id = 1", "too few"),
        (
            "INSERT INTO journal (event, participant, message, before, after) SELECT 'applied', participant, message, "
            "'invitation', 'seen' FROM journal WHERE message = 1",
            "was applied 2 times",
        ),
        ("UPDATE participant SET code = 5 WHERE id = 1", f"{first} said"),
        ("INSERT INTO change_mark (follow_up) VALUES ('f1')", "1 changes were never planned"),
    ):
        with site.altered(statement):
            assert words in found(), statement
