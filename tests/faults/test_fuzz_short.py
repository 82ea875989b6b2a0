"""A few seconds of fuzzing in every run of the suite; ten minutes and more: docs/fuzzing.md."""

import functools
import importlib.util
import os
import subprocess
import sys
from operator import itemgetter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from gateway.model import Outcome
from gateway.store.engine import Store
from tests import rig, stores
from tests.dialogues import mails, world
from tests.faults import fuzz_target

ROOT = Path(__file__).parents[2]
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "400"))
SECONDS = 4
WORDS = [word.encode() for word in fuzz_target.DICTIONARY]


@functools.cache
def seeds() -> list[bytes]:
    return [data for _, data in fuzz_target.seeds()]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A seed with some of it missing, doubled, overwritten, or taken from another seed."""
    data = draw(st.sampled_from(seeds()))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(1, max(len(data), 1)))
        to = at + draw(st.sampled_from([0, 1, 2, 8, 40, 400, 5_000]))
        taken = draw(
            st.one_of(
                st.just(b""),
                st.just(data[at:to] * 2),
                st.just(data[at:to] * 30),
                st.binary(max_size=8),
                st.sampled_from(WORDS),
                st.sampled_from(
                    [
                        b"\r\n",
                        b"\n ",
                        b"\0",
                        b"\xff\xfe",
                        b'"',
                        b";",
                        b"9" * 400,
                        b"=" * 60,
                        b"(" * 2_000,
                        b"<" * 2_000,
                        b"\x1b$B",
                    ]
                ),
                st.sampled_from(seeds()).map(itemgetter(slice(at, to))),
            )
        )
        data = data[:at] + taken + data[to:]
    return data


@given(mutated())
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_nothing_gets_past_the_door(data: bytes) -> None:
    event(str(fuzz_target.feed(data)))


def test_seeds_reach_every_decision() -> None:
    """Fuzzing that is turned away at the door proves little."""
    reached = {fuzz_target.feed(data) for data in seeds()}
    assert reached >= {
        Outcome.APPLIED,
        Outcome.PROPOSAL,
        Outcome.DELEGATED,
        Outcome.REFRESHED,
        Outcome.BOUNCED,
        Outcome.DELAYED,
        Outcome.DELIVERED,
        Outcome.SEEN,
        Outcome.AWAY,
        Outcome.COMMENT,
        Outcome.HELD,
        Outcome.UNKNOWN_INVITATION,
        Outcome.MALFORMED,
        Outcome.NOT_AN_ANSWER,
        Outcome.IGNORED,
    }


@given(st.lists(mutated(), min_size=10, max_size=20))
@settings(
    max_examples=max(EXAMPLES // 80, 5), deadline=None, suppress_health_check=list(HealthCheck)
)
def test_no_message_blocks_the_next_one(
    lasting_store: Store, sqlite_template: Path, inputs: list[bytes]
) -> None:
    """Through the store: each has its one outcome, no failure of ours is among them, and the answer
    behind them counts.
    """
    stage = world.begin(stores.renew(lasting_store, sqlite_template), fuzz_target.ARRIVED)
    stage.document["m1"] = {
        "key": "m1",
        "owner": "kari",
        "title": "Kick-off",
        "start": "2026-12-01T09:00:00",
        "end": "2026-12-01T10:00:00",
        "uid": "own-1@crm.example",
        "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=20"},
        "participants": [
            {"email": "ola@ext.example", "email_invite": True, "token": fuzz_target.TOKEN}
        ],
    }
    stage.write()
    [letter] = stage.post()
    for data in inputs:
        stage.receive(fuzz_target.mail(data), stage.now)
    answer = mails.Mail(
        "ola@ext.example",
        "REPLY",
        "DECLINED",
        letter,
        stage.now,
        message_id="<last@ext.example>",
        comment="the last one",
    )
    result = stage.receive(answer.build(), stage.now)
    assert result.outcome in (
        Outcome.APPLIED,
        Outcome.UNCHANGED,
        Outcome.OLD_ANSWER,
    )  # one of the mutated may have answered before


@pytest.mark.real
def test_atheris_finds_nothing_in_a_short_run(tmp_path: Path) -> None:
    """The same as the long run, for seconds."""
    if importlib.util.find_spec("atheris") is None:
        rig.unavailable("atheris", "pip install --group fuzz (Linux on x86-64)")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.faults.fuzz_inbound",
            "--seconds",
            str(SECONDS),
            "--findings",
            str(tmp_path),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS * 60,
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    assert not list(tmp_path.iterdir())
    assert "stat::number_of_executed_units" in done.stderr
