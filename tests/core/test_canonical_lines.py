"""One line of the log for each message, by which it can be followed and of which nothing is told
that stands in it (docs/operations.md, "What the log says").
"""

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from gateway import sections
from gateway.daemon import logs
from gateway.inbound.process import Received, Result
from gateway.model import Outcome
from gateway.store.inbox import Place
from tests import lines

NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
RECEIVED = Received(
    b"Subject: secret\r\n\r\nwords",
    NOW - timedelta(seconds=2),
    25,
    place=Place("sales", "INBOX", 1, 7),
)
RESULT = Result(
    Outcome.HELD, "did ola@ext.example write this himself?", message_id="1@mail.ext.example"
)


@pytest.mark.parametrize(
    ("mask", "shown"), [(True, "o***@ext.example"), (False, "ola@ext.example")]
)
def test_a_message_has_one_line(mask: bool, shown: str) -> None:
    out = io.StringIO()
    with lines.put_back():
        logs.configure(sections.Log(mask_addresses=mask, format="json"), out)
        structlog.get_logger("gateway.inbound").info("message", **RESULT.line(RECEIVED, NOW))
    [line] = out.getvalue().splitlines()
    said = json.loads(line)
    for name in ("level", "logger", "timestamp"):
        said.pop(name)
    assert said == {
        "event": "message",
        "account": "sales",
        "uid": 7,
        "message_id": "1@mail.ext.example",
        "size": 25,
        "outcome": "held",
        "reason": f"did {shown} write this himself?",
        "waited_seconds": 2.0,
    }


def test_a_message_on_which_the_program_failed_says_so() -> None:
    assert Result(None, "a fault").line(RECEIVED, NOW)["outcome"] == "failed"
