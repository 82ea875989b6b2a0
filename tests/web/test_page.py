"""The page's words and pictures, and that nothing from a mail can become markup."""

from datetime import UTC, date, datetime
from html.parser import HTMLParser

import pytest

from gateway.model import Delivery, Kind, Reply, Role
from gateway.status import Status
from gateway.web import page


def row(code: int, reply: Reply = Reply.NEEDS_ACTION, **facts: object) -> page.Participant:
    given = {
        "key": "ola",
        "name": "Ola Hansen",
        "address": "ola@ext.example",
        "role": Role.INVITED,
        "email_invite": True,
    }
    return page.Participant(**given | {"code": code, "reply": reply} | facts)


def card(*participants: page.Participant, **facts: object) -> page.FollowUp:
    given = {
        "key": "m1",
        "title": "Kick-off",
        "kind": Kind.MEETING,
        "owner": "Kari Nordmann",
        "start": datetime(2026, 12, 1, 8, tzinfo=UTC),
        "end": datetime(2026, 12, 1, 9, tzinfo=UTC),
        "timezone": "Europe/Oslo",
    }
    return page.FollowUp(**given | facts, participants=participants)


@pytest.mark.parametrize(
    ("participant", "picture", "words"),
    [
        (row(1, Reply.ACCEPTED), "tick", "Accepted"),
        (row(1, role=Role.OWNER), "tick", "Owner"),
        (row(1, role=Role.RESOURCE), "tick", "Booked"),
        (row(5), "none", "Not answered"),
        (row(5, email_invite=False), "none", "Not invited by e-mail"),
        (row(6), "none", "Moved, asked again"),
        (row(7), "eye", "Seen"),
        (row(7, Reply.TENTATIVE), "eye", "Maybe"),
        (row(8, Reply.TENTATIVE), "eye", "Moved, maybe"),
        (row(9, Reply.DECLINED), "cross", "Declined"),
        (row(9, Reply.DELEGATED), "cross", "Delegated"),
        (row(10), "struck", "Cancelled"),
        (row(13, Reply.DECLINED, role=Role.ASSIGNED), "cross", "Assignment declined"),
    ],
)
def test_pictures_and_their_words(participant, picture, words):
    assert (page.icon(participant), page.words(participant)) == (picture, words)


def test_every_status_has_words():
    assert set(page.WORDS) == set(Status)


def test_the_letter_is_mentioned_until_an_answer_shows_that_it_arrived():
    assert page.delivery(row(5, delivery=Delivery.SENT)) == "letter sent"
    assert page.delivery(row(1, Reply.ACCEPTED, delivery=Delivery.SENT)) == ""
    assert page.delivery(row(1, Reply.ACCEPTED, delivery=Delivery.QUEUED)) == "letter waiting"
    assert (
        page.delivery(row(9, Reply.DECLINED, delivery=Delivery.UNDELIVERABLE))
        == "cannot be reached"
    )
    assert page.delivery(row(5)) == ""


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "Tue 1 Dec 2026, 09:00–10:00, Europe/Oslo"),
        (
            {"end": datetime(2026, 12, 2, 9, tzinfo=UTC)},
            "Tue 1 Dec 2026, 09:00 – Wed 2 Dec 2026, 10:00, Europe/Oslo",
        ),
        ({"timezone": "No/Where"}, "Tue 1 Dec 2026, 08:00–09:00, UTC"),
        ({"start": date(2026, 12, 24), "end": date(2026, 12, 25)}, "Thu 24 Dec 2026"),
        (
            {"start": date(2026, 12, 24), "end": date(2026, 12, 27)},
            "Thu 24 Dec 2026 – Sat 26 Dec 2026",
        ),
        ({"start": None, "end": None, "deadline": date(2026, 12, 4)}, "by Fri 4 Dec 2026"),
        ({"start": None, "end": None}, "no time"),
    ],
)
def test_when(facts, text):
    assert page.when(card(**facts)) == text


def test_totals_count_those_who_are_asked():
    counted = page.totals(
        [
            card(
                row(1, role=Role.OWNER),
                row(1, role=Role.RESOURCE),
                row(1, Reply.ACCEPTED),
                row(9, Reply.DECLINED),
                row(9, Reply.DELEGATED),
                row(8, Reply.TENTATIVE),
                row(5),
                row(6),
                row(10, Reply.ACCEPTED),
            )
        ]
    )
    assert counted == {"accepted": 1, "declined": 2, "maybe": 1, "waiting": 2}


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def elements(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Elements()
    parser.feed(html)
    return parser.found


HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'"


def test_what_strangers_write_stays_text():
    harmless = card(
        row(9, Reply.DECLINED, name="n", address="a", comment="c", key="k"),
        title="t",
        location="l",
        owner="o",
    )
    hostile = card(
        row(
            9,
            Reply.DECLINED,
            name=HOSTILE,
            address=HOSTILE,
            comment=HOSTILE,
            key=HOSTILE,
            note=HOSTILE,
        ),
        title=HOSTILE,
        location=HOSTILE,
        owner=HOSTILE,
        key=HOSTILE,
        timezone=HOSTILE,
    )
    expected = [tag for tag, _ in elements(page.whole([harmless], 7))]
    got = elements(page.whole([hostile], 7))
    assert [tag for tag, _ in got if tag != "span"] == [tag for tag in expected if tag != "span"]
    assert not [name for _, attributes in got for name in attributes if name.startswith("on")]


def test_the_page_obeys_its_own_content_security_policy():
    found = elements(page.whole([card(row(1, Reply.ACCEPTED))], 7))
    assert not [tag for tag, attributes in found if tag == "style" or "style" in attributes]
    assert [attributes["src"] for tag, attributes in found if tag == "script"] == [
        "/static/page.js"
    ]
    assert ("body", {"data-newest": "7"}) in found
