"""`review` and `explain` as an administrator meets them: exit codes, machine-readable rows, and
nothing raw on the terminal.
"""

import contextlib
import io
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import main
from tests import lines

DOCUMENT = {
    "associates": [{"key": "kari", "name": "Kari", "email": "kari@crm.example"}],
    "persons": [{"key": "ola", "name": "Ola", "emails": ["ola@ext.example"]}],
    "follow_ups": [
        {
            "key": "m1",
            "kind": "meeting",
            "owner": "kari",
            "title": "Kick-off",
            "uid": "m1@crm.example",
            "timezone": "UTC",
            "start": "2040-12-01T09:00:00",
            "end": "2040-12-01T10:00:00",
            "participants": [{"person": "ola", "email_invite": True, "token": "olatokenolatoken"}],
        }
    ],
}
MAIL = """From: {sender}
To: {to}
Subject: Accepted: Kick-off \x1b[2J
Message-ID: <{name}@ext.example>
Date: Fri, 20 Nov 2026 08:00:00 +0000
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain

Fine with me.\x1b[31m
--b
Content-Type: text/calendar; method={method}

BEGIN:VCALENDAR
METHOD:{method}
BEGIN:VEVENT
UID:m1@crm.example
SEQUENCE:0
{times}COMMENT:see\x1b[2J you
ATTENDEE;PARTSTAT=ACCEPTED:mailto:{sender}
END:VEVENT
END:VCALENDAR
--b--
"""


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


class Site:
    """A store with one meeting, and the command line."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        monkeypatch.setenv("LOGNAME", "kari")

    def begin(self) -> None:
        (self.folder / "load.json").write_text(json.dumps(DOCUMENT), encoding="utf-8")
        self.run("load", str(self.folder / "load.json"))
        self.run("letters")

    def command(self, *arguments: str, **settings: str) -> Done:
        """The program with its own output, in this process: starting it anew each time would take
        most of the time.
        """
        out, err = io.StringIO(), io.StringIO()
        given = {
            "GATEWAY_STORE__URL": f"sqlite:///{self.folder}/store.db",
            "GATEWAY_MAIL__ADDRESS": "invites@crm.example",
            **settings,
        }
        with (
            self.monkeypatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            for name, value in given.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as ended:
                main.main(arguments)
        return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())

    def run(self, *arguments: str, **settings: str) -> str:
        done = self.command(*arguments, **settings)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def rows(self, *arguments: str, **settings: str) -> list[dict[str, Any]]:
        return [
            json.loads(line) for line in self.run(*arguments, "--json", **settings).splitlines()
        ]

    def write(
        self,
        name: str,
        sender: str,
        to: str = "invites+olatokenolatoken@crm.example",
        method: str = "REPLY",
        times: str = "",
    ) -> str:
        path = self.folder / f"{name}.eml"
        path.write_text(
            MAIL.format(name=name, sender=sender, to=to, method=method, times=times),
            encoding="utf-8",
        )
        return str(path)

    def receive(self, *arguments: str, **more: str) -> None:
        self.run("receive", self.write(*arguments, **more))


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a site that has begun, to copy."""
    folder = tmp_path_factory.mktemp("begun")
    with pytest.MonkeyPatch.context() as patch, lines.put_back():
        Site(folder, patch).begin()
    return folder / "store.db"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: Path) -> Iterator[Site]:
    shutil.copy(begun, tmp_path)
    with lines.put_back():
        yield Site(tmp_path, monkeypatch)


