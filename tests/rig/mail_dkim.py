"""Mail::DKIM as the judge of signatures, with a zone file of the test's own
in the place of DNS. RSA only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests import rig
from tests.rig import process

_SCRIPT = Path(__file__).with_suffix(".pl")


def verdicts(messages: Sequence[bytes], zone: str) -> list[str]:
    """Of each message "pass", or what is wrong with its signature. `zone`: lines of a zone file,
    the whole of DNS.

    Raises process.StartError with what Perl printed.
    """
    perl = rig.need("perl", "perl")
    rig.need("/usr/share/perl5/Mail/DKIM/Verifier.pm", "libmail-dkim-perl")
    with process.private_directory("mail-dkim") as folder:
        file = folder / "zone"
        file.write_text(zone, encoding="ascii")
        return process.run(
            [perl, str(_SCRIPT), str(file)],
            what="Mail::DKIM",
            stdin=b"\0".join(messages),
            cwd=folder,
        ).splitlines()
