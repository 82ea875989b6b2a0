"""Every language that letters are written in: days, hours, rules and plurals as its people write
them, and whole letters.

That no catalogue misses a text is tests/core/test_letters.py's; what the letters carry besides
words, too.
"""

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from email.message import EmailMessage

import pytest
from babel import Locale
from babel.messages import pofile
from babel.messages.catalog import Catalog

from gateway import i18n
from gateway.ical import preflight
from gateway.model import Letter, Method, Recurrence, Reply
from gateway.writing import render, repeats, wording
from tests.core import specimens
from tests.core.specimens import MAIL, SECRET, letter

ALL = i18n.available()
BORROWED = {
    "da": {"Invitation"},
    "de": {"Agenda"},
    "nb": {"Agenda"},
    "nl": {"Agenda"},
    "sv": {"Agenda"},
    "fi": set[str](),
}
"""Words that are the same in English."""


def catalog(language: str) -> Catalog:
    with (i18n.FOLDER / language / "letters.po").open("rb") as stream:
        return pofile.read_po(stream, locale=language, abort_invalid=True)


def teller(language: str) -> wording.Teller:
    return wording.Teller(letter(language=language), i18n.catalogue(language), MAIL.name)


def test_the_languages_that_readers_may_have() -> None:
    assert ALL == ("da", "de", "en", "fi", "nb", "nl", "sv")
    assert [
        i18n.choose((name,)) for name in ("de-AT", "de_CH", "nl-BE", "sv-FI", "fi_FI", "da-DK")
    ] == ["de", "de", "nl", "sv", "fi", "da"]


@pytest.mark.parametrize("language", ALL)
def test_plurals_are_those_of_the_language(language: str) -> None:
    """The CLDR's plural rule decides which form a number takes;
    gettext's formula must agree with it.
    """
    texts, rule = i18n.catalogue(language), Locale.parse(language).plural_form
    forms = {
        message.id: tuple(message.string or ())
        for message in catalog(language)
        if isinstance(message.id, tuple)
    }
    assert len(forms) == 7
    for (one, many), told in forms.items():
        assert len(told) == 2
        for count in range(1, 130):
            assert texts.ngettext(one, many, count) == told[0 if rule(count) == "one" else 1]


@pytest.mark.parametrize("language", sorted(BORROWED))
def test_nothing_is_left_in_english(language: str) -> None:
    same = {
        message.id
        for message in catalog(language)
        if isinstance(message.id, str)
        and message.string == message.id
        and not message.context
        and re.search(r"[a-z]{3}", re.sub(r"%\(\w+\)s", "", message.id))
    }
    assert same - {"%(owner)s via %(organisation)s"} == BORROWED[language]


@pytest.mark.parametrize(
    ("language", "single", "days", "short"),
    [
        (
            "sv",
            "tisdag 1 december 2026 kl. 09:00–10:00 (Oslo, UTC+1)",
            "tisdag 1 december 2026 – torsdag 3 december 2026",
            "1 dec. 2026 kl. 09:00",
        ),
        (
            "da",
            "tirsdag den 1. december 2026 kl. 09.00–10.00 (Oslo, UTC+1)",
            "tirsdag den 1. december 2026 – torsdag den 3. december 2026",
            "1. dec. 2026 kl. 09.00",
        ),
        (
            "de",
            "Dienstag, 1. Dezember 2026, 09:00–10:00 Uhr (Oslo, UTC+1)",
            "Dienstag, 1. Dezember 2026 – Donnerstag, 3. Dezember 2026",
            "01.12.2026, 09:00 Uhr",
        ),
        (
            "nl",
            "dinsdag 1 december 2026, 09:00–10:00 uur (Oslo, UTC+1)",
            "dinsdag 1 december 2026 – donderdag 3 december 2026",
            "1 dec 2026, 09:00 uur",
        ),
        (
            "fi",
            "tiistai 1. joulukuuta 2026 klo 9.00–10.00 (Oslo, UTC+1)",
            "tiistai 1. joulukuuta 2026 – torstai 3. joulukuuta 2026",
            "1.12.2026 klo 9.00",
        ),
    ],
)
def test_times_as_people_write_them(language: str, single: str, days: str, short: str) -> None:
    told = teller(language)
    assert told.when(specimens.SINGLE, None) == (single,)
    assert told.when(specimens.KINDS["all-day"], None) == (days,)
    assert told.short() == short


