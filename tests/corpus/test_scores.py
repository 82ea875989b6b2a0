"""The corpora that others made, scored by their own runner, which knows nothing of our code.

They stand beside the repository (GATEWAY_CORPUS); nothing of them is copied into it.
"""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm
from tests.wire import gateway_process

SECONDS = 600


@pytest.mark.real
@pytest.mark.parametrize("name", ["corpus", "corpus-clients", "corpus-wild"])
def test_every_message_of_the_corpus_ends_as_it_should(name: str, corpus: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            str(corpus / "tools" / "corpus.py"),
            str(corpus / name),
            "--command",
            shlex.join(warm.command(gateway_process.PROGRAM)),
        ],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith(", 0 failed")
