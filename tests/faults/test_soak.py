"""Ten seconds of work: no file stays open, and no letter waits (`tests.faults.soak`)."""

import pytest

from tests.faults import soak
from tests.rig import dovecot as dovecot_server
from tests.rig import postfix as postfix_server


@pytest.mark.real
def test_open_files_do_not_grow_and_no_letter_waits(
    dovecot: dovecot_server.Server, postfix: postfix_server.Server
) -> None:
    report = soak.run(dovecot, postfix, seconds=10, rate=4, seed=1)
    assert report.problems == [], str(report)
    assert report.verdict.numbers["applications"] > 10, str(report)


def test_growth_is_found() -> None:
    def grown(**last: float) -> str:
        report = soak.Report(900)
        for at in range(900):
            there = {"memory": 100 * 2**20, "files": 30, "waits": 1.0} | (last if at > 700 else {})
            report.looks.append(soak.Look(at, **there))  # type: ignore[arg-type]
        return "\n".join(report.problems)

    assert grown() == ""
    assert "memory has grown from 100.0 to 106.0 MB" in grown(memory=106 * 2**20)
    assert grown(memory=104 * 2**20) == ""
    assert "open files have grown from 30 to 50" in grown(files=50)
    assert "a letter has waited for 61 s" in grown(waits=61.0)
