"""Forged, misleading and odd mail that once had an effect it should not have, or was refused though
honest: the table of `corpus-wild/attack/README.md`, file by file, through the whole of `receive`.
"""

import json
from pathlib import Path

import pytest

from tests import command, stores

AT = "2026-11-20T09:00:00Z"
QUIET = frozenset({"ignored", "not_an_answer", "unknown_invitation", "held", "malformed"})
"""Outcomes that mark nothing."""
TABLE = {
    ("01-robot-name-at-freemail",): ({"held"}, "gil", "invitation"),
    ("02-mdn-by-stranger-under-token",): (QUIET, "ola", "invitation"),
    ("04-forged-AR-under-our-failing-one-same-hop",): ({"held"}, "ola", "invitation"),
    ("06-first-From-unreadable-second-counts",): ({"held"}, "ola", "invitation"),
    ("08-dsn-about-a-stranger-to-plain-token",): (QUIET, "ola", "invitation"),
    ("09-report-without-status-part",): (QUIET - {"ignored"}, "ola", "invitation"),
    ("11-recurrence-id-year-9999",): ({"malformed", "unknown_invitation"}, "ola", "invitation"),
    ("13-counter-duration-overflow",): ({"malformed"}, "ola", "invitation"),
    ("14-honest-utf16-calendar",): ({"applied"}, "ola", "declined"),
    ("15-honest-AR-exim-ipv6",): ({"applied"}, "ola", "declined"),
    ("18-dtstamp-dotnet-minvalue-1", "18-dtstamp-dotnet-minvalue-2"): (
        {"applied"},
        "ola",
        "declined",
    ),
    ("19-winmail-html-entity-5000-digits",): ({"malformed", "applied"}, "ola", None),
}
"""Files, in turn → the outcomes that the last one may have, whose row, its status afterwards."""


@pytest.fixture
def attack(corpus: Path) -> Path:
    return corpus / "corpus-wild" / "attack"


@pytest.mark.parametrize(("files", "right"), TABLE.items(), ids=[files[0] for files in TABLE])
def test_attack(
    files: tuple[str, ...],
    right: tuple[frozenset[str], str, str | None],
    attack: Path,
    tmp_path: Path,
) -> None:
    outcomes, who, after = right
    environment = {
        "GATEWAY_STORE__URL": f"sqlite:///{tmp_path}/store.db",
        "GATEWAY_MAIL__ADDRESS": "invites@crm.example",
        "GATEWAY_POLICY__AUTHSERV_ID": "mx.crm.example",
    }

    def told(*arguments: str) -> str:
        ran = command.run(*arguments, environment=environment)
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    stores.upgraded(environment["GATEWAY_STORE__URL"])
    told("load", str(attack / "base.json"))
    before = [json.loads(line) for line in told("status", "--json").splitlines()]
    unsent = {row["key"]: row["delivery"] for row in before if row["delivery"] != "sent"}
    lines = [
        json.loads(line)
        for file in files
        for line in told("receive", "--json", "--at", AT, str(attack / f"{file}.mail")).splitlines()
    ]
    assert lines[-1]["outcome"] in outcomes, lines
    assert not any("this program failed" in line["reason"] for line in lines)
    rows = [json.loads(line) for line in told("status", "--json").splitlines()]
    status = {row["key"]: row for row in rows if row["follow_up"] == "m1"}[who]
    assert status["status"] == (after or status["status"])
    assert {row["key"]: row["delivery"] for row in rows if row["delivery"] != "sent"} == unsent


def test_every_mail_of_the_table_is_played(attack: Path) -> None:
    played = {file for files in TABLE for file in files}
    assert {path.stem for path in attack.glob("*.mail")} == played
