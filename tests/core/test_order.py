"""Any order of reading ends in the state that the rules give (itip.md §5, Order): against a
reference of its own, and through the store.

The reference below is written from the rules and imports nothing of what it judges: it looks at all
answers at once, throws out what is old or says nothing, and takes the greatest of (SEQUENCE,
DTSTAMP, arrival). ORDER_EXAMPLES=10000 makes it thorough.
"""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from gateway import status
from gateway.answer import facts, reply
from gateway.ical import read
from gateway.model import Edition, Kind, Moment, Recurrence, Reply, Standing
from gateway.store import followups
from gateway.store.engine import Store
from tests import stores
from tests.dialogues import mails, world
from tests.examples import examples

EXAMPLES = int(os.environ.get("ORDER_EXAMPLES", examples(300)))
THROUGH_THE_STORE = max(EXAMPLES // 25, 12)

START = datetime(2026, 12, 1, 8, tzinfo=UTC)
WEEK, MINUTE = timedelta(days=7), timedelta(minutes=1)
FORMER = START - timedelta(hours=3)
"""Where the series began before it was moved; its dates began there too."""
DATES: tuple[Moment | None, ...] = (None, START + WEEK, START + 2 * WEEK)
MORNING = datetime(2026, 11, 20, 9, tzinfo=UTC)
OUR_DTSTAMP = MORNING - 30 * MINUTE
WORDS = (Reply.ACCEPTED, Reply.DECLINED, Reply.TENTATIVE)


@dataclass(frozen=True)
class Answer:
    """One answer as it is sent. `number` gives it words of its own; `arrived` is no other's but its
    copies'.

    dtstamp: None where it is missing or unreadable. current: its DTSTART is the present one. link:
    pressed, not a REPLY.
    """

    number: int
    instance: Moment | None
    said: Reply
    sequence: int | None
    dtstamp: datetime | None
    arrived: datetime
    current: bool = True
    link: bool = False

    @property
    def comment(self) -> str:
        return f"answer {self.number}"


@dataclass(frozen=True)
class Asked:
    """What the invitee was last sent of one component: its SEQUENCE, and that of its last
    significant change.
    """

    top: int
    significant: int


# The reference.


def is_old(answer: Answer, asked: Asked) -> bool:
    """An answer to a SEQUENCE lower than the last significant change; a missing one is 0, unless
    its DTSTART is the current start.
    """
    return (answer.sequence or 0) < asked.significant and not (
        answer.sequence is None and answer.current and not answer.link
    )


def key(answer: Answer, asked: Asked) -> tuple[int, datetime, datetime]:
    sequence = answer.sequence
    if sequence is None:
        sequence = asked.top if asked.significant > 0 else 0
    stamp = answer.dtstamp
    if answer.link or stamp is None or stamp == OUR_DTSTAMP or stamp > answer.arrived + 10 * MINUTE:
        stamp = answer.arrived
    return min(sequence, asked.top), stamp, answer.arrived


def should_stand(answers: Sequence[Answer], asked: Asked) -> Answer | None:
    """The answer that counts in the end, whatever order they were read in."""
    counting = [
        one for one in answers if one.said is not Reply.NEEDS_ACTION and not is_old(one, asked)
    ]
    return max(counting, key=lambda one: key(one, asked), default=None)


# Sets of answers.


@st.composite
def asked_of(draw: st.DrawFn) -> Asked:
    top = draw(st.integers(0, 3))
    return Asked(top, draw(st.integers(0, top)))


def _ahead(arrived: datetime, minutes: int) -> datetime:
    return arrived + MINUTE * minutes


@st.composite
def answers_to(draw: st.DrawFn, instance: Moment | None, first: int, top: int) -> list[Answer]:
    """Two to six answers to one component, few enough values that keys meet, and copies of some."""
    count = draw(st.integers(2, 6))
    made = list[Answer]()
    for at in range(count):
        arrived = (
            MORNING + MINUTE * (2 * (first + at)) + timedelta(seconds=draw(st.integers(0, 59)))
        )
        dtstamp = draw(
            st.one_of(
                st.none(),
                st.just(OUR_DTSTAMP),
                st.integers(-3, 12).map(lambda minutes: MORNING + MINUTE * minutes),
                st.sampled_from([9, 10, 11, 60 * 24 * 400]).map(partial(_ahead, arrived)),
            )
        )
        link = draw(st.integers(0, 9)) == 0
        said = draw(st.sampled_from(WORDS if link else (*WORDS, Reply.NEEDS_ACTION)))
        sequence = draw(
            st.integers(0, top + 2) if link else st.one_of(st.none(), st.integers(0, top + 2))
        )
        made.append(
            Answer(
                first + at, instance, said, sequence, dtstamp, arrived, draw(st.booleans()), link
            )
        )
    copied = draw(st.lists(st.sampled_from(made), max_size=6 - count + 2))
    return [*made, *copied]


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[Moment | None, Asked], list[Answer]]:
    """What was asked of each component, and the answers in the order in which they are read."""
    instances = draw(st.lists(st.sampled_from(DATES), min_size=1, max_size=3, unique=True))
    series = draw(asked_of())
    asked = {
        date: draw(st.one_of(st.just(series), asked_of())) if date is not None else series
        for date in DATES
    }
    answers = [
        answer
        for at, one in enumerate(instances)
        for answer in draw(answers_to(one, 10 * at, asked[one].top))
    ]
    return asked, draw(st.permutations(answers))


