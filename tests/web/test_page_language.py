"""No text of the pages is untranslated: what templates and code say is in the Norwegian catalogue
(page.md §1). Other languages see the pages in English.
"""

from collections.abc import Iterator
from pathlib import Path

from babel.messages import extract, pofile
from babel.messages.catalog import Catalog

import gateway
from gateway import i18n

WEB = Path(gateway.__file__).parent / "web"
KEYWORDS = {
    "_": None,
    "gettext": None,
    "marked": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
}


def texts() -> Iterator[object]:
    """What is said, from templates and code."""
    for file in sorted((WEB / "templates").rglob("*.html")):
        with file.open("rb") as source:
            for _, message, _, context in extract.extract("jinja2", source, KEYWORDS):
                yield (context, message) if context else message
    for file in sorted([*WEB.glob("*.py"), *(WEB / "pages").glob("*.py")]):
        with file.open("rb") as source:
            for _, message, _, context in extract.extract("python", source, KEYWORDS):
                yield (context, message) if context else message


def catalogue() -> Catalog:
    with (i18n.FOLDER / "nb" / "page.po").open("rb") as source:
        return pofile.read_po(source, locale="nb", abort_invalid=True)


def said() -> set[str | tuple[str, ...]]:
    found = set[str | tuple[str, ...]]()
    for message in texts():
        found.add(message if isinstance(message, str) else tuple(map(str, message)))  # type: ignore[call-overload]
    return found


def test_every_text_is_in_norwegian_and_nothing_else_is() -> None:
    known = {
        (message.context, message.id) if message.context else message.id
        for message in catalogue()
        if message.id
        and (all(message.string) if isinstance(message.string, tuple) else message.string)
    }
    wanted = {one for one in said() if one not in (("CLDR pattern", "EEEE, d MMMM y"),)}
    assert len(wanted) > 100
    assert sorted(map(str, wanted - known)) == []
    assert sorted(map(str, known - wanted)) == []