def test_an_alias_from_the_list_to_the_learned_address(site: Site) -> None:
    site.receive("alias", "ola@home.example")
    [listed] = site.rows("review", "list")
    assert {
        name: listed[name]
        for name in ("number", "outcome", "follow_up", "participant", "invited", "from")
    } == {
        "number": 1,
        "outcome": "held",
        "follow_up": "m1",
        "participant": "ola",
        "invited": "ola@ext.example",
        "from": "ola@home.example",
    }
    assert listed["question"] == "ola@home.example answered for ola@ext.example: the same person?"
    assert listed["claims"] == [{"reply": "accepted", "instance": None, "comment": "see[2J you"}]
    [shown] = site.rows("review", "show", "1")
    assert [rule["rule"] for rule in shown["rules"]] == [
        "kind",
        "sender",
        "token_key",
        "uid_key",
        "alias",
    ]
    assert shown["commands"][0] == "invite-gateway review learn 1"
    assert shown["headers"]["to"] == ["invites+olatok…@crm.example"]
    still = site.command("review", "apply", "1", "--json")
    assert (still.returncode, json.loads(still.stdout)["done"]) == (1, False)
    assert "held → applied" in site.run("review", "learn", "1")
    assert site.rows("review", "list") == []
    assert [
        (one["address"], one["participant"], one["message"]) for one in site.rows("review", "known")
    ] == [("ola@home.example", "ola", 1)]
    assert site.rows("status", "m1")[0]["reply"] == "accepted"
    site.run("review", "forget", "ola@home.example", "ola")
    assert site.command("review", "forget", "ola@home.example", "ola").returncode == 1


BOXES = ("cur", "new", "tmp")


def maildir(folder: Path, mails: list[str]) -> list[str]:
    """One that was read, one that was not, and one that is not there yet."""
    files = [f"{name}/{at}.M{at}.mail{':2,S' * (name == 'cur')}" for at, name in enumerate(BOXES)]
    for name in BOXES:
        (folder / name).mkdir(parents=True)
    for file, mail in zip(files, [*mails, mails[0]], strict=True):
        (folder / file).write_text(mail, encoding="utf-8")
    return files[:2]


def mbox(file: Path, mails: list[str]) -> list[str]:
    line = "From MAILER-DAEMON Fri Nov 20 08:00:00 2026\n"
    file.write_text("".join(f"{line}{mail}\n" for mail in mails), encoding="utf-8")
    return ["1", "2"]


@pytest.mark.parametrize(("place", "between"), [(maildir, "/"), (mbox, ":")])
def test_each_message_of_a_box_is_received(
    site: Site, place: Callable[[Path, list[str]], list[str]], between: str
) -> None:
    """As docs/operations.md promises to who puts a copy back."""
    written = [site.write("own", "ola@ext.example"), site.write("alias", "ola@home.example")]
    box = site.folder / "Processed"
    names = place(box, [Path(mail).read_text(encoding="utf-8") for mail in written])
    rows = site.rows("receive", str(box))
    assert [(row["file"], row["outcome"]) for row in rows] == [
        (f"{box}{between}{names[0]}", "applied"),
        (f"{box}{between}{names[1]}", "held"),
    ]
    [status] = site.rows("status", "m1")
    assert status["reply"] == "accepted"
    again = site.rows("receive", str(box))
    assert again[0]["outcome"] == "duplicate", "what is known has no second effect"


def test_nothing_of_a_stranger_reaches_the_terminal_raw(site: Site) -> None:
    site.receive("alias", "ola@home.example")
    for arguments in (
        ("review", "list"),
        ("review", "show", "1"),
        ("review", "apply", "--all-matching"),
        ("explain", "1"),
        ("explain", str(site.folder / "alias.eml")),
    ):
        assert "\x1b" not in site.run(*arguments)
    shown = site.run("review", "show", "1")
    assert "  Subject: Accepted: Kick-off" in shown
    assert "  | Fine with me." in shown
    assert "olatokenolatoken" not in shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("invites+olatok-enola.token@crm.example", "invites+olatok…@crm.example"),
        ("INVITES%2Bolatokenola@crm.example", "INVITES%2Bolatok…@crm.example"),
        ("invites%2bolatokenola%40crm.example", "invites%2bolatok…%40crm.example"),
        ("invites%252Bolatokenola%2540crm.example", "invites%252Bolatok…%2540crm.example"),
        ("invites&#43;olatokenola&#x40;crm.example", "invites&#43;olatok…&#x40;crm.example"),
    ],
)
def test_no_token_is_shown_in_any_spelling(site: Site, written: str, shown: str) -> None:
    mail = Path(site.write("alias", "ola@home.example"))
    mail.write_text(mail.read_text(encoding="utf-8").replace("Fine", f"Fine <mailto:{written}>"))
    site.run("receive", str(mail))
    for review in (site.run("review", "show", "1"), site.run("review", "show", "1", "--json")):
        assert f"<mailto:{shown}>" in review
        assert "enola" not in review


