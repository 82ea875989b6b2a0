"""No text of the pages is untranslated: what templates and code say is in the Norwegian catalogue
(page.md §1), and so is what actions refuse, which the pages say, too. Other languages see the pages in English, except the answer page, which is in every
language that letters are written in.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages import extract, pofile
from babel.messages.catalog import Message

import gateway
from gateway import i18n

ROOT = Path(gateway.__file__).parent
WEB = ROOT / "web"
ANSWER = WEB / "templates" / "answer"
KEYWORDS = {
    "_": None,
    "gettext": None,
    "marked": None,
    "say": None,
    "ngettext": (1, 2),
    "counted": (1, 2),
    "pgettext": ((1, "c"), 2),
}


def texts() -> Iterator[object]:
    """What is said to users, from templates and code."""
    for file in sorted((WEB / "templates").rglob("*.html")):
        if file.parent == ANSWER:
            continue
        with file.open("rb") as source:
            for _, message, _, context in extract.extract("jinja2", source, KEYWORDS):
                yield (context, message) if context else message
    for file in sorted([*_refusing(), *WEB.glob("*.py"), *(WEB / "pages").rglob("*.py")]):
        if file.name == "answer_page.py":
            continue
        with file.open("rb") as source:
            for _, message, _, context in extract.extract("python", source, KEYWORDS):
                yield (context, message) if context else message


def _refusing() -> Iterator[Path]:
    """What is below the pages and says no, or what is wrong."""
    yield from (ROOT / "health.py", ROOT / "status.py", ROOT / "mail" / "syntax.py")
    yield ROOT / "ical" / "zonenames.py"
    for layer in ("followups", "store", "actions"):
        yield from (ROOT / layer).glob("*.py")


def catalogue() -> list[Message]:
    """The pages of administrators have a file of their own, which nobody else has to read; so have
    refusals, which stand all over the program.
    """
    messages = list[Message]()
    for name in ("page.po", "admin.po", "refusals.po", "health.po"):
        with (i18n.FOLDER / "nb" / name).open("rb") as source:
            messages += pofile.read_po(source, locale="nb", abort_invalid=True)
    return messages


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


def of_the_answer_page() -> Iterator[str]:
    """What the answer page says beside the words of letters."""
    files = [("jinja2", file) for file in ANSWER.glob("*.html")]
    for kind, file in [*files, ("python", WEB / "answer_page.py")]:
        with file.open("rb") as source:
            for _, message, _, _ in extract.extract(kind, source, KEYWORDS):
                assert isinstance(message, str)
                yield message


@pytest.mark.parametrize("language", [one for one in i18n.available() if one != "en"])
def test_the_answer_page_is_in_every_language_of_letters(language: str) -> None:
    known = {file.stem: _messages(file, language) for file in (i18n.FOLDER / language).glob("*.po")}
    texts = set(of_the_answer_page())
    assert len(texts) > 20
    assert sorted(texts - known["letters"] - known["answer"]) == []
    assert sorted(known["answer"] - texts) == []


def _messages(file: Path, language: str) -> set[str]:
    with file.open("rb") as source:
        messages = pofile.read_po(source, locale=language, abort_invalid=True)
    return {str(message.id) for message in messages if message.id and message.string}
