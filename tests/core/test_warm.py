"""The warm process that daemons and commands of the tests are forked from (`tests.warm`)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm


def test_who_asks_a_server_that_is_no_more_is_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one module that cannot be imported would let a whole run wait for ever."""
    monkeypatch.setenv(warm.PLACE, "")  # that of this run is put back
    with warm.serving() as server:
        server.kill()
        server.wait()
        with pytest.raises(ConnectionRefusedError):
            warm.Process(["script.py"], {})


def test_who_has_told_its_number_leads_a_session_of_its_own(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys\nsys.stdin.read()\nsys.exit(7)\n")
    process = warm.Process([str(script)], dict(os.environ))
    assert os.getpgid(process.pid) == process.pid != os.getpgrp()
    assert process.wait(60) == 7


def test_a_process_is_as_a_cold_one(tmp_path: Path) -> None:
    """Arguments, environment, folder, streams and exit code."""
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\n"
        "print(sys.argv[1:], sorted(os.environ), os.getcwd(), sys.stdin.read(), flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )

    def run(*command: str) -> tuple[str, int]:
        done = subprocess.run(
            [*command, "one", "--two"],
            input="said",
            env={"HOME": "/nowhere"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout, done.returncode

    said, code = run(sys.executable, str(script))
    assert code == -9
    assert run(*warm.command(str(script))) == (said, 128 + 9)
