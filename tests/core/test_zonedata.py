"""The newer time zone data are used, whichever of the two that is (P18)."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import tzdata

PROGRAM = """
from datetime import UTC, datetime
from zoneinfo import ZoneInfo
from gateway import zonedata
from gateway.ical import zones
moment = datetime(2026, 12, 1, 12, tzinfo=UTC)
[written] = {part.offset_to for part in zones.observances("America/Vancouver", 2026, 2026)[-1:]}
print(zonedata.CHOSEN.release, end=" ")
print(moment.astimezone(ZoneInfo("America/Vancouver")).utcoffset(), written, sep=", ")
"""


def zone_file(name: str) -> bytes:
    return resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).read_bytes()


def system(folder: Path, **files: str) -> Path:
    """A system's zones, in which Vancouver is told nine hours east of Greenwich."""
    (folder / "America").mkdir()
    (folder / "America" / "Vancouver").write_bytes(zone_file("Asia/Tokyo"))
    (folder / "UTC").write_bytes(zone_file("UTC"))
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="ascii")
    return folder


def vancouver(folder: Path) -> str:
    """The release in use; Vancouver's offset; the one that a VTIMEZONE would end with."""
    environment = {**os.environ, "PYTHONTZPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip()


def packaged_offset() -> str:
    with resources.files("tzdata").joinpath("zoneinfo", "America", "Vancouver").open("rb") as file:
        zone = ZoneInfo.from_file(file)
    return str(datetime(2026, 12, 1, 12, tzinfo=UTC).astimezone(zone).utcoffset())


@pytest.mark.parametrize(
    "files",
    [
        {"tzdata_zi": "# version 2025b\n# redo posix_only\n"},
        {"+VERSION": "2025b\n"},
        {"tzdata_zi": "# no release at all\n"},
        {},
    ],
    ids=["debian", "version file", "unreadable", "silent"],
)
def test_old_data_of_the_system_are_not_used(tmp_path: Path, files: dict[str, str]) -> None:
    told = vancouver(system(tmp_path, **files))
    assert told.startswith(f"{tzdata.IANA_VERSION} {packaged_offset()}, ")
    assert not told.endswith("9:00:00")


def test_newer_data_of_the_system_are_used(tmp_path: Path) -> None:
    told = vancouver(system(tmp_path, tzdata_zi="# version 2099a\n"))
    assert told == "2099a 9:00:00, 9:00:00"


def test_a_system_without_zones_needs_none(tmp_path: Path) -> None:
    assert vancouver(tmp_path).startswith(f"{tzdata.IANA_VERSION} {packaged_offset()}, ")
