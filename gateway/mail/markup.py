"""What a person would read in an HTML part: text only. Nothing of the HTML itself is ever shown or
stored.

By hand and in one pass: the standard library's HTML parser takes quadratic time over comments that
never end (5 MB: minutes). What does not close ends the text.
"""

import html
import re

SILENT = frozenset({"script", "style", "head", "title", "template", "noscript"})
BREAKING = frozenset(
    {
        "br",
        "p",
        "div",
        "tr",
        "li",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "table",
        "ul",
        "ol",
        "pre",
        "blockquote",
    }
)
NAME = re.compile(r"/?([a-z][a-z0-9]*)")
LONGEST = 500_000
ENDLESS = re.compile(r"&#(?:x[0-9a-f]{30,}|[0-9]{30,});?", re.IGNORECASE)


def text(markup: str) -> str:
    """The text of an HTML document, one line per block. Quotations become lines that start with ">"
    (for `quoting`).
    """
    reader = _Reader(markup[:LONGEST])
    while 0 <= reader.at < len(reader.markup):
        reader.take()
    lines = (" ".join(line.split()) for line in "".join(reader.made).split("\n"))
    return "\n".join(line for line in lines if line not in ("", ">"))


class _Reader:
    """Takes words and tags one by one. `at`: where the next begins; -1 where the text has ended.
    `quoted`: how many quotations are open.
    """

    def __init__(self, markup: str) -> None:
        lower = markup.lower()
        # A few characters change their length in lower case.
        self.lower = lower if len(lower) == len(markup) else markup
        self.markup = markup
        self.made = list[str]()
        self.quoted = 0
        self.at = 0

    def take(self) -> None:
        """The words up to the next tag, and that."""
        start = self.markup.find("<", self.at)
        self.made.append(
            _words(self.markup[self.at :] if start < 0 else self.markup[self.at : start])
        )
        if start < 0:
            self.at = -1
        elif self.lower.startswith("<!--", start):
            self.at = _behind(self.lower, "-->", start)
        else:
            self._tag(start)

    def _tag(self, start: int) -> None:
        name = NAME.match(self.lower, start + 1)
        if name is None and self.lower[start + 1 : start + 2] not in ("!", "?", "/"):
            self.made.append("<")  # it begins no tag
            self.at = start + 1
            return
        self.at = _behind(self.lower, ">", start)
        if name is not None:
            self._element(name[1], closes=name[0].startswith("/"))

    def _element(self, tag: str, *, closes: bool) -> None:
        if tag == "blockquote":
            self.quoted = max(0, self.quoted + (-1 if closes else 1))
        if tag in BREAKING:
            self.made.append("\n> " if self.quoted else "\n")
        if tag in SILENT and not closes and self.at >= 0:
            end = _behind(self.lower, f"</{tag}", self.at)
            self.at = _behind(self.lower, ">", end) if end >= 0 else end


def unescaped(text: str) -> str:
    """The characters that entities stand for. One with more digits than any character has is left
    out: the standard library refuses to count them (CVE-2020-10735).
    """
    return html.unescape(ENDLESS.sub("", text))


def _words(piece: str) -> str:
    return unescaped(piece).replace("\n", " ").replace("\r", " ")


def _behind(lower: str, mark: str, start: int) -> int:
    """Where the text goes on behind the next `mark`; -1 where it never comes, which ends the
    text.
    """
    place = lower.find(mark, start)
    return place + len(mark) if place >= 0 else -1
