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
    """The text of an HTML document, one line per block.
    Quotations become lines that start with ">" (for `quoting`).
    """
    markup = markup[:LONGEST]
    lower = markup.lower()
    if len(lower) != len(markup):  # a few characters change their length in lower case
        lower = markup
    made, quoted, at = list[str](), 0, 0
    while 0 <= at < len(markup):
        start = markup.find("<", at)
        made.append(_words(markup[at:] if start < 0 else markup[at:start]))
        if start < 0:
            break
        if lower.startswith("<!--", start):
            at = _behind(lower, "-->", start)
            continue
        name = NAME.match(lower, start + 1)
        if name is None and lower[start + 1 : start + 2] not in ("!", "?", "/"):
            made.append("<")
            at = start + 1
            continue
        at = _behind(lower, ">", start)
        if name is None:
            continue
        tag, closes = name[1], name[0].startswith("/")
        if tag == "blockquote":
            quoted = max(0, quoted + (-1 if closes else 1))
        if tag in BREAKING:
            made.append("\n> " if quoted else "\n")
        if tag in SILENT and not closes and at >= 0:
            at = _behind(lower, f"</{tag}", at)
            at = _behind(lower, ">", at) if at >= 0 else at
    lines = (" ".join(line.split()) for line in "".join(made).split("\n"))
    return "\n".join(line for line in lines if line not in ("", ">"))


def unescaped(text: str) -> str:
    """The characters that entities stand for. One with more digits than any character has is left
    out: the standard library refuses to count them (CVE-2020-10735).
    """
    return html.unescape(ENDLESS.sub("", text))


def _words(piece: str) -> str:
    return unescaped(piece).replace("\n", " ").replace("\r", " ")


def _behind(lower: str, mark: str, start: int) -> int:
    """Where the text goes on behind the next `mark`;
    -1 where it never comes, which ends the text.
    """
    found = lower.find(mark, start)
    return found + len(mark) if found >= 0 else -1
