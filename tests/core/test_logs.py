"""What may stand in a log: never a token, a password or a whole address, and nothing that moves a
terminal's cursor.
"""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from gateway import sections
from gateway.daemon import logs
from tests import lines

TOKEN = "k2m4tokentokentoken"


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    with lines.put_back():
        yield


def written(wanted: sections.Log, event: str, **facts: Any) -> str:
    """What one line of our own looks like."""
    out = io.StringIO()
    logs.configure(wanted, out)
    structlog.get_logger("gateway.tests").info(event, **facts)
    return out.getvalue()


def as_json(event: str, **facts: Any) -> dict[str, Any]:
    line = written(sections.Log(format="json"), event, **facts)
    assert line.count("\n") == 1
    decoded: dict[str, Any] = json.loads(line)
    return decoded


def test_a_line_names_time_level_and_place() -> None:
    line = as_json("letter sent", seconds=0.5, accepted=True)
    assert (line["event"], line["level"], line["logger"], line["seconds"], line["accepted"]) == (
        "letter sent",
        "info",
        "gateway.tests",
        0.5,
        True,
    )
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ola@ext.example", "o***@ext.example"),
        (
            "Ola <ola.hansen@ext.example>, eva@other.example",
            "Ola <o***@ext.example>, e***@other.example",
        ),
        (f"invites+{TOKEN}@crm.example", "i***@crm.example"),
        (f"mailto:invites+{TOKEN}@crm.example", "mailto:i***@crm.example"),
        ('"ola hansen"@ext.example', "***@ext.example"),
        ("bounce+ola=ext.example@crm.example", "b***@crm.example"),
        ("550 5.1.1 <ola@ext.example>: unknown user", "550 5.1.1 <o***@ext.example>: unknown user"),
        ("x" * 500 + "@ext.example", "x***@ext.example"),
        ("no address", "no address"),
    ],
)
def test_addresses_are_masked_everywhere(text: str, shown: str) -> None:
    line = as_json(text, to=text, nested={"all": [text]})
    assert (line["event"], line["to"], line["nested"]) == (shown, shown, {"all": [shown]})


def test_whole_addresses_on_demand_still_hide_the_token() -> None:
    whole = sections.Log(format="json", mask_addresses=False)
    line = written(whole, "sent", to="ola@ext.example", by=f"invites+{TOKEN}@crm.example")
    assert json.loads(line)["to"] == "ola@ext.example"
    assert json.loads(line)["by"] == "invites+***@crm.example"


def test_message_ids_stay_whole() -> None:
    assert (
        as_json("sent", message_id="20261120.abc@crm.example")["message_id"]
        == "20261120.abc@crm.example"
    )


@pytest.mark.parametrize(
    "name", ["token", "Authorization", "api_token", "smtp_password", "body", "raw"]
)
def test_secrets_are_left_out_by_name(name: str) -> None:
    assert TOKEN not in written(sections.Log(format="json"), "asked", **{name: TOKEN})


def test_a_traceback_is_masked_and_cannot_forge_a_line() -> None:
    for wanted in (sections.Log(format="json"), sections.Log(format="text")):
        out = io.StringIO()
        logs.configure(wanted, out)
        try:
            raise ValueError(
                f"invites+{TOKEN}@crm.example\n2026-11-20T06:00:00Z [info     ] all is well\x1b[2J"
            )
        except ValueError:
            structlog.get_logger("gateway.tests").exception("failed")
        assert "ValueError" in out.getvalue()
        assert TOKEN not in out.getvalue()
        assert "\x1b" not in out.getvalue()
        assert not any(
            line.startswith("2026-11-20T06:00:00Z") for line in out.getvalue().splitlines()
        )


def test_libraries_pass_the_same_processors_and_keep_quiet() -> None:
    out = io.StringIO()
    logs.configure(sections.Log(format="json", level="debug"), out)
    logging.getLogger("aioimaplib.aioimaplib").debug("Received: b'Subject: secret'")
    logging.getLogger("uvicorn.access").info("GET /a/%s", TOKEN)
    assert out.getvalue() == ""
    logging.getLogger("uvicorn.error").warning("odd request from %s", "ola@ext.example\r\n")
    assert json.loads(out.getvalue())["event"] == "odd request from o***@ext.example\\r\\n"


def test_the_level_is_kept() -> None:
    out = io.StringIO()
    logs.configure(sections.Log(format="json", level="warning"), out)
    structlog.get_logger("gateway.tests").info("unimportant")
    assert out.getvalue() == ""


@given(st.text())
def test_no_control_character_survives(text: str) -> None:
    shown = logs.escape(text)
    assert not any(
        ord(letter) < 32
        or 127 <= ord(letter) < 160
        or 0xD800 <= ord(letter) < 0xE000
        or letter in "\u200e\u200f\u202a\u202e\u2066\u2069\u2028\u2029"
        for letter in shown
    )
    assert not text.isprintable() or shown == text


@pytest.mark.parametrize("wanted", ["json", "text"])
def test_one_event_is_one_line(wanted: Any) -> None:
    line = written(
        sections.Log(format=wanted),
        "came\r\nin",
        subject="Re: \x1b]0;owned\x07\u202egnp.exe\nstatus 1",
    )
    assert line.count("\n") == 1
    assert line.rstrip("\n").isprintable()
