"""What real mail programs read in our calendar objects: each reads a batch of them in one process,
with its own code.

Gnus and aerc read the first event of an object, Horde every one, and the dates of a series by its
own recurrence. On failure process.StartError quotes what the program printed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from tests import rig
from tests.rig import process

Read = dict[str, Any]
_FOLDER = Path(__file__).parent


def gnus(calendars: Sequence[bytes], zone: str) -> list[Read]:
    """The event that Gnus shows of each object to somebody in `zone`: method, uid, summary, start
    and end in seconds, organizer, the names of participants, whether he is asked, frequency and
    interval of a series.
    """
    emacs = rig.need("emacs", "emacs-nox")
    with _folder("gnus", calendars) as folder:
        env = {**_environment(folder, zone), "RIG_FOLDER": str(folder)}
        process.run(
            [emacs, "--batch", "-Q", "-l", str(_FOLDER / "reading.el")],
            what="Gnus (reading)",
            cwd=folder,
            env=env,
        )
        found: list[Read] = _result(folder)
        return found


def horde(calendars: Sequence[bytes], zone: str, before: datetime) -> list[list[Read]]:
    """Every event of each object as Horde reads it in `zone`: method, uid, summary, organizer, name
    (RECURRENCE-ID), start and end in seconds, participants (address, name, PARTSTAT), dates up to
    `before`.
    """
    php = rig.need("php", "php-cli")
    rig.need("/usr/share/php/Horde/Icalendar.php", "php-horde-icalendar")
    rig.need("/usr/share/php/Horde/Date/Recurrence.php", "php-horde-date")
    rig.need("/usr/share/php/Horde/Autoloader.php", "php-horde-autoloader")
    with _folder("horde", calendars) as folder:
        process.run(
            [php, str(_FOLDER / "reading.php"), str(folder), zone, str(int(before.timestamp()))],
            what="Horde (reading)",
            cwd=folder,
        )
        found: list[list[Read]] = _result(folder)
        return found


def aerc(calendars: Sequence[bytes]) -> list[str]:
    """What aerc's own filter for calendars shows of each object, line by line with single spaces.

    It needs GNU awk: Debian's usual one does not understand it.
    """
    awk = rig.need("gawk", "gawk")
    filter_ = rig.need("/usr/share/aerc/filters/calendar", "aerc")
    shown = []
    for calendar in calendars:
        printed = process.run(
            [awk, "-f", filter_],
            what="aerc (reading)",
            stdin=calendar,
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        )
        shown.append(
            "\n".join(re.sub(r"\s+", " ", line).strip() for line in printed.splitlines()).strip()
        )
    return shown


@contextmanager
def _folder(name: str, calendars: Sequence[bytes]) -> Iterator[Path]:
    with process.private_directory(name) as folder:
        for number, calendar in enumerate(calendars):
            (folder / f"{number:03}.ics").write_bytes(calendar)
        yield folder


def _environment(home: Path, zone: str) -> Mapping[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TZ": zone,
    }


def _result(folder: Path) -> Any:
    return json.loads((folder / "read").read_text(encoding="utf-8"))
