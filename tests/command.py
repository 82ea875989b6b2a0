"""`invite-gateway` inside this process: what it prints and its exit code, without the second that a
new interpreter takes.

That the installed program does the same is what tests/core/test_cli.py and the tests on real
servers show.
"""

import io
import os
import subprocess
import sys
import traceback
import warnings
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout

from gateway.cli import main
from tests import lines


def run(
    *arguments: str, environment: Mapping[str, str], stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """One command with exactly this environment."""
    before, keyboard = dict(os.environ), sys.stdin
    said, complained = io.StringIO(), io.StringIO()
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    try:
        with (
            warnings.catch_warnings(),
            lines.put_back(),
            redirect_stdout(said),
            redirect_stderr(complained),
        ):
            # As an interpreter does by itself; pytest shows what libraries should write otherwise.
            warnings.simplefilter("ignore", DeprecationWarning)
            code = _exit_code(arguments)
    finally:
        os.environ.clear()
        os.environ.update(before)
        sys.stdin = keyboard
    return subprocess.CompletedProcess(arguments, code, said.getvalue(), complained.getvalue())


def _exit_code(arguments: tuple[str, ...]) -> int:
    try:
        main.main(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        traceback.print_exc()
        return 1
    return 0