# The rules as they are built.


def edition(asked: dict[Moment | None, Asked]) -> Edition:
    own = tuple(
        (date, one.top, one.significant)
        for date, one in asked.items()
        if date is not None and one != asked[None]
    )
    return Edition(
        "own-1@crm.example",
        Kind.MEETING,
        "Weekly",
        START,
        START + timedelta(hours=1),
        "Europe/Oslo",
        "Kari",
        recurrence=Recurrence("FREQ=WEEKLY;COUNT=6"),
        sequence=asked[None].top,
        significant=asked[None].significant,
        date_sequences=own,
    )


def component(answer: Answer) -> read.Component:
    start = (
        (answer.instance or START)
        if answer.current
        else (answer.instance or START) - (START - FORMER)
    )
    assert isinstance(start, datetime)
    named = when(answer.instance) if isinstance(answer.instance, datetime) else None
    return read.Component(
        "VEVENT",
        "own-1@crm.example",
        recurrence_id=named,
        recurrence_id_text="set" if named else "",
        sequence=answer.sequence,
        dtstamp=answer.dtstamp,
        dtstart=when(start),
        comments=(answer.comment,),
        attendees=(read.Attendee("ola@ext.example", answer.said.value.upper()),),
    )


def when(moment: datetime) -> read.When:
    return read.When(read.Form.UTC, moment.date(), moment.replace(tzinfo=None))


def read_all(asked: dict[Moment | None, Asked], answers: Sequence[Answer]) -> facts.Row:
    """One row after all answers, read in this order; each decision is looked at on the way."""
    sent = edition(asked)
    row = facts.Row(
        1,
        "m1",
        sent.uid,
        "ola@ext.example",
        sent,
        sent=sent,
        sent_dtstamps=frozenset([OUR_DTSTAMP]),
    )
    for answer in answers:
        about = facts.Circumstances(answer.arrived, "ola@ext.example")
        if answer.link:
            conclusion = reply.decide_direct(
                row, answer.said, answer.instance, answer.sequence or 0, about, answer.comment
            )
        else:
            conclusion = reply.decide(row, component(answer), about)
        assert conclusion.ask_again == (
            answer.said is not Reply.NEEDS_ACTION and is_old(answer, asked[answer.instance])
        ), "asked again is who answered the old time, and nobody whose answer was merely overtaken"
        if conclusion.effect is not None and conclusion.effect.reply is not None:
            after = status.apply(reply.standing_of(row, answer.instance), conclusion.effect)
            if answer.instance is None:
                row = replace(row, standing=after)
            else:
                row = replace(row, date_standings={**row.date_standings, answer.instance: after})
    return row


@given(cases())
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_any_order_ends_as_the_rules_say(
    case: tuple[dict[Moment | None, Asked], list[Answer]],
) -> None:
    asked, answers = case
    for order in (answers, answers[::-1], sorted(answers, key=lambda one: one.arrived)):
        row = read_all(asked, order)
        for instance in DATES:
            mine = [one for one in answers if one.instance == instance]
            expected = should_stand(mine, asked[instance])
            stands = (
                row.standing if instance is None else row.date_standings.get(instance, Standing())
            )
            event("answered" if expected else "unanswered")
            if expected is None:
                assert stands == Standing(), "nothing counted, so nothing changed"
                continue
            assert (stands.reply, stands.comment) == (expected.said, expected.comment)
            assert (stands.sequence, stands.dtstamp, stands.arrived) == key(
                expected, asked[instance]
            ), "the bounded key is kept"
            assert stands.seen
        assert set(row.date_standings) <= {one.instance for one in answers}, (
            "no date that nobody answered"
        )


# Through the store.


