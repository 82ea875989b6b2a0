"""The whole decision in one place: what makes an answer a repeat, who waits, and what is left to be
told of a message that was not read. What single mails mean is in the corpus.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.answer import classify, facts, judge
from gateway.model import (
    Edition,
    Kind,
    Outcome,
    PartyCrasher,
    Policy,
    Recurrence,
    Reply,
    Standing,
)
from gateway.status import Status
from tests.corpus import playing

NOW = datetime(2040, 5, 1, 8, tzinfo=UTC)
START = datetime(2040, 5, 9, 7, tzinfo=UTC)
UID, TOKEN = "own-1@crm.example", "k7f2q3mz"
HERE = judge.Installation(classify.Ours(("invites@crm.example",)), Policy(), b"secret")
EDITION = Edition(UID, Kind.MEETING, "t", START, START + timedelta(hours=1), "Europe/Oslo", "Kari")
OLA = facts.Row(
    1,
    "m1",
    UID,
    "ola@ext.example",
    EDITION,
    known=frozenset({"ola@ext.example"}),
    tokens=frozenset({TOKEN}),
    sent=EDITION,
    key="ola@ext.example",
)


def mail(method: str = "REPLY", partstat: str = "ACCEPTED", stamp: str = "20400430T080000Z") -> str:
    return (
        f"From: ola@ext.example\r\nTo: invites+{TOKEN}@crm.example\r\nMessage-ID: <a@ext.example>"
        "\r\nContent-Type: text/calendar\r\n\r\n"
        f"BEGIN:VCALENDAR\r\nMETHOD:{method}\r\nBEGIN:VEVENT\r\nUID:{UID}\r\nDTSTAMP:{stamp}\r\n"
        f"ATTENDEE;PARTSTAT={partstat}:mailto:ola@ext.example\r\nSEQUENCE:0\r\nEND:VEVENT\r\n"
        "END:VCALENDAR\r\n"
    )


def read(raw: str = mail()) -> judge.Reading:
    return judge.read(raw.encode(), NOW, HERE)


def judged(
    reading: judge.Reading, *traces: facts.Trace, copies: tuple[facts.Copy, ...] = ()
) -> judge.Judgement:
    found = replace(playing.look_up((OLA,), reading.asked), traces=traces, copies=copies)
    return judge.judge(reading, found, HERE)


def trace(reading: judge.Reading, age: timedelta = timedelta(hours=1)) -> facts.Trace:
    """What this very message would have left behind so long ago."""
    asked = reading.asked
    return facts.Trace(7, OLA.participant, None, asked.message_id, asked.object, NOW - age)


def test_an_answer_says_how_its_row_stands_afterwards() -> None:
    [told] = judged(read()).consequences
    assert (told.participant, told.before, told.after, told.code) == (
        "ola@ext.example",
        "invitation",
        "not_started",
        Status.NOT_STARTED,
    )
    assert told.standing is not None
    assert told.standing.reply is Reply.ACCEPTED


def test_before_its_first_answer_a_date_stands_as_the_series_does() -> None:
    """What the journal tells: it was declined with the series, and is accepted by itself."""
    series = replace(EDITION, recurrence=Recurrence("FREQ=WEEKLY;COUNT=5"))
    declined = Standing(Reply.DECLINED, sequence=0, dtstamp=NOW - timedelta(days=3))
    row = replace(OLA, current=series, sent=series, standing=declined)
    reading = read(mail().replace("SEQUENCE:0", "SEQUENCE:0\r\nRECURRENCE-ID:20400516T070000Z"))
    [told] = judge.judge(reading, playing.look_up((row,), reading.asked), HERE).consequences
    assert told.answer.date == START + timedelta(weeks=1)
    assert (told.before, told.after) == ("declined", "not_started")


def test_nothing_is_done_to_a_row_that_is_gone() -> None:
    reading = read()
    found = playing.look_up((replace(OLA, key=None),), reading.asked)
    [told] = judge.judge(reading, found, HERE).consequences
    assert (told.participant, told.standing) == (None, None)


def test_the_same_message_id_and_object_are_a_repeat() -> None:
    reading = read()
    judgement = judged(reading, trace(reading))
    assert judgement.outcome is Outcome.DUPLICATE
    assert [one.name for one in judgement.rules][-1] == "repeat"
    assert "Message-ID" in judgement.reason
    assert judgement.consequences[0].standing is None


def test_a_message_id_that_another_object_used_makes_no_repeat() -> None:
    reading = read()
    assert judged(reading, replace(trace(reading), object="x")).outcome is Outcome.APPLIED


def test_the_effect_on_another_row_makes_no_repeat() -> None:
    reading = read()
    assert judged(reading, replace(trace(reading), participant=2)).outcome is Outcome.APPLIED


def test_the_same_object_in_another_mail_counts_where_it_changes_something() -> None:
    """Accept, decline, accept: where DTSTAMP tells nothing, the third has the first one's object."""
    reading = read()
    assert judged(reading, replace(trace(reading), message_id="b")).outcome is Outcome.APPLIED
    asking = read(mail("REFRESH"))
    assert judged(asking, replace(trace(asking), message_id="b")).outcome is Outcome.DUPLICATE


@pytest.mark.parametrize(("hours", "outcome"), [(23, "duplicate"), (25, "refreshed")])
def test_a_request_is_repeated_only_soon_after_it(hours: int, outcome: str) -> None:
    asking, age = read(mail("REFRESH")), timedelta(hours=hours)
    assert judged(asking, trace(asking, age)).outcome == outcome
    copies = (facts.Copy(Outcome.REFRESHED, NOW - age),)
    assert judged(asking, copies=copies).outcome == outcome


def test_the_same_bytes_are_a_duplicate_however_old() -> None:
    copies = (facts.Copy(Outcome.APPLIED, NOW - timedelta(days=900)),)
    judgement = judged(read(), copies=copies)
    assert (judgement.outcome, judgement.consequences) == (Outcome.DUPLICATE, ())


def test_a_message_judged_anew_repeats_only_what_it_did_itself() -> None:
    anew = replace(read(), number=7)
    assert judged(anew, trace(anew)).reason.startswith("the same message")
    elsewhere = replace(trace(anew), instance=START)
    assert judged(anew, elsewhere).outcome is Outcome.APPLIED, "another date of the row"


def test_what_was_not_read_has_its_reason() -> None:
    judgement = judged(judge.unread(NOW, "9 bytes", Outcome.TOO_LARGE))
    assert (judgement.outcome, judgement.reason) == (Outcome.TOO_LARGE, "9 bytes")
    assert [one.name for one in judgement.rules] == ["too_large"]
    assert judge.waits(judgement, HERE.policy)


@pytest.mark.parametrize(
    ("policy", "waits"), [(PartyCrasher.ASK, True), (PartyCrasher.REFUSE, False)]
)
def test_nobody_is_asked_about_whom_policy_refuses(policy: PartyCrasher, waits: bool) -> None:
    judgement = judge.Judgement(Outcome.PARTY_CRASHER, "not invited")
    assert judge.waits(judgement, Policy(party_crasher=policy)) is waits
