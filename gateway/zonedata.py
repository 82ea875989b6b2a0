"""Which time zone data this process uses: the newer of the system's and of those it brings along.

Governments change their clocks at short notice, and `zoneinfo` reads the system's files first. On a
server that is not updated they are older than the package `tzdata`, and every meeting in a changed
zone would be told an hour wrong (P18). Named like the releases of the IANA database: "2026a" comes
before "2026b". Never raises: a system whose release cannot be told is not believed.
"""

import re
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import tzdata

RELEASE = re.compile(r"\d{4}[a-z]{1,2}")
LONGEST_LINE = 200


@dataclass(frozen=True, slots=True)
class ZoneData:
    """The release of the time zone data in use, and those there were to choose from."""

    packaged: str
    system: str
    """Empty where the system has none, or does not say which."""

    @property
    def release(self) -> str:
        return max(self.packaged, self.system)

    def __str__(self) -> str:
        """For logs and people."""
        if self.release == self.system:
            return f"{self.system} of the system"
        return f"{self.packaged} of the package tzdata, the system has {self.system or 'none'}"


def choose() -> ZoneData:
    """Make `zoneinfo` use the newer data from now on. Zones that were made before keep theirs."""
    zone_data = ZoneData(tzdata.IANA_VERSION, _system(zoneinfo.TZPATH))
    if zone_data.release != zone_data.system:
        zoneinfo.reset_tzpath(to=())
        zoneinfo.ZoneInfo.clear_cache()
    return zone_data


def _system(folders: Iterable[str]) -> str:
    """The release of the first folder that has zones: `zoneinfo` reads that one.

    Distributions put it at the head of tzdata.zi, some into a file +VERSION.
    """
    for folder in map(Path, folders):
        if not (folder / "UTC").is_file():
            continue
        for name in ("tzdata.zi", "+VERSION"):
            try:
                with (folder / name).open(encoding="ascii", errors="replace") as file:
                    return _release(file.readline(LONGEST_LINE))
            except OSError:
                continue
        return ""
    return ""


def _release(text: str) -> str:
    release = RELEASE.search(text[:LONGEST_LINE])
    return release[0] if release else ""


CHOSEN = choose()
"""Made when the gateway is imported, before anything asks for a zone."""
