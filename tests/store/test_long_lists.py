"""What administrators read of long lists: the part that they ask for, in a terminal of 80 columns,
and as it comes (docs/contract.md §2).
"""

import fcntl
import json
import mailbox
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.cli import journal
from gateway.store.engine import Store
from tests import command, stores
from tests.store import rows
from tests.store.test_retention import SENT, begin, reply

PROGRAM = [sys.executable, "-c", "from gateway.cli.main import main; main()"]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    path = tmp_path_factory.mktemp("lists") / "store.db"
    with closing(stores.renew(Store(f"sqlite:///{path}"), sqlite_template)) as store:
        begin(store)
    return path


@pytest.fixture
def store(template: Path, tmp_path: Path) -> Store:
    made = stores.renew(Store(f"sqlite:///{tmp_path / 'store.db'}"), template)
    made.close()
    return made


def settings(store: Store) -> dict[str, str]:
    address = {"GATEWAY_MAIL__ADDRESS": "invites@crm.example"}
    return {"GATEWAY_STORE__URL": f"sqlite:///{store.path}", **address}


def run(store: Store, *arguments: str) -> str:
    done = command.run(*arguments, environment=settings(store))
    assert done.returncode == 0, done.stderr
    return done.stdout


def listed(store: Store, *arguments: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in run(store, *arguments, "--json").splitlines()]


def test_trouble_is_what_somebody_must_look_at(store: Store) -> None:
    """Per's letters were refused; of what is over nobody needs to hear."""
    found = listed(store, "status", "--trouble")
    assert [(one["follow_up"], one["key"]) for one in found] == [
        ("ahead", "per@ext.example"),
        ("series", "per@ext.example"),
    ]
    rows.run(
        store, "UPDATE participant SET note = 'no valid e-mail address' WHERE email LIKE 'eva%'"
    )
    assert len(listed(store, "status", "--trouble")) == 4
    assert len(listed(store, "status", "--trouble", "ahead")) == 2
    assert len(listed(store, "status", "--trouble", "--limit", "3")) == 3
    rows.run(store, "UPDATE invitation SET delivery = 'sent'", "UPDATE participant SET note = ''")
    assert run(store, "status", "--trouble") == "no participant needs a look\n"


def test_a_part_of_each_list(store: Store) -> None:
    assert len(listed(store, "status", "--limit", "5")) == 5
    assert len(listed(store, "queue", "list", "--all", "--limit", "2")) == 2
    every = listed(store, "journal")
    assert listed(store, "journal", "--limit", "3") == every[-3:]
    ahead = [one for one in every if one["follow_up"] == "ahead"]
    assert listed(store, "journal", "ahead", "--limit", "2") == ahead[-2:]
    assert listed(store, "journal", "--limit", "9999") == every
    assert listed(store, "journal", "--since", "2026-10-31T00:00:00Z") == [
        one for one in every if str(one["at"]) > "2026-10"
    ]
    assert listed(store, "journal", "--since", "2026-01-01", "--limit", "1") == every[-1:]
    assert run(store, "journal", "--since", "2099-01-01T00:00:00+01:00") == "nothing has happened\n"


def test_times_as_people_say_them() -> None:
    now = datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert journal.moment("", now) is None
    assert str(journal.moment("30m", now)) == "2026-11-20 07:30:00+00:00"
    assert str(journal.moment("7d", now)) == "2026-11-13 08:00:00+00:00"
    assert str(journal.moment("2026-11-01T10:00:00+02:00", now)) == "2026-11-01 08:00:00+00:00"
    done = command.run("journal", "--since", "soon", environment={})
    assert (done.returncode, "neither like 12h" in done.stderr) == (2, True)


def test_the_journal_is_followed_until_somebody_ends_it(store: Store) -> None:
    there = {"GATEWAY_STORE__URL": f"sqlite:///{store.path}", "GATEWAY_STORE__POLL_SECONDS": "0.05"}
    words = [*PROGRAM, "journal", "ahead", "--follow", "--limit", "1", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=there) as following:
        try:
            assert following.stdout is not None
            assert json.loads(following.stdout.readline())["follow_up"] == "ahead"
            rows.run(store, "INSERT INTO journal (event, follow_up) VALUES ('one', 'over')")
            rows.run(store, "INSERT INTO journal (event, follow_up) VALUES ('two', 'ahead')")
            assert json.loads(following.stdout.readline())["event"] == "two"
            following.send_signal(signal.SIGINT)
            assert following.wait(60) == 0
        finally:
            following.kill()


def test_a_large_mbox_is_taken_in_batches_and_told_as_it_comes(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.cli.receive.BATCH", 3)
    box = mailbox.mbox(tmp_path / "box")
    for number in range(7):
        box.add(reply("ahead", "eva", "ACCEPTED" if number % 2 else "DECLINED", 100 + number))
    box.flush()
    before = len(listed(store, "journal"))
    found = listed(store, "receive", str(tmp_path / "box"), "--at", f"{SENT:%Y-%m-%dT%H:%M:%SZ}")
    assert [one["file"] for one in found] == [f"{tmp_path / 'box'}:{n}" for n in range(1, 8)]
    assert found[0]["after"] == "declined"
    assert len(listed(store, "journal")) > before
    missing = command.run(
        "receive",
        str(tmp_path / "nowhere"),
        str(tmp_path / "box"),
        "--json",
        environment=settings(store),
    )
    assert missing.returncode == 1
    assert len(missing.stdout.splitlines()) == 8, "the other file is taken all the same"


def test_every_list_says_so_where_it_is_empty(tmp_path: Path, sqlite_template: Path) -> None:
    empty = stores.renew(Store(f"sqlite:///{tmp_path / 'empty.db'}"), sqlite_template)
    empty.close()
    box = tmp_path / "empty"
    (box / "cur").mkdir(parents=True)
    for words in (
        ["status"],
        ["status", "--trouble"],
        ["journal"],
        ["letters"],
        ["queue", "list"],
        ["queue", "shape"],
        ["review", "list"],
        ["review", "known"],
        ["decisions", "list"],
        ["user", "list"],
        ["token", "list"],
        ["webhook", "list"],
        ["receive", str(box)],
    ):
        said = run(empty, *words)
        assert re.fullmatch(r"[A-Za-z][a-z A-Z.]+\n", said), (words, said)


def test_eighty_columns_are_enough(store: Store) -> None:
    """In a terminal: nothing is wider, and no word is broken into letters."""
    screen = terminal(store, "queue", "list", "--all")
    assert "per@ext.example" in screen
    assert re.search(r"(?m)^    .*account: default", screen), "what does not fit stands below"
    screen = terminal(store, "status")
    assert "delivery: undeliverable" in screen
    assert all(len(line) <= 80 for line in screen.splitlines())


def terminal(store: Store, *words: str) -> str:
    """What a command writes to a terminal of 80 columns."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    there = {"GATEWAY_STORE__URL": f"sqlite:///{store.path}", "PATH": os.environ["PATH"]}
    with subprocess.Popen([*PROGRAM, *words], stdout=theirs, env=there, stderr=subprocess.DEVNULL):
        os.close(theirs)
        said = b""
        with suppress(OSError):  # EIO: nobody holds the other end any more
            while part := os.read(ours, 65536):
                said += part
    os.close(ours)
    return said.decode().replace("\r\n", "\n")
