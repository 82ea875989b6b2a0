"""The language of the scripts: scenes of lines, moments as people write them, options between
commas. See README.txt here.

On failure: `ScriptError` with file and line. A script that cannot be read is never an expected
failure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.model import Moment

FOLDER = Path(__file__).parent
ZONE = ZoneInfo("Europe/Oslo")
"""Clock times in scripts are Oslo's unless a line says otherwise."""

HEADING = "proves"
WHEN = r"\d{4}-\d\d-\d\d \d\d:\d\d|\d{4}-\d\d-\d\d"
SPAN = r"\d{4}-\d\d-\d\d \d\d:\d\d-\d\d:\d\d"
QUOTED = re.compile(r'"([^"]*)"')


class ScriptError(Exception):
    """The script itself is wrong."""


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction, with where it stands."""

    file: str
    number: int
    text: str

    def error(self, reason: str) -> ScriptError:
        return ScriptError(f"{self.file}:{self.number}: {self.text}\n    {reason}")


@dataclass(frozen=True, slots=True)
class Scene:
    """One dialogue from an empty store. proves: problems (P7) and traps by name."""

    file: str
    title: str
    proves: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def name(self) -> str:
        return f"{self.file.removesuffix('.txt')}: {self.title}"


def scenes(folder: Path = FOLDER) -> Iterator[Scene]:
    """Every scene of every script, in the order of their names."""
    for path in sorted(folder.glob("*.txt")):
        if path.name != "README.txt":
            yield from read(path.name, path.read_text(encoding="utf-8"))


def read(file: str, text: str) -> Iterator[Scene]:
    """The scenes of one script; each begins with `== its title`."""
    title, proves, lines = "", "", list[Line]()
    for number, raw in enumerate(text.splitlines(), 1):
        line = Line(file, number, raw.strip())
        if line.text.startswith("== "):
            if title:
                yield _scene(file, title, proves, lines)
            title, proves, lines = line.text[3:].strip(), "", []
        elif not line.text or line.text.startswith("#"):
            continue
        elif not title:
            raise line.error("stands before the first scene (== title)")
        elif not lines and (heading := line.text.partition(":"))[0] == HEADING:
            proves = heading[2]
        else:
            lines.append(line)
    if not title:
        raise ScriptError(f"{file}: no scene in it")
    yield _scene(file, title, proves, lines)


def options(text: str) -> list[str]:
    """What stands between the commas; a comma inside quotes parts nothing."""
    return [one.strip() for one in re.findall(r'(?:"[^"]*"|[^,"])+', text) if one.strip()]


def quoted(text: str) -> str:
    """The first quoted text; `\\n` in it is a line break."""
    found = QUOTED.search(text)
    return found[1].replace("\\n", "\n") if found else ""


def moment(text: str, zone: ZoneInfo = ZONE) -> Moment:
    """`2026-12-01` is a day, `2026-12-01 09:00` an instant."""
    if len(text) == 10:
        return date.fromisoformat(text)
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def instant(text: str, today: datetime, zone: ZoneInfo = ZONE) -> datetime:
    """`2026-12-01 09:00`, or `09:00` (`09:00:10`) of the day of `today`."""
    if re.fullmatch(r"\d\d:\d\d(:\d\d)?", text):
        text = f"{today.astimezone(zone):%Y-%m-%d} {text}"
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def span(text: str) -> tuple[str, str]:
    """`2026-12-01 09:00-10:00` as the start and end that `load` takes."""
    day, times = text.split(" ")
    start, end = times.split("-")
    return f"{day}T{start}:00", f"{day}T{end}:00"


def spelled(value: Moment) -> str:
    """A moment as a script writes it."""
    return (
        f"{value.astimezone(ZONE):%Y-%m-%d %H:%M}"
        if isinstance(value, datetime)
        else value.isoformat()
    )


def _scene(file: str, title: str, told: str, lines: list[Line]) -> Scene:
    proves = tuple(one.strip() for one in told.split(",") if one.strip())
    if not proves:
        raise ScriptError(f"{file}: the scene {title!r} does not say what it proves")
    return Scene(file, title, proves, tuple(lines))