def asked_twice(store: Store) -> world.World:
    """A series that was moved once (SEQUENCE 1 asks again) and then raised once for somebody else's
    CANCEL (SEQUENCE 2 does not).
    """
    made = world.begin(store, OUR_DTSTAMP - 20 * MINUTE)
    people = [
        {"email": "ola@ext.example", "email_invite": True},
        {"email": "per@other.example", "email_invite": True},
    ]
    one = {
        "key": "m1",
        "owner": "kari",
        "title": "Weekly",
        "start": FORMER.isoformat(),
        "end": (FORMER + 60 * MINUTE).isoformat(),
        "timezone": "Europe/Oslo",
        "uid": "own-1@crm.example",
        "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=6"},
        "participants": people,
    }
    made.document["m1"] = one
    for change in (
        {},
        {"start": START.isoformat(), "end": (START + 60 * MINUTE).isoformat()},
        {"title": "Weekly talk", "participants": [people[0], people[1] | {"removed": True}]},
    ):
        made.document["m1"] = made.document["m1"] | change
        made.write()
        made.post()
        made.now += 10 * MINUTE
    made.now = MORNING
    return made


@pytest.fixture(scope="module")
def asked_world(
    lasting_store: Store, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[world.World, Path]:
    """Ola asked three times; and its store to copy, taken before any other test can write there."""
    made = asked_twice(stores.renew(lasting_store, sqlite_template))
    ola = [one for one in made.letters if one.letter.address == "ola@ext.example"]
    assert [(one.letter.edition.sequence, one.letter.edition.significant) for one in ola] == [
        (0, 0),
        (1, 1),
        (2, 1),
    ]
    assert ola[-1].letter.dtstamp == OUR_DTSTAMP
    made.store.close()
    assert made.store.path is not None
    return made, Path(shutil.copy(made.store.path, tmp_path_factory.mktemp("order")))


def mail(answer: Answer, letter: world.Sent) -> bytes:
    """The answer as a mail; a copy has the same bytes, as IMAP copies have."""
    made = mails.Mail(
        "ola@ext.example",
        "REPLY",
        answer.said.value.upper(),
        letter,
        answer.arrived,
        comment=answer.comment,
        message_id=f"<{answer.number}@ext.example>",
        sequence=answer.sequence,
        dtstamp=f"{answer.dtstamp:%Y%m%dT%H%M%SZ}" if answer.dtstamp else None,
    )
    if answer.link:
        link = letter.invitation.links[
            {Reply.ACCEPTED: "yes", Reply.DECLINED: "no", Reply.TENTATIVE: "maybe"}[answer.said]
        ]
        made = mails.Mail(
            "ola@ext.example",
            "text",
            f'"{answer.comment}"',
            letter,
            answer.arrived,
            subject=link.subject,
            message_id=made.message_id,
        )
    elif answer.instance is not None:
        made.dates.append((answer.instance, ""))
        made.start = answer.instance if answer.current else answer.instance - (START - FORMER)
    elif not answer.current:
        made.start = FORMER
    return made.build()


def linked(answer: Answer) -> Answer:
    """Links of the last letter answer the series, at its SEQUENCE."""
    return replace(answer, instance=None, sequence=2) if answer.link else answer


@given(
    answers=st.lists(st.sampled_from(DATES), min_size=1, max_size=2, unique=True)
    .flatmap(
        lambda instances: st.tuples(
            *(answers_to(one, 10 * at, 2) for at, one in enumerate(instances))
        )
    )
    .flatmap(lambda groups: st.permutations([linked(one) for group in groups for one in group]))
)
@settings(
    max_examples=THROUGH_THE_STORE,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
def test_any_order_through_mail_and_store(
    asked_world: tuple[world.World, Path], answers: list[Answer]
) -> None:
    asked_before, template = asked_world
    stage = replace(asked_before, store=stores.renew(asked_before.store, template))
    letter = [one for one in stage.letters if one.letter.address == "ola@ext.example"][-1]
    asked = Asked(2, 1)
    for answer in answers:
        stage.receive(mail(answer, letter), answer.arrived)
    with stage.store.read() as connection:
        member = next(
            one for one in followups.members(connection, "m1") if one.key == "ola@ext.example"
        )
    for instance in DATES:
        expected = should_stand([one for one in answers if one.instance == instance], asked)
        stands = member.standings.get(instance, Standing())
        if expected is None:
            assert stands.reply is Reply.NEEDS_ACTION
            assert stands.sequence is None
        else:
            assert (stands.reply, stands.comment) == (expected.said, expected.comment)
            assert (stands.sequence, stands.dtstamp, stands.arrived) == key(expected, asked)
