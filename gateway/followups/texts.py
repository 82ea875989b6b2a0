"""What is shown of a text that somebody wrote: two texts that are shown alike are the same to
everybody.

Pure. Standards: RFC 5545 §3.1 (no control characters), Unicode UAX 9 (none that turn the direction
of what follows).
"""

import re

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Those of lines, and those that turn the direction of what follows: they would reach beyond the
text itself.
"""
LONGEST_REASON = 500
"""Most characters that are shown of a reason."""


def text(value: str) -> str:
    """A text with LF line ends, without control characters and without white space at the ends of
    its lines.
    """
    plain = CONTROLS.sub("", value.replace("\r\n", "\n").replace("\r", "\n"))
    return "\n".join(part.rstrip() for part in plain.split("\n")).strip()


def line(value: str) -> str:
    """A text on one line."""
    return " ".join(text(value).split())


def lines(value: str) -> tuple[str, ...]:
    """The lines of a text that are not empty."""
    return tuple(part.strip() for part in text(value).split("\n") if part)


def clip(value: str, most: int) -> str:
    return value if len(value) <= most else value[: most - 1].rstrip() + "…"


def reason(value: str) -> str:
    """A reason as it is shown: on one line, and no longer than a reader needs."""
    return clip(line(value), LONGEST_REASON)


def web_link(url: str) -> str:
    """The URL if it is a web address that may become a link, otherwise ""."""
    url = url.strip()
    return (
        url if re.fullmatch(r"https?://[\x21\x23-\x3b\x3d\x3f-\x7e]+", url, re.IGNORECASE) else ""
    )
