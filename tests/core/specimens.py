"""Letters to test with: every kind of follow-up, every change,
in two languages and several pairs of zones.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gateway.followups import editions
from gateway.ical import ics
from gateway.model import (
    DateChange,
    Edition,
    Guest,
    Kind,
    Letter,
    Method,
    Occasion,
    Recurrence,
    Remarks,
    Reply,
)
from gateway.sections import Mail
from gateway.writing import news, wording

SECRET = b"a site secret"
MAIL = Mail(address="invites@crm.example", name="Firma AS")
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)
START = datetime(2026, 12, 1, 8, tzinfo=UTC)
SECOND, THIRD = START + WEEK, START + 2 * WEEK
LANGUAGES = ("nb", "en")
ZONES = (
    ("Europe/Oslo", "Europe/Oslo"),
    ("Europe/Oslo", "America/New_York"),
    ("UTC", "Asia/Kolkata"),
    ("Africa/Casablanca", "Europe/Oslo"),
    ("Asia/Tokyo", "Asia/Tokyo"),
    ("America/Santiago", "Australia/Lord_Howe"),
)
"""The owner's zone and the invitee's."""
EVERY_ZONE = os.environ.get("ZONES") == "all"

SINGLE = Edition(
    uid="7f3c2a91@crm.example",
    kind=Kind.MEETING,
    title="Kick-off",
    start=START,
    end=START + HOUR,
    timezone="Europe/Oslo",
    organizer="Nordmann, Kari",
)
SERIES = replace(SINGLE, title="Ukesmøte", recurrence=Recurrence("FREQ=WEEKLY;COUNT=6;BYDAY=TU"))
WITH_DATES = replace(
    SERIES,
    recurrence=Recurrence("FREQ=WEEKLY;UNTIL=20270301", exdates=(START + 4 * WEEK,)),
    dates=(
        DateChange(SECOND, SECOND + 2 * HOUR, SECOND + 3 * HOUR),
        DateChange(THIRD, cancelled=True, cancel_reason="Julebord"),
    ),
    sequence=1,
    date_sequences=((SECOND, 2, 2), (THIRD, 3, 3)),
)
LISTED = replace(
    SINGLE,
    guest_list_public=True,
    guests=(
        Guest("Ola Hansen", "ola@ext.example", Reply.ACCEPTED),
        Guest('Bø; "Per", jr.', "per@other.example", Reply.TENTATIVE),
        Guest("Fjord", ""),
    ),
)
RICH = replace(
    SINGLE,
    title='Økonomi, mål; og "tall" <b>&amp;</b>\\n – Ærlig talt 🎉 ' * 3,
    location="Møterom Blåbær, 2. etg.",
    agenda="1. Status\r\n2. Økonomi; tall, \\ mål\n\n"
    + "en ganske lang linje som må brettes – åøæ € 漢字 " * 40,
    video_url="https://meet.example/j/123?pwd=a,b;c&x=1",
)
KINDS: dict[str, Edition] = {
    "meeting": SINGLE,
    "rich": RICH,
    "listed": LISTED,
    "all-day": replace(SINGLE, start=date(2026, 12, 1), end=date(2026, 12, 4), all_day=True),
    "no-end": replace(SINGLE, end=None),
    "over-midnight": replace(SINGLE, end=START + timedelta(hours=40)),
    "task": replace(
        SINGLE, kind=Kind.TASK, title="Lag tilbud", start=None, end=None, deadline=date(2026, 12, 1)
    ),
    "planned-call": replace(
        SINGLE, kind=Kind.CALL, title="Ring Acme", start=None, end=None, deadline=date(2026, 12, 1)
    ),
    "call": replace(SINGLE, kind=Kind.CALL, end=START + timedelta(minutes=15)),
    "series": SERIES,
    "endless": replace(SERIES, recurrence=Recurrence("FREQ=WEEKLY;INTERVAL=2")),
    "all-day-series": replace(
        SERIES,
        start=date(2026, 12, 1),
        end=date(2026, 12, 2),
        all_day=True,
        recurrence=Recurrence("FREQ=DAILY;UNTIL=20261224", exdates=(date(2026, 12, 6),)),
    ),
    "dates": replace(SERIES, recurrence=Recurrence("", rdates=(START, SECOND + HOUR, THIRD))),
    "series-with-dates": WITH_DATES,
    "one-date": WITH_DATES,
    "one-date-only": editions.seen(WITH_DATES, SECOND),
    "answer-by": replace(SINGLE, answer_by=START - timedelta(days=4)),
}
CHANGES = (
    "invitation",
    "reinstated",
    "moved",
    "updated",
    "cancelled",
    "withdrawn",
    "asked_again",
    "stands",
    "reminder",
    "proposal_declined",
)
REASONS = {
    "one-date": "Foredragsholderen er syk.",
    "answer-by": "Vi fikk ikke nok svar i tide; ny innkalling kommer på nyåret.",
    "rich": 'Først <b>dette</b>,\r\n så \x1b[31m; & "det" – ' + "og mer til " * 60,
}
"""Why the follow-ups of some kinds are cancelled."""


def letter(edition: Edition = SINGLE, **facts: Any) -> Letter:
    """A first invitation to Ola, unless said otherwise."""
    usual = Letter(
        method=Method.REQUEST,
        edition=edition,
        before=None,
        sequence=edition.sequence,
        dtstamp=datetime(2026, 11, 20, 4, 15, tzinfo=UTC),
        message_id="k5v7q2@crm.example",
        account="default",
        address="ola@ext.example",
        address_name="Hansen, Ola",
        organizer_address="invites+abcdefgh234567@crm.example",
        bounce_address="invites+b_abcdefgh234567@crm.example",
        language="nb",
        timezone="Europe/Oslo",
        token="abcdefgh234567",
    )
    return replace(usual, **facts)


def changed(kind: str, change: str) -> Letter:
    """The letter of a kind that tells this change."""
    now = KINDS[kind]
    base = letter(now, instance=SECOND if kind == "one-date" else None)
    sequence = editions.counter(now) + 1
    if change == "invitation":
        return base
    if change in ("asked_again", "reminder"):
        return replace(
            base,
            before=now,
            remarks=Remarks(Occasion.OLD_ANSWER if change == "asked_again" else Occasion.REMINDER),
        )
    if change == "proposal_declined":
        asked = (
            Remarks(start=date(2026, 12, 9))
            if now.all_day or now.start is None
            else Remarks(start=SECOND + HOUR, end=SECOND + 2 * HOUR)
        )
        return replace(base, method=Method.DECLINECOUNTER, reply=Reply.TENTATIVE, remarks=asked)
    if change in ("cancelled", "withdrawn"):
        gone = replace(
            now,
            cancelled=change == "cancelled",
            sequence=sequence,
            cancel_reason=REASONS.get(kind, ""),
        )
        if base.instance is not None:
            gone = replace(
                gone,
                dates=(
                    DateChange(base.instance, cancelled=True, cancel_reason=gone.cancel_reason),
                    *now.dates[1:],
                ),
            )
        return replace(
            base,
            method=Method.CANCEL,
            before=now,
            edition=gone,
            sequence=sequence,
            withdrawn=change == "withdrawn",
        )
    before = {
        "reinstated": replace(now, cancelled=True),
        "stands": now,
        "moved": replace(now, location="Bølgen", timezone="Europe/London"),
        "updated": replace(
            now, title="Oppstart", agenda="Kaffe", video_url="https://meet.example/gammel"
        ),
    }[change]
    raised = sequence if change != "updated" else now.sequence
    reply = Reply.ACCEPTED if change == "updated" else Reply.NEEDS_ACTION
    dates = tuple((original, raised, raised) for original, _, _ in now.date_sequences)
    return replace(
        base,
        before=before,
        sequence=raised,
        reply=reply,
        edition=replace(now, sequence=raised, significant=raised, date_sequences=dates)
        if change != "updated"
        else now,
    )


def heading(one: Letter) -> str:
    """The word of the subject, in the key's English."""
    what = news.of(one)
    of_tasks = {news.Change.MOVED: "Updated", news.Change.CANCELLED: "Task withdrawn"}
    usual = wording.TITLES[what]
    return of_tasks.get(what, usual) if ics.facts(one).kind is Kind.TASK else usual


