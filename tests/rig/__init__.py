"""Real servers and real mail clients for the tests, from Debian's packages.

`postgres`, `dovecot` and `postfix` each start one server on loopback, on ports picked at run time,
in a directory of its own, and end it. `gnus`, `horde`, `aerc` and `thunderbird` are invitees that
read their mailbox and answer by themselves; `chromium` is the browser. `fixtures` hands them to the
tests (`pytest_plugins = ["tests.rig.fixtures"]`).

A missing program fails the test where the environment variable CI is set and skips it with a loud
reason elsewhere; `fixtures` repeats what was missing at the end of the run. `packages.txt` lists
the packages.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import NoReturn

import pytest

# Debian keeps servers out of the path of ordinary users.
_SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])

missing: dict[str, str] = {}
"""What this run looked for in vain: program or reason → Debian package or what to do."""


def need(program: str, debian_package: str) -> str:
    """Path of a program or file that `debian_package` installs.

    `program` is a name to look up in PATH, or an absolute path that may hold wildcards (the highest
    version wins). Where it is missing, the test fails if CI is set and is skipped otherwise; this
    function does not return then.
    """
    if program.startswith("/"):
        found = sorted((str(path) for path in Path("/").glob(program[1:])), key=_version)
        path = found[-1] if found else None
    else:
        path = shutil.which(program, path=_SYSTEM_PATH)
    if path is None:
        unavailable(program, f"apt-get install {debian_package}")
    return path


def unavailable(what: str, remedy: str) -> NoReturn:
    """End the running test because `what` is not to be had here:
    failed in CI, skipped elsewhere.
    """
    missing[what] = remedy
    reason = f"NOT TESTED AGAINST THE REAL THING: {what} is missing here; {remedy}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _version(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path)]
