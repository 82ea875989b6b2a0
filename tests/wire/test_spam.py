"""No letter looks like spam, signed or not: SpamAssassin, offline, in one run over an mbox (quality
of itip.md §2's letters).

Every change to every kind of follow-up in Norwegian and English, two letters in each other
language, and what is passed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway import i18n
from gateway.model import Letter, Method, Reply
from gateway.writing import news, render
from tests.core import signing, specimens
from tests.rig import spamassassin

pytestmark = pytest.mark.real

SPAM = b"""From: "WINNER" <promo1234@crm.example>
To: ola@ext.example
Date: Fri, 20 Nov 2026 04:15:00 +0000
Subject: YOU HAVE WON!!! CLAIM $1,000,000 NOW
MIME-Version: 1.0
Content-Type: text/html

<html><body><font size=7 color=#ffffff>DEAR FRIEND, CLICK HERE to claim your MILLION DOLLARS. 100% FREE, act now! Viagra</font></body></html>
"""


def letters() -> Iterator[Letter]:
    for change in specimens.CHANGES:
        yield from specimens.sample(change)
    for language in sorted({*i18n.available()} - {*specimens.LANGUAGES}):
        for kind, change in (("series-with-dates", "moved"), ("rich", "cancelled")):
            yield replace(specimens.changed(kind, change), language=language)
    yield specimens.delegated()
    yield specimens.passed_on()
    for reply in (Reply.NEEDS_ACTION, Reply.ACCEPTED):
        yield specimens.words("Jeg blir nok litt sen, men kommer.\n\nHilsen Ola", reply=reply)


def test_no_letter_looks_like_spam() -> None:
    chosen = list(letters())
    signer = signing.signer("rsa")
    *ours, spam = spamassassin.verdicts(
        [
            *(
                render.render(
                    one,
                    specimens.MAIL,
                    specimens.SECRET,
                    signer=signer if number // 2 % 2 else None,
                )
                for number, one in enumerate(chosen)
            ),
            SPAM,
        ]
    )
    assert spam.score >= 5, f"who lets this pass is no judge: {spam}"
    told = {(news.of(one), one.language) for one in chosen if one.method is not Method.NONE}
    assert told >= {
        (change, language) for change in news.Change for language in specimens.LANGUAGES
    }
    assert {language for _, language in told} == {*i18n.available()}
    assert {
        (one.edition.title, found.score, found.rules)
        for one, found in zip(chosen, ours, strict=True)
        if found.score >= 1
    } == set()