def delegated(edition: Edition = SINGLE) -> Letter:
    """To Eva, on whom Ola has passed his invitation (RFC 5546 §3.2.2.3)."""
    return letter(
        edition,
        address="eva@other.example",
        address_name="Lund, Eva",
        remarks=Remarks(delegated_from=Guest("Hansen, Ola", "ola@ext.example", Reply.DELEGATED)),
    )


def passed_on(edition: Edition = LISTED) -> Letter:
    """An update to Ola, who has passed his invitation on."""
    return letter(
        edition,
        before=replace(edition, title="Oppstart"),
        reply=Reply.DELEGATED,
        remarks=Remarks(delegated_to=Guest("Lund, Eva", "eva@other.example", Reply.ACCEPTED)),
    )


def words(said: str, **facts: Any) -> Letter:
    """What Ola wrote, passed on to Kari, who owns the follow-up."""
    usual = Remarks(
        words=said, writer=Guest("Hansen, Ola", "ola@ext.example"), reply_to="ola@ext.example"
    )
    passed_on: dict[str, Any] = {
        "method": Method.NONE,
        "address": "kari@crm.example",
        "address_name": "Kari Nordmann",
        "bounce_address": MAIL.address,
        "remarks": usual,
    }
    return letter(**passed_on | facts)


def matrix(kind: str, change: str) -> Iterator[Letter]:
    """One letter per language. Pairs of zones take turns, so that each meets every kind, every
    change and both languages.

    With ZONES=all in the environment there is one per language and pair of zones, six times as
    many.
    """
    turn = [*KINDS].index(kind) + CHANGES.index(change)
    for number, language in enumerate(LANGUAGES):
        first = turn + number * len(ZONES) // len(LANGUAGES)
        for owners, invitees in ZONES if EVERY_ZONE else [ZONES[first % len(ZONES)]]:
            one = changed(kind, change)
            before = (
                one.before
                if one.before is None or change == "moved"
                else replace(one.before, timezone=owners)
            )
            yield replace(
                one,
                language=language,
                timezone=invitees,
                before=before,
                edition=replace(one.edition, timezone=owners),
            )


def sample(change: str) -> Iterator[Letter]:
    """This change to every kind of follow-up."""
    for kind in KINDS:
        yield from matrix(kind, change)
