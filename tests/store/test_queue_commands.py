"""`queue` as an administrator types it, and what a missing account says at the start."""

import os
import shutil
from pathlib import Path

import pytest

from tests.store.test_commands import Administrator

DOCUMENT = {
    "associates": [{"key": "kari", "name": "Kari", "group": "Sales"}],
    "follow_ups": [
        {
            "key": key,
            "owner": "kari",
            "title": "Kick-off",
            "start": "2099-12-01T09:00:00",
            "participants": [
                {"email": f"{name}@{domain}.example", "email_invite": True}
                for name in ("ola", "eva")
            ],
        }
        for key, domain in (("m1", "ext"), ("m2", "other"))
    ],
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to copy. Two letters to each of two domains are owed,
    the first two to ext.example.
    """
    made = Administrator(tmp_path_factory.mktemp("begun"))
    assert made.run("load", made.file(DOCUMENT)).returncode == 0
    assert len(made.json("letters")) == 4
    return made.folder


@pytest.fixture
def administrator(tmp_path: Path, begun: Path) -> Administrator:
    return Administrator(Path(shutil.copytree(begun, tmp_path, dirs_exist_ok=True)))


def numbers(rows: list[dict[str, object]]) -> list[object]:
    return [row["letter"] for row in rows]


def test_the_queue_is_listed_with_where_each_letter_stands(administrator: Administrator) -> None:
    rows = administrator.json("queue", "list")
    assert [
        (row["to"], row["follow_up"], row["state"], row["account"], row["tries"]) for row in rows
    ] == [
        (f"{name}@{domain}.example", key, "waiting", "default", 0)
        for key, domain in (("m1", "ext"), ("m2", "other"))
        for name in ("ola", "eva")
    ]
    assert (
        numbers(administrator.json("queue", "list", "--to-domain", "EXT.example"))
        == numbers(rows)[:2]
    )
    assert numbers(administrator.json("queue", "list", "--follow-up", "m2")) == numbers(rows)[2:]
    assert "ola@ext.example" in administrator.run("queue", "list").stdout


def test_letters_are_held_released_and_dropped_and_the_journal_says_by_whom(
    administrator: Administrator,
) -> None:
    first, second = numbers(administrator.json("queue", "hold", "--to-domain", "ext.example"))
    assert [row["state"] for row in administrator.json("queue", "list", "--follow-up", "m1")] == [
        "held",
        "held",
    ]
    assert [row["state"] for row in administrator.json("queue", "release", str(first))] == [
        "waiting"
    ]
    assert [
        row["state"] for row in administrator.json("queue", "drop", str(first), str(second))
    ] == ["dropped", "dropped"]
    assert numbers(administrator.json("queue", "list", "--follow-up", "m1")) == []
    assert numbers(administrator.json("queue", "list", "--follow-up", "m1", "--all")) == [
        first,
        second,
    ]
    [row] = administrator.json("queue", "retry", str(first))
    assert row["state"] == "waiting"
    told = [entry for entry in administrator.json("journal", "m1") if entry["channel"] == "hand"]
    assert [entry["event"] for entry in told] == [
        "held",
        "held",
        "released",
        "dropped",
        "dropped",
        "retried",
    ]
    assert all(entry["by"] for entry in told)


def test_in_a_container_whose_user_has_no_name_the_journal_has_the_number(
    administrator: Administrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "LOGNAME",
        "USER",
        "LNAME",
        "USERNAME",
    ):  # before the database of users, getpass asks these
        administrator.environment.pop(name, None)
    monkeypatch.setattr(os, "getuid", lambda: 2_000_000_017)
    administrator.json("queue", "hold", "--follow-up", "m1")
    assert {
        entry["by"] for entry in administrator.json("journal", "m1") if entry["event"] == "held"
    } == {"uid 2000000017"}


def test_one_letter_is_shown_with_its_tries(administrator: Administrator) -> None:
    [first, *_] = numbers(administrator.json("queue", "list"))
    [row] = administrator.json("queue", "show", str(first))
    assert (row["to"], row["method"], row["attempts"]) == ("ola@ext.example", "REQUEST", [])
    assert (
        "to: ola@ext.example" in administrator.run("queue", "show", str(first)).stdout.splitlines()
    )


def test_shape_is_age_by_destination(administrator: Administrator) -> None:
    [ext, other] = administrator.json("queue", "shape")
    assert (ext["destination"], ext["letters"], ext["held"]) == ("ext.example", 2, 0)
    assert ext["ages"]["5 min"] == 2
    assert other["destination"] == "other.example"
    table = administrator.run("queue", "shape").stdout
    assert "ext.example" in table
    assert "5 min" in table
    assert "ages" not in table, "its members are columns of their own"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("hold",), 2, "say which letters"),
        (("drop", "first"), 2, "valid integer"),
        (("list", "5"), 2, "5"),
        (("show", "99"), 1, "there is no letter 99"),
        (("hold", "99"), 1, "there is no letter 99"),
        (("hold", "--follow-up", "mm"), 1, "there is no follow-up 'mm'"),
        (("release", "1"), 1, "letter 1 cannot be released: it is waiting"),
    ],
)
def test_what_cannot_be_done_says_why(
    administrator: Administrator, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = administrator.run("queue", *arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr


def test_nothing_to_do_is_done(administrator: Administrator) -> None:
    assert administrator.json("queue", "release", "--follow-up", "m1") == []


def test_the_daemon_does_not_start_without_an_account_that_is_needed(
    administrator: Administrator,
) -> None:
    administrator.environment["GATEWAY_MAIL__ADDRESS"] = ""
    done = administrator.run("run", "--only", "jobs")
    assert done.returncode == 78
    assert "mail.address: not set, but the account 'default' is needed" in done.stderr
