"""Words in the reader's language: gettext catalogues, and days and hours as people of that language
write them.

A language is a folder of `locale/` with one or more `*.po` files (letters.po, …). They are compiled
in memory when first used: no compiled file can be stale. The English text in the code is the key;
date patterns are entries of the catalogue, so that a new language needs a new folder and nothing
else.
"""

from __future__ import annotations

import gettext
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path

from babel import Locale, dates, lists
from babel.messages import mofile, pofile

FOLDER = Path(__file__).parent / "locale"
FALLBACK = "en"
ALIASES = {"no": "nb", "nn": "nb"}
"""Norwegian without a written form, and Nynorsk: Bokmål is nearer to them than English."""
REGIONS = {"en": "en_GB"}
"""Where the CLDR gives the bare language another region's spelling of days (en is American)."""


def marked(message: str) -> str:
    """Marks a text for the catalogues that is translated later, by key."""
    return message


class Phrase(str):
    """An English sentence that knows of which text of the catalogues it was made, so that a page
    can say it in another language. `facts` fill the places of the text (`%(name)s`); one that is
    a phrase, too, is said in that language as well. `plural`: the text for any number but one,
    where a fact `num` counts.
    """

    text: str
    plural: str
    facts: dict[str, object]

    def __new__(cls, text: str, plural: str = "", /, **facts: object) -> Phrase:
        chosen = plural if plural and facts["num"] != 1 else text
        phrase = super().__new__(cls, chosen % facts if facts else chosen)
        phrase.text, phrase.plural, phrase.facts = text, plural, facts
        return phrase


def counted(single: str, plural: str, num: int, **facts: object) -> Phrase:
    """A phrase that counts; both texts are marked for the catalogues."""
    return Phrase(single, plural, num=num, **facts)


class Instant(str):
    """A moment within a phrase, which a page tells on its reader's clock."""

    at: datetime

    def __new__(cls, text: str, at: datetime) -> Instant:
        instant = super().__new__(cls, text)
        instant.at = at
        return instant


class Quote(str):
    """Words of others within a phrase: they stand as they are, in every language."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All texts of one language. A text that is missing falls back to its English key."""

    language: str
    locale: Locale
    texts: gettext.NullTranslations

    def gettext(self, message: str) -> str:
        return self.texts.gettext(message)

    def pgettext(self, context: str, message: str) -> str:
        return self.texts.pgettext(context, message)

    def ngettext(self, singular: str, plural: str, count: int) -> str:
        return self.texts.ngettext(singular, plural, count)

    def day(self, moment: date) -> str:
        """Weekday, day, month and year: "tirsdag 1. desember 2026"."""
        return dates.format_date(
            moment, self.pgettext("CLDR pattern", "EEEE, d MMMM y"), locale=self.locale
        )

    def short_day(self, moment: date) -> str:
        """For subjects and lists: "1. des. 2026"."""
        return dates.format_date(
            moment, self.pgettext("CLDR pattern", "d MMM y"), locale=self.locale
        )

    def clock(self, moment: datetime) -> str:
        """The hour of an aware instant, in the zone it carries: "09.00"."""
        pattern = self.pgettext("CLDR pattern", "HH:mm")
        return dates.format_time(moment, pattern, tzinfo=moment.tzinfo, locale=self.locale)

    def weekday(self, index: int) -> str:
        """0 is Monday. By itself: where a sentence bends it, the catalogue does."""
        return str(dates.get_day_names("wide", context="stand-alone", locale=self.locale)[index])

    def listed(self, names: list[str]) -> str:
        """ "A, B and C"."""
        return lists.format_list(names, locale=self.locale)


@lru_cache(maxsize=1)
def available() -> tuple[str, ...]:
    """Languages with a catalogue, sorted."""
    return tuple(sorted(folder.name for folder in FOLDER.iterdir() if any(folder.glob("*.po"))))


def find(name: str) -> str:
    """The language with a catalogue that a name ("nb-NO", "no", "de_AT") means, "" for none."""
    bare = name.replace("_", "-").split("-")[0].strip().lower()
    language = ALIASES.get(bare, bare)
    return language if language in available() else ""


def choose(languages: Iterable[str]) -> str:
    """The first of `wanted` that has a catalogue, otherwise English."""
    return next(filter(None, map(find, languages)), FALLBACK)


def catalogue(language: str) -> Catalogue:
    """The catalogue for a language in any spelling; `choose` decides which one that is."""
    return _load(choose((language,)))


@lru_cache(maxsize=64)
def _load(language: str) -> Catalogue:
    texts: gettext.NullTranslations | None = None
    for file in sorted((FOLDER / language).glob("*.po")):
        with file.open("rb") as source:
            catalog = pofile.read_po(source, locale=language, abort_invalid=True)
        compiled = io.BytesIO()
        mofile.write_mo(compiled, catalog)
        compiled.seek(0)
        more = gettext.GNUTranslations(compiled)
        if texts is None:
            texts = more
        else:
            texts.add_fallback(more)
    return Catalogue(
        language, Locale.parse(REGIONS.get(language, language)), texts or gettext.NullTranslations()
    )
