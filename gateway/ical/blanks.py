"""Blanks: what all who are told the same have in common is written once, with marks where each has
something of their own.

To fill in a blank costs far less than to write the letter. What comes of it is what would have been
written for them alone, byte for byte (RFC 5545 §3.1 folding included): the blank is a letter to
nobody, and goes through the same writers.
"""

import itertools
import re
import secrets
from dataclasses import dataclass, replace
from urllib.parse import unquote

from gateway.ical import ics
from gateway.mail import compose
from gateway.model import Letter

NOBODY = secrets.token_hex(12)
"""Of this process, so that no text from outside can hold a mark."""
NAME = f"name {NOBODY}"
ADDRESS = f"to-{NOBODY}@blank.invalid"
ORGANIZER = f"by-{NOBODY}@blank.invalid"
ONE_LINE = re.compile(rb"(?<=\r\n)(?![ \t])")


Values = tuple[tuple[str, str], ...]
"""Marks, and what stands in their places."""


@dataclass(frozen=True, slots=True)
class _Guest:
    """The line of another guest, which is left out of their own letter."""

    address: str
    line: bytes | str


_Part = bytes | str | _Guest
"""Of a calendar object: lines as they are, an unfolded line with marks, somebody else's line."""


def blank(letter: Letter) -> Letter:
    """The letter to nobody: equal for all who are told the same at the same moment."""
    return replace(
        letter,
        address=ADDRESS,
        address_name=NAME,
        organizer_address=ORGANIZER,
        bounce_address="",
        token="",
        message_id="",
    )


@dataclass(frozen=True, slots=True)
class Calendar:
    """The calendar object of a blank."""

    parts: tuple[_Part, ...]

    def filled(self, letter: Letter) -> bytes:
        """`ics.calendar(letter)`, and its errors."""
        address, organizer = ics.mailto(letter.address), ics.mailto(letter.organizer_address)
        own = {_plain(address), _plain(organizer)}
        values = (
            (f"mailto:{ADDRESS}", address),
            (f"mailto:{ORGANIZER}", organizer),
            (NAME, ics.common_name(letter.address_name) or ics.common_name(letter.address)),
            (ORGANIZER, ics.common_name(letter.organizer_address)),
        )
        written = []
        for part in self.parts:
            if isinstance(part, _Guest):
                if part.address in own:
                    continue
                part = part.line
            written.append(part if isinstance(part, bytes) else ics.folded(_marked(part, values)))
        return b"".join(written)


@dataclass(frozen=True, slots=True)
class Text:
    """A text of a blank: lines that are encoded already, and lines with marks."""

    parts: tuple[bytes | str, ...]

    def filled(self, values: Values) -> bytes:
        """The text in quoted-printable, with `values` in the places of their marks."""
        return b"".join(
            part if isinstance(part, bytes) else compose.quoted_lines(_marked(part, values))
            for part in self.parts
        )


def text(whole: str) -> Text:
    """The text of a blank."""
    lines = compose.unix(whole).rstrip("\n").split("\n")
    parts = list[bytes | str]()
    for is_marked, group in itertools.groupby(lines, key=lambda line: NOBODY in line):
        joined = "\n".join(group)
        parts.append(joined if is_marked else compose.quoted_lines(joined))
    return Text(tuple(parts))


def calendar(letter: Letter) -> Calendar:
    """The calendar object of a blank. Raises `InputError` as `ics.calendar` does."""
    parts, fixed = list[_Part](), b""
    for line in ONE_LINE.split(ics.calendar(letter)):
        part = _part(line)
        if isinstance(part, bytes):
            fixed += part
        else:
            parts += [fixed, part]
            fixed = b""
    return Calendar((*parts, fixed))


def _part(line: bytes) -> _Part:
    whole = line.replace(b"\r\n ", b"").removesuffix(b"\r\n").decode()
    content = whole if NOBODY in whole else line
    if not whole.startswith("ATTENDEE") or whole.endswith(ADDRESS):
        return content
    return _Guest(_plain(whole[whole.rindex("mailto:") :]), content)


def _marked(text: str, values: Values) -> str:
    for mark, value in values:
        text = text.replace(mark, value)
    return text


def _plain(uri: str) -> str:
    return unquote(uri).casefold()
