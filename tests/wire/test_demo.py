"""`make demo`: the seed hangs together, and the demonstration does
what it promises without a terminal.
"""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import date
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from gateway.actions import load_format
from gateway.errors import InputError
from gateway.sandbox import cast, demo, seed

pytestmark = pytest.mark.real  # whole daemons

DEADLINE = 240.0
COMMAND = [sys.executable, "-c", "from gateway.cli.main import main; main(['demo'])"]


@pytest.mark.parametrize(
    "day", [date(2026, 11, 16), date(2026, 11, 22), date(2027, 3, 26), date(2028, 2, 28)]
)
def test_the_seed_can_be_loaded_and_its_letters_are_of_days_ahead(day: date) -> None:
    document = load_format.read(seed.document(day))
    mailed = [
        one for one in document.follow_ups if any(row.email_invite for row in one.participants)
    ]
    assert len(mailed) >= 5
    assert all((one.start or "").partition("T")[0] > day.isoformat() for one in mailed)
    assert all(day.isoformat() <= (one.start or one.deadline or "") for one in document.follow_ups)


def test_everybody_invited_has_a_mailbox_and_every_robot_is_invited() -> None:
    document = seed.document(date(2026, 11, 20))
    people = {one["key"]: one["emails"][0] for one in document["persons"] if one["emails"]}
    colleagues = {one["key"]: one["email"] for one in document["associates"]}
    listed = {one["key"]: one["members"] for one in document["selections"]}
    rows = [
        row
        for one in document["follow_ups"]
        for row in one.get("participants", ())
        if row.get("email_invite")
    ]
    keys = [key for row in rows for key in listed.get(row.get("selection"), [row.get("person")])]
    invited = {people[key] for key in keys if key}
    invited |= {row["email"] for row in rows if "email" in row}
    invited |= {colleagues[row["associate"]] for row in rows if "associate" in row}
    assert invited - set(seed.accounts()) == {cast.GONE}
    assert {robot.who.address for robot in cast.CAST} == invited - {cast.GONE}


@pytest.mark.parametrize("given", ["soon", "-1", "0", "inf", "nan"])
def test_a_senseless_duration_is_refused(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("DEMO_SECONDS", given)
    with pytest.raises(InputError, match="DEMO_SECONDS"):
        demo.main()


TOLD = (
    "Per Berg: assigned → assignment_declined",
    "Per Berg: invitation → declined",
    "Eva Lind: invitation → seen",
    "Per Åsheim: invitation → seen",
    "Liv Strand: not_started → declined",
    "Nina Berg: invitation → not_started",
    "Anna Reid: moved → not_started",
    "Ben Moore: moved → moved_seen",
    "Chloe Martin: not_started → moved",
    "Hugo Lang: invitation → seen",
    "Grete Holm: invitation → declined",
    "Ivar Borte: letter undeliverable",
    "Ola Hansen: not_started → cancelled",
    "Tor Vik: not_started → cancelled",
)
"""What is said last of everybody who does anything."""


def test_without_a_terminal(tmp_path: Path) -> None:
    """How long a slow machine needs for it, nobody knows: it is told to end when all was said."""
    lines, answering = [], []
    with (
        (tmp_path / "stderr").open("w+", encoding="utf-8") as complaints,
        subprocess.Popen(
            COMMAND,
            env=os.environ | {"DEMO_SECONDS": str(DEADLINE)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        ) as running,
    ):
        missing = set(TOLD)
        assert running.stdout is not None
        for line in running.stdout:
            lines.append(line)
            if line.startswith("The answer page of Dan Silent: "):
                with urllib.request.urlopen(line.split(": ")[1].strip()) as page:
                    answering.append(page.read().decode())
            _, _, told = line.rstrip().partition(" ")
            if told in missing:
                missing.remove(told)
                if not missing:
                    running.terminate()
        code = running.wait()
        complaints.seek(0)
        complained = complaints.read()
    output = "".join(lines)
    assert code == 0, output + complained
    assert missing == set(), output
    assert len(answering) == 1
    assert "What you answer here counts for dan@silent.example." in answering[0]
    rows = {
        name: "".join(line for line in lines if line.strip().startswith(name))
        for name in (
            "Ola Hansen",
            "Eva Lind",
            "Per Åsheim",
            "Liv Strand",
            "Tor Vik",
            "Nina Berg",
            "Anna Reid",
            "Ben Moore",
            "Chloe Martin",
            "Dan Silent",
            "Hugo Lang",
            "Grete Holm",
            "Ivar Borte",
            "Frank Olsen",
        )
    }
    expected = {
        "Eva Lind": "Wants another time",
        "Per Åsheim": "Maybe",
        "Liv Strand": "Does not come",
        "Nina Berg": "Comes",
        "Anna Reid": "Comes",
        "Ben Moore": "Maybe",
        "Chloe Martin": "Asked again",
        "Dan Silent": "Not answered",
        "Hugo Lang": "Maybe",
        "Grete Holm": "Does not come",
        "Ivar Borte": "Not reached",
        "Frank Olsen": "Not answered",
        "Ola Hansen": "Cancelled",
        "Tor Vik": "Cancelled",
    }
    assert {name: words for name, words in expected.items() if words not in rows[name]} == {}, (
        output
    )
    assert "Jeg må likevel hente i" in rows["Liv Strand"]
    assert not complained


def test_for_a_while() -> None:
    """It ends by itself, and says whether that was long enough."""
    done = subprocess.run(
        COMMAND,
        env=os.environ | {"DEMO_SECONDS": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert "Ola Hansen" in done.stdout
    is_missing = "No answer was applied that said: " in done.stdout
    assert (done.returncode, done.stderr) == (int(is_missing), "")


def test_until_it_is_told_to_end() -> None:
    running = subprocess.Popen(
        COMMAND,
        env={name: value for name, value in os.environ.items() if name != "DEMO_SECONDS"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert running.stdout is not None
        link = re.search(r"(http://127\.0\.0\.1:\d+/)sign-in/link\S+", running.stdout.readline())
        assert link is not None
        cookies = CookieJar()
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
        end = time.monotonic() + DEADLINE
        while "nytt kundesenter" not in _page(browser, link, is_in=len(cookies) > 0):
            assert time.monotonic() < end
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=DEADLINE)
        assert running.returncode == 0, output
        assert "Ola Hansen" in output
    finally:
        running.kill()
        running.wait()


def _page(browser: urllib.request.OpenerDirector, link: re.Match[str], *, is_in: bool) -> str:
    """The page; by the link at first, which works once and leaves a cookie."""
    try:
        with browser.open(f"{link[1]}follow-ups" if is_in else link[0], timeout=60) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""
