"""What a person would read in an HTML part: text only. Nothing of the HTML itself is ever shown or stored."""

from html.parser import HTMLParser

SILENT = frozenset({"script", "style", "head", "title", "template", "noscript"})
BREAKING = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "table", "ul", "ol", "pre"})
LONGEST = 500_000


def text(html: str) -> str:
    """The text of an HTML document, one line per block. Quotations become lines that start with ">" (for `quoting`)."""
    reader = _Reader()
    reader.feed(html[:LONGEST])
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.made).split("\n"))
    return "\n".join(line for line in lines if line not in ("", ">"))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.made: list[str] = []
        self.silent = 0
        self.quoted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in SILENT
        self.quoted += tag == "blockquote"
        if tag in BREAKING or tag == "blockquote":
            self._new_line()

    def handle_endtag(self, tag: str) -> None:
        if tag in SILENT:
            self.silent = max(0, self.silent - 1)
        if tag == "blockquote":
            self.quoted = max(0, self.quoted - 1)
        if tag in BREAKING or tag == "blockquote":
            self._new_line()

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.made.append(" ".join(data.split("\n")))

    def _new_line(self) -> None:
        self.made.append("\n> " if self.quoted else "\n")
