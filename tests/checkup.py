"""What `invite-gateway doctor` says, by what it is about; of several lines about one thing the last."""

import json
import subprocess
from collections.abc import Mapping

from gateway.health import Condition, State
from tests import command


def examined(environment: Mapping[str, str], *options: str) -> dict[str, Condition]:
    return told(command.run("--json", "doctor", *options, environment=environment))


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Condition]:
    """What it has said in whatever process, by `--json`."""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    found = {
        line["check"]: Condition(line["check"], State(line["state"]), line["text"])
        for line in lines
    }
    has_failed = any(line["state"] == State.FAILED for line in lines)
    assert done.returncode == int(has_failed)
    return found