@pytest.mark.parametrize(
    ("language", "pattern"),
    [
        ("da", r"[a-zø]+dag den \d{1,2}\. [a-z]+ 2026"),
        ("de", r"[A-Z][a-z]+(tag|woch), \d{1,2}\. [A-Z][a-zä]+ 2026"),
        ("en", r"[A-Z][a-z]+day, \d{1,2} [A-Z][a-z]+ 2026"),
        ("fi", r"[a-z]+(tai|viikko) \d{1,2}\. [a-zä]+kuuta 2026"),
        ("nl", r"[a-z]+dag \d{1,2} [a-z]+ 2026"),
        ("sv", r"[a-zåö]+dag \d{1,2} [a-z]+ 2026"),
    ],
)
def test_a_whole_year_of_days_reads_well(language: str, pattern: str) -> None:
    words = i18n.catalogue(language)
    for n in range(365):
        assert re.fullmatch(pattern, words.day(date(2026, 1, 1) + timedelta(days=n)))


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        (
            "sv",
            (
                "varje dag",
                "med 3 dagars intervall, 1 gång",
                "varje vardag",
                "varannan vecka på tisdagar och torsdagar, 5 gånger",
                "varje månad den andra tisdagen",
                "varje månad den sista fredagen",
                "varje månad den 15",
                "varje år, till och med 1 dec. 2030",
                "en serie datum",
            ),
        ),
        (
            "da",
            (
                "hver dag",
                "hver 3. dag, 1 gang",
                "alle hverdage",
                "hver anden uge på tirsdage og torsdage, 5 gange",
                "hver måned den anden tirsdag",
                "hver måned den sidste fredag",
                "hver måned den 15.",
                "hvert år, til og med 1. dec. 2030",
                "en række datoer",
            ),
        ),
        (
            "de",
            (
                "jeden Tag",
                "alle 3 Tage, 1 Mal",
                "montags bis freitags",
                "alle zwei Wochen am Dienstag und Donnerstag, 5 Mal",
                "jeden Monat am zweiten Dienstag",
                "jeden Monat am letzten Freitag",
                "jeden Monat am 15.",
                "jedes Jahr, bis 01.12.2030",
                "eine Reihe von Terminen",
            ),
        ),
        (
            "nl",
            (
                "elke dag",
                "elke 3 dagen, 1 keer",
                "elke werkdag",
                "om de week op dinsdag en donderdag, 5 keer",
                "elke maand op de tweede dinsdag",
                "elke maand op de laatste vrijdag",
                "elke maand op de 15e",
                "elk jaar, tot en met 1 dec 2030",
                "een reeks data",
            ),
        ),
        (
            "fi",
            (
                "joka päivä",
                "3 päivän välein, 1 kerran",
                "joka arkipäivä",
                "joka toinen viikko tiistaina ja torstaina, 5 kertaa",
                "joka kuukausi toisena tiistaina",
                "joka kuukausi viimeisenä perjantaina",
                "joka kuukausi 15. päivänä",
                "joka vuosi, 1.12.2030 asti",
                "useita ajankohtia",
            ),
        ),
    ],
)
def test_rules_in_words(language: str, expected: tuple[str, ...]) -> None:
    rules = (
        "FREQ=DAILY",
        "FREQ=DAILY;INTERVAL=3;COUNT=1",
        "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH;COUNT=5",
        "FREQ=MONTHLY;BYDAY=2TU",
        "FREQ=MONTHLY;BYDAY=FR;BYSETPOS=-1",
        "FREQ=MONTHLY;BYMONTHDAY=15",
        "FREQ=YEARLY;UNTIL=20301201",
        "FREQ=HOURLY",
    )
    words = i18n.catalogue(language)
    assert (
        tuple(
            repeats.said(replace(specimens.SINGLE, recurrence=Recurrence(rule)), words)
            for rule in rules
        )
        == expected
    )


def sample(language: str) -> Iterator[Letter]:
    """Every change, each to two kinds of follow-up in their turn and each pair
    of zones in its turn.
    """
    kinds = list(specimens.KINDS)
    for number, change in enumerate(specimens.CHANGES):
        for turn in (2 * number, 2 * number + 1):
            zone = specimens.ZONES[turn % len(specimens.ZONES)][1]
            yield replace(
                specimens.changed(kinds[turn % len(kinds)], change),
                language=language,
                timezone=zone,
            )
    yield replace(specimens.delegated(), language=language)
    yield replace(specimens.passed_on(), language=language)


@pytest.mark.parametrize("language", sorted({*ALL} - {*specimens.LANGUAGES}))
def test_letters_may_leave_in_every_language(language: str) -> None:
    words = i18n.catalogue(language)
    for one in sample(language):
        content = render.render(one, MAIL, SECRET)
        assert preflight.check(content, one, MAIL.address) == []
        assert content.isascii()
        assert max(len(line) for line in content.split(b"\r\n")) <= 78
        message = email.message_from_bytes(content, policy=email.policy.strict)
        assert isinstance(message, EmailMessage)
        assert message["Subject"].startswith(words.gettext(specimens.heading(one)) + ": ")
        assert {"Kari Nordmann", MAIL.name} <= set(
            re.split(r" via | \(|\)", message["From"].addresses[0].display_name)
        )
        for kind in ("plain", "html"):
            body = message.get_body((kind,))
            assert body is not None
            assert re.search(r"%\(|\{\{|\{%|Undefined|None\b", body.get_content()) is None
        assert body is not None
        assert f'<html lang="{language}"' in body.get_content()
        if one.method is Method.REQUEST:
            assert [
                link.label
                for link in render.answer_links(
                    wording.Teller(one, words), "invites@crm.example", "check"
                )
            ] == [words.gettext(word) for word in ("Yes", "Maybe", "No")]


@pytest.mark.parametrize("language", ALL)
def test_words_passed_on_to_an_owner_in_his_language(language: str) -> None:
    one = replace(specimens.words("Jeg kommer.", reply=Reply.ACCEPTED), language=language)
    message = email.message_from_bytes(render.render(one, MAIL, SECRET), policy=email.policy.strict)
    assert isinstance(message, EmailMessage)
    said = message.get_content()
    assert "> Jeg kommer." in said
    assert i18n.catalogue(language).gettext("yes") in said
    assert message["Subject"].startswith("Ola Hansen ")