def test_json_has_no_character_that_a_terminal_obeys(site: Site) -> None:
    """C1, DEL and the marks that turn the direction of text; the value stays what it is."""
    odd = "a\x7fb\x9bc\u202ed"
    document = {**DOCUMENT, "persons": [{"key": "ola", "name": odd, "emails": ["ola@ext.example"]}]}
    (site.folder / "odd.json").write_text(json.dumps(document), encoding="utf-8")
    site.run("load", str(site.folder / "odd.json"))
    printed = site.run("status", "--json")
    assert r"a\u007fb\u009bc\u202ed" in printed
    assert [json.loads(line)["name"] for line in printed.splitlines()] == [odd]


def test_nothing_waits(site: Site) -> None:
    assert site.run("review", "list").strip() == "nothing waits"
    assert site.run("review", "known").strip() == "no address was learned"


def test_whoever_was_not_invited_is_added_or_rejected(site: Site) -> None:
    site.receive("sam", "sam@far.example", "invites@crm.example")
    site.receive("tim", "tim@far.example", "invites@crm.example")
    [shown] = site.rows("review", "show", "1")
    assert shown["commands"] == [
        "invite-gateway review apply 1 --add",
        "invite-gateway review reject 1",
    ]
    site.run("review", "apply", "1", "--add")
    site.run("review", "reject", "2", "--reason", "unknown here")
    assert {one["key"]: one["reply"] for one in site.rows("status", "m1")} == {
        "ola": "needs-action",
        "sam@far.example": "accepted",
    }
    rejected = [one for one in site.rows("journal", "m1") if one["event"] == "review_rejected"]
    assert [(one["by"], one["detail"]) for one in rejected] == [
        ("kari", "party_crasher → party_crasher: unknown here")
    ]


def test_whoever_answers_from_a_letter_to_another_is_offered_as_himself(site: Site) -> None:
    site.receive("sam", "sam@far.example", "invites@crm.example")
    site.run("review", "apply", "1", "--add")
    site.receive("again", "sam@far.example", times="DTSTAMP:20400101T000000Z\n")
    [shown] = site.rows("review", "show", "2")
    assert "did sam@far.example answer from the letter to ola@ext.example?" in shown["question"]
    assert shown["commands"] == [
        "invite-gateway review apply 2 --as sam@far.example",
        "invite-gateway review reject 2",
    ]


def test_many_at_once_after_a_setting_has_changed(site: Site) -> None:
    site.receive("bare", "ola@ext.example", "invites@crm.example")
    site.receive("sam", "sam@far.example", "invites@crm.example")
    told = site.rows(
        "review", "apply", "--all-matching", GATEWAY_POLICY__REQUIRE_AUTHENTICATION="false"
    )
    assert [(one["number"], one["before"], one["after"], one["done"]) for one in told] == [
        (1, "held", "applied", True),
        (2, "party_crasher", "party_crasher", False),
    ]
    assert "0 of 1 wait no longer" in site.run(
        "review", "apply", "--all-matching", "--outcome", "party_crasher", "--follow-up", "m1"
    )


