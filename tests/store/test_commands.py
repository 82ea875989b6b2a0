"""`load`, `status` and `journal` as an administrator types them."""

import json
import os
import sqlite3
import stat
import string
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import command
from tests.core.test_load_format import LASTING

PER = {"key": "per", "name": "Per", "email": "per@crm.example"}
DOCUMENT = LASTING | {"associates": [*LASTING["associates"], PER]}


class Administrator:
    """Runs the program against one SQLite store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")
        } | {
            "GATEWAY_STORE__URL": f"sqlite:///{folder}/new/store.db",
            "GATEWAY_MAIL__ADDRESS": "invites@crm.example",
        }

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return command.run(*arguments, environment=self.environment, stdin=stdin)

    def json(self, *arguments: str) -> list[dict[str, Any]]:
        done = self.run(*arguments, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def file(self, document: object) -> str:
        path = self.folder / "document.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return str(path)


@pytest.fixture
def administrator(tmp_path: Path) -> Administrator:
    return Administrator(tmp_path)


def test_load_makes_the_store_and_says_what_it_did(administrator: Administrator) -> None:
    file = administrator.file(DOCUMENT)
    [first] = administrator.json("load", file)
    assert first["created"]["follow_ups"] == ["m1"]
    [second] = administrator.json("load", file)
    assert (second["created"], second["changed"]) == ({}, {})
    told = administrator.run("load", file)
    assert [
        line.split() for line in told.stdout.splitlines() if line.startswith("participants")
    ] == [["participants", "0", "0", "4"]]


def test_explaining_makes_no_store(administrator: Administrator) -> None:
    mail = administrator.folder / "mail.eml"
    mail.write_text("From: ola@ext.example\nSubject: Yes\n\nI'll be there\n", encoding="utf-8")
    done = administrator.run("explain", str(mail))
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no store" in done.stderr
    assert not (administrator.folder / "new").exists()
    administrator.run("load", administrator.file(DOCUMENT))
    assert [one["outcome"] for one in administrator.json("explain", str(mail))] == ["ignored"]


def test_load_reads_standard_input(administrator: Administrator) -> None:
    assert administrator.run("load", "-", stdin=json.dumps(DOCUMENT)).returncode == 0
    assert len(administrator.json("status")) == 4


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            '{"follow_ups": [{"key": "a"}, {"key": "b"}, {"key": "c"}, {"key": "d", "participants": [{"emial": "x@y.example"}]}]}',
            "follow_ups[3].participants[0].emial: no such field",
        ),
        ('{"follow_ups": [', "document.json: not valid JSON"),
        ("[" * 100_000, "document.json: not valid JSON"),
        ('{"a": NaN}', "NaN"),
        ("\x00\x01", "document.json: not valid JSON"),
    ],
)
def test_a_document_that_is_wrong_leaves_with_1_and_its_place(
    administrator: Administrator, text: str, complaint: str
) -> None:
    file = Path(administrator.file(None))
    file.write_text(text, encoding="utf-8")
    done = administrator.run("load", str(file))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert complaint in done.stderr


def test_a_file_that_is_not_there_leaves_with_1(administrator: Administrator) -> None:
    done = administrator.run("load", "absent.json")
    assert (done.returncode, done.stderr) == (
        1,
        "invite-gateway: absent.json: cannot be read: No such file or directory\n",
    )


def test_status_has_the_fields_of_the_contract(administrator: Administrator) -> None:
    administrator.run("load", administrator.file(DOCUMENT))
    rows = administrator.json("status", "m1")
    assert rows == administrator.json("status")
    named = "follow_up key name address email_invite code status reply comment delivery conflict instances"
    assert list(rows[0])[:12] == named.split()
    assert rows[0] | {"instances": [], "note": ""} == {
        "follow_up": "m1",
        "key": "ola",
        "name": "Ola Hansen",
        "address": "ola@ext.example",
        "email_invite": True,
        "code": 5,
        "status": "invitation",
        "reply": "needs-action",
        "comment": "",
        "delivery": "none",
        "conflict": False,
        "instances": [],
        "note": "",
        "suspended": "",
        "original_start": None,
    }
    assert rows[0]["instances"] == [
        {"instance": "2037-12-08T08:00:00Z", "status": "invitation", "reply": "needs-action"},
        {"instance": "2037-12-15T08:00:00Z", "status": "cancelled", "reply": "needs-action"},
    ]
    assert administrator.run("status", "nothing").returncode == 1


def test_the_journal_is_told_newest_last(administrator: Administrator) -> None:
    administrator.run("load", administrator.file(DOCUMENT))
    administrator.run("letters")
    entries = administrator.json("journal", "m1")
    events = ["created", *["added"] * 4, "queued", "queued"]
    assert [entry["event"] for entry in entries] == events
    people = {"per", "ola", "eva@other.example", "room1"}
    assert {entry["participant"] for entry in entries} == {None, *people}
    table = administrator.run("journal").stdout.splitlines()
    assert [line.split()[1] for line in table if "m1" in line] == events


def test_names_of_strangers_cannot_write_on_the_terminal(administrator: Administrator) -> None:
    evil = "Eva\x1b[2J\x07\r\n\u202eevil\x7f\x9b31m\u2066"
    person = {"key": "eva", "name": evil, "emails": ["eva@other.example"]}
    administrator.run(
        "load",
        administrator.file(
            {
                "persons": [person],
                "follow_ups": [
                    {
                        "key": "m1",
                        "start": "2037-12-01T09:00:00",
                        "participants": [{"person": "eva"}],
                    }
                ],
            }
        ),
    )
    shown = administrator.run("status").stdout
    shown += administrator.run("status", "--json").stdout
    administrator.environment["GATEWAY_MAIL__NAME"] = evil
    shown += administrator.run("config", "show").stdout
    shown += administrator.run("config", "show", "--json").stdout
    assert not set(shown) & set(evil.replace("\n", "")) - set(string.printable[:95])
    [row] = administrator.json("status")
    assert row["name"] == evil


def test_the_journal_names_whoever_was_deleted_by_his_address(
    administrator: Administrator, tmp_path: Path
) -> None:
    administrator.run("load", administrator.file(DOCUMENT))
    administrator.run("letters")
    with closing(sqlite3.connect(tmp_path / "new" / "store.db")) as connection, connection:
        connection.execute("DELETE FROM participant WHERE email = 'eva@other.example'")
        connection.execute("DELETE FROM participant WHERE person = 'ola'")
    assert {entry["participant"] for entry in administrator.json("journal", "m1")} == {
        None,
        "ola@ext.example",
        "eva@other.example",
        "per",
        "room1",
    }


def test_a_follow_up_that_nobody_knows_is_no_empty_history(administrator: Administrator) -> None:
    administrator.run("load", administrator.file(DOCUMENT))
    assert administrator.run("journal", "m1").returncode == 0
    done = administrator.run("journal", "m2")
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        "invite-gateway: there is no follow-up 'm2'\n",
    )


@pytest.mark.parametrize("command", [("status",), ("db", "check"), ("letters",), ("load", "-")])
def test_a_file_that_is_no_store_is_named_in_one_line(
    administrator: Administrator, command: tuple[str, ...]
) -> None:
    file = administrator.folder / "new" / "store.db"
    file.parent.mkdir()
    file.write_text("something else altogether", encoding="utf-8")
    done = administrator.run(*command, stdin="{}")
    assert (done.returncode, done.stderr) == (
        1,
        f"invite-gateway: store sqlite:///{file}: the file is no SQLite database, or its beginning"
        " is damaged. Put the store back, or name another file\n",
    )
    assert file.read_text(encoding="utf-8") == "something else altogether"


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ("start_at = NULL, end_at = NULL, rrule = ''", "neither a start nor a deadline is set"),
        (
            "timezone = 'Mars/Olympus', rrule = ''",
            "follow_up 'm2', timezone: unknown time zone 'Mars/Olympus'; names are those of IANA"
            " (Europe/Oslo) or of Windows",
        ),
    ],
)
def test_a_letter_that_nobody_could_write_is_not_owed(
    administrator: Administrator, tmp_path: Path, columns: str, reason: str
) -> None:
    """Another program wrote what `load` would have refused: the row tells, and everybody else's
    letters can be written.
    """
    other = {**DOCUMENT["follow_ups"][0], "key": "m2", "uid": "other@crm.example"}
    other = {**other, "participants": [{"email": "eva@other.example", "email_invite": True}]}
    administrator.run(
        "load", administrator.file(DOCUMENT | {"follow_ups": [*DOCUMENT["follow_ups"], other]})
    )
    with closing(sqlite3.connect(tmp_path / "new" / "store.db")) as connection, connection:
        connection.execute("DELETE FROM follow_up_date WHERE follow_up = 'm2'")
        connection.execute(f"UPDATE follow_up SET {columns} WHERE key = 'm2'")
    letters = administrator.json("letters", "--write", str(tmp_path / "letters"))
    # The token in a letter is the right to answer for its recipient.
    assert stat.S_IMODE((tmp_path / "letters").stat().st_mode) == 0o700
    modes = {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "letters").iterdir()}
    assert modes == {0o600}
    assert {one["follow_up"] for one in letters} == {"m1"}
    assert [one["note"] for one in administrator.json("status", "m2")] == [f"no letter: {reason}"]


def test_what_cannot_be_written_keeps_no_other_letter_from_it(
    administrator: Administrator, tmp_path: Path
) -> None:
    administrator.run("load", administrator.file(DOCUMENT))
    first, *others = [one["letter"] for one in administrator.json("letters")]
    assert others
    with closing(sqlite3.connect(tmp_path / "new" / "store.db")) as connection, connection:
        connection.execute("UPDATE outbox SET address = 'nobody' WHERE id = ?", (first,))
    done = administrator.run("letters", "--json", "--write", str(tmp_path / "letters"))
    files = {row["letter"]: row["file"] for row in map(json.loads, done.stdout.splitlines())}
    assert (done.returncode, files[first]) == (1, None)
    assert all(Path(files[number]).read_bytes().startswith(b"Date: ") for number in others)
    assert f"letter {first} to nobody was not written: not a mail address: 'nobody'" in done.stderr


@pytest.mark.parametrize("new", ["a-first", "z-last"])
@pytest.mark.parametrize("foreign_keys", ["OFF", "ON"])
def test_a_rename_is_no_news_to_anybody(
    administrator: Administrator, tmp_path: Path, new: str, foreign_keys: str
) -> None:
    """SQLite's own program has foreign keys off unless it is told otherwise, and an administrator
    does not tell it.
    """
    sent = [
        {**one, "sent": True} if one.get("email_invite") else one
        for one in DOCUMENT["follow_ups"][0]["participants"]
    ]
    administrator.run(
        "load",
        administrator.file(
            DOCUMENT | {"follow_ups": [{**DOCUMENT["follow_ups"][0], "participants": sent}]}
        ),
    )
    before = [{**one, "follow_up": new} for one in administrator.json("status", "m1")]
    with closing(sqlite3.connect(tmp_path / "new" / "store.db")) as connection, connection:
        connection.execute(f"PRAGMA foreign_keys = {foreign_keys}")
        connection.execute(f"UPDATE follow_up SET key = '{new}' WHERE key = 'm1'")
    assert administrator.json("letters") == []
    assert administrator.json("status") == before
    assert administrator.run("db", "check").returncode == 0


def test_after_db_restored_letters_have_a_sequence_that_nothing_had_before(
    administrator: Administrator,
) -> None:
    file = administrator.file(DOCUMENT)
    administrator.run("load", file)
    [first] = administrator.json("db", "restored")
    assert first["sequence"] > 3_000_000
    [again] = administrator.json("db", "restored")
    assert again["sequence"] >= first["sequence"]
    letters = administrator.json("letters")
    assert letters
    assert all(one["sequence"] >= again["sequence"] for one in letters)
    assert administrator.json("letters") == letters
    told = administrator.run("db", "restored")
    assert (told.returncode, told.stdout.split()[:3]) == (0, ["letters", "have", "SEQUENCE"])
