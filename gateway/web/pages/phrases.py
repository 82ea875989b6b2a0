"""What the program says of itself, in the reader's language (`i18n.Phrase`): moments on the
reader's clock, and the words of others as a quotation in the language in which they came. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.i18n import Catalogue, Instant, Phrase, Quote

if TYPE_CHECKING:
    from gateway.web.pages.visit import Visit

PLACE = re.compile(r"%\((\w+)\)[a-z]")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a sentence. `tag`: the element that it stands in, because it is English on every
    page; "" for none. `is_name`: it is written as it is, also where a sentence begins with it.
    """

    text: str
    tag: str = ""
    is_name: bool = False


def sentence(here: Visit, words: str) -> list[Part]:
    """A whole sentence. One that is no phrase stands as it is, and says that it is English."""
    if not isinstance(words, Phrase):
        return [Part(words, "" if here.texts.language == "en" else "span")]
    first, *others = _parts(here, words)
    if first.is_name:
        return [first, *others]
    return [replace(first, text=first.text[:1].upper() + first.text[1:]), *others]


def template(texts: Catalogue, phrase: Phrase) -> str:
    """The text of a phrase in this language, its places not yet filled."""
    if not phrase.plural:
        return texts.gettext(phrase.text)
    number = phrase.facts["num"]
    assert isinstance(number, int)
    return texts.ngettext(phrase.text, phrase.plural, number)


def _parts(here: Visit, fact: object) -> Iterator[Part]:
    match fact:
        case Phrase():
            pieces = PLACE.split(template(here.texts, fact))
            for number, piece in enumerate(pieces):
                if number % 2:
                    yield from _parts(here, fact.facts[piece])
                elif piece:
                    yield Part(piece)
        case Instant():
            yield Part(here.ago(fact.at))
        case Quote():
            yield Part(fact, "q", is_name=True)
        case _:
            yield Part(str(fact), is_name=True)