def test_a_proposal_is_listed_and_declined(site: Site) -> None:
    site.receive(
        "counter",
        "ola@ext.example",
        method="COUNTER",
        times="DTSTART:20401202T090000Z\nDTEND:20401202T100000Z\n",
    )
    [listed] = site.rows("review", "list", "--follow-up", "m1")
    assert (listed["number"], listed["outcome"], listed["proposed_start"]) == (
        "p1",
        "proposal",
        "2040-12-02T09:00:00Z",
    )
    assert site.rows("review", "show", "p1")[0]["commands"] == [
        "invite-gateway review apply p1",
        "invite-gateway review reject p1",
    ]
    assert site.rows("review", "reject", "p1")[0]["state"] == "declined"
    assert site.command("review", "apply", "p1").returncode == 1
    assert site.command("review", "show", "p1").returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("apply",),
        ("apply", "1", "--all-matching"),
        ("apply", "--all-matching", "--as", "ola"),
        ("apply", "--all-matching", "--add"),
        ("apply", "1", "--outcome", "held"),
        ("apply", "--all-matching", "--outcome", "applied"),
        ("apply", "1", "--as", "ola", "--add"),
        ("apply", "p1", "--add"),
        ("apply", "q1"),
        ("apply", "0"),
        ("reject", "1x"),
        ("learn", "ola@home.example"),
        ("show",),
    ],
)
def test_wrong_usage_leaves_with_2_and_writes_nothing(
    site: Site, arguments: tuple[str, ...]
) -> None:
    site.receive("alias", "ola@home.example")
    done = site.command("review", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert [one["number"] for one in site.rows("review", "list")] == [1]


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "77"),
        ("apply", "77"),
        ("reject", "77"),
        ("learn", "77"),
        ("apply", "1", "--as", "per"),
        ("learn", "kari@crm.example", "ola"),
        ("learn", "x@y.example", "nobody"),
        ("apply", "p77"),
    ],
)
def test_what_cannot_be_done_leaves_with_1_and_one_line(
    site: Site, arguments: tuple[str, ...]
) -> None:
    site.receive("alias", "ola@home.example")
    done = site.command("review", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert [one["number"] for one in site.rows("review", "list")] == [1]


def test_explain_takes_a_number_of_the_inbox(site: Site) -> None:
    site.receive("alias", "ola@home.example")
    [waiting] = site.rows("explain", "1")
    assert (waiting["file"], waiting["outcome"], waiting["participant"]) == (
        "message 1",
        "held",
        "ola",
    )
    site.run("review", "apply", "1", "--as", "ola")
    [settled] = site.rows("explain", "1")
    assert (settled["outcome"], settled["rules"][0]["rule"]) == ("applied", "appointed")
    assert site.command("explain", "77").returncode == 1


def test_explain_gives_the_rules_of_a_file_in_order(site: Site) -> None:
    told = site.run("explain", site.write("own", "ola@ext.example")).splitlines()
    assert [line.split(":")[0].strip() for line in told[1:]] == [
        "1. kind",
        "2. sender",
        "3. token_key",
        "4. uid_key",
        "5. token_known_sender",
        "6. dtstamp_missing",
        "7. first",
        "ola",
    ]
    assert told[-1].strip() == "ola: applied: accepted (invitation → not_started)"
    assert site.rows("status", "m1")[0]["status"] == "invitation"


def test_no_token_is_shown_of_what_a_mail_claims(site: Site) -> None:
    """In a comment, in the Subject, and in what the journal tells of them."""
    written = "invites+olatokenolatoken@crm.example"
    mail = Path(site.write("alias", "ola@home.example"))
    raw = mail.read_text(encoding="utf-8")
    raw = raw.replace("END:VEVENT", f"COMMENT:see {written}\r\nEND:VEVENT")
    mail.write_text(re.sub("(?m)^Subject: .*$", f"Subject: to {written}", raw), encoding="utf-8")
    site.run("receive", str(mail))
    site.run("review", "apply", "1", "--as", "ola")
    own = Path(site.write("own", "ola@ext.example"))
    own.write_text(
        own.read_text(encoding="utf-8").replace(
            "END:VEVENT", f"COMMENT:again {written}\r\nEND:VEVENT"
        ),
        encoding="utf-8",
    )
    site.run("receive", str(own))
    site.receive("other", "ola@elsewhere.example")
    for arguments in (("review", "list"), ("review", "show", "1"), ("journal", "m1")):
        for shown in (site.run(*arguments), site.run(*arguments, "--json")):
            assert "enolatoken" not in shown
    assert "again invites+olatok…@crm.example" in site.run("journal", "m1")
