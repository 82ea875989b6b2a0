"""What one answer does to one row: order, closed doors, dates, comments; the same end in any order
of arrival (itip.md §5).
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import status
from gateway.answer import facts, reply
from gateway.ical import read
from gateway.model import (
    Channel,
    DateChange,
    Edition,
    Effect,
    Kind,
    Method,
    Outcome,
    Recurrence,
    Reply,
    Role,
    Standing,
)

UID = "own-1@crm.example"
NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
START = datetime(2026, 12, 1, 8, tzinfo=UTC)
WEEK, HOUR, MINUTE = timedelta(weeks=1), timedelta(hours=1), timedelta(minutes=1)
ABOUT = facts.Circumstances(
    arrived=NOW,
    speaker="ola@ext.example",
    senders=("ola@ext.example",),
    mailboxes=("invites@crm.example",),
)
SINGLE = Edition(UID, Kind.MEETING, "t", START, START + HOUR, "Europe/Oslo", "Kari")
SERIES = replace(SINGLE, recurrence=Recurrence("FREQ=WEEKLY;COUNT=5"))


def row(edition: Edition = SINGLE, **more: Any) -> facts.Row:
    made = facts.Row(
        1, "m1", UID, "ola@ext.example", edition, known=frozenset({"ola@ext.example"}), sent=edition
    )
    return replace(made, **more)


def answer(
    partstat: str = "ACCEPTED",
    *,
    sequence: int | None = 0,
    stamp: datetime | None = NOW - MINUTE,
    start: str = "",
    instance: str = "",
    address: str = "ola@ext.example",
    **more: Any,
) -> read.Component:
    return replace(
        read.Component(
            "VEVENT",
            UID,
            recurrence_id=read.moment(instance),
            recurrence_id_text=instance,
            sequence=sequence,
            dtstamp=stamp,
            dtstart=read.moment(start),
            attendees=(read.Attendee(address, partstat),),
        ),
        **more,
    )


def decided(
    who: facts.Row, component: read.Component, about: facts.Circumstances = ABOUT
) -> facts.Conclusion:
    return reply.decide_all(who, (component,), about)[0]


@pytest.mark.parametrize(
    ("partstat", "said"),
    [("ACCEPTED", Reply.ACCEPTED), ("DECLINED", Reply.DECLINED), ("TENTATIVE", Reply.TENTATIVE)],
)
def test_first_answer(partstat: str, said: Reply) -> None:
    conclusion = decided(row(), answer(partstat))
    assert conclusion.outcome is Outcome.APPLIED
    assert conclusion.effect is not None
    standing = status.apply(Standing(), conclusion.effect)
    assert (standing.reply, standing.sequence, standing.dtstamp, standing.arrived) == (
        said,
        0,
        NOW - MINUTE,
        NOW,
    )
    assert (standing.channel, standing.address, standing.replied_at) == (
        Channel.MAIL,
        "ola@ext.example",
        NOW,
    )


@pytest.mark.parametrize(
    ("component", "outcome"),
    [
        (answer(""), Outcome.MALFORMED),
        (answer("PERHAPS"), Outcome.MALFORMED),
        (answer("NEEDS-ACTION"), Outcome.UNCHANGED),
        (replace(answer(), attendees=()), Outcome.MALFORMED),
        (replace(answer(), kind="VTODO"), Outcome.NOT_AN_ANSWER),
        (
            replace(
                answer(),
                attendees=(
                    read.Attendee("x@y.example", "ACCEPTED"),
                    read.Attendee("z@y.example", "ACCEPTED"),
                ),
            ),
            Outcome.MALFORMED,
        ),
        (answer(instance="20261208T080000Z"), Outcome.UNKNOWN_INVITATION),
        (answer(this_and_future=True), Outcome.HELD),
        (answer("NEEDS-ACTION", start="20261202T080000Z"), Outcome.PROPOSAL),
        (answer("NEEDS-ACTION", start="20261201T080000Z"), Outcome.UNCHANGED),
    ],
)
def test_what_is_no_answer(component: read.Component, outcome: Outcome) -> None:
    conclusion = decided(row(), component)
    assert conclusion.outcome is outcome
    assert conclusion.effect is None or conclusion.effect.reply is None
    assert conclusion.reason
    assert conclusion.rules


# ---- order (P7, P8)

MOVED = replace(SINGLE, sequence=5, significant=4)


@pytest.mark.parametrize(
    ("sequence", "outcome"),
    [(None, Outcome.UNCHANGED), (3, Outcome.UNCHANGED), (4, Outcome.PROPOSAL)],
)
def test_no_answer_to_the_old_time_does_not_ask_for_it_back(
    sequence: int | None, outcome: Outcome
) -> None:
    conclusion = decided(
        row(replace(MOVED, start=START + HOUR, end=START + 2 * HOUR)),
        answer("NEEDS-ACTION", sequence=sequence, start="20261201T080000Z"),
    )
    assert conclusion.outcome is outcome
    assert (conclusion.proposal is not None, conclusion.effect is not None) == (
        outcome is Outcome.PROPOSAL,
    ) * 2


@pytest.mark.parametrize(
    ("sequence", "start", "outcome"),
    [
        (5, "", Outcome.APPLIED),
        (4, "", Outcome.APPLIED),
        (3, "", Outcome.OLD_ANSWER),
        (0, "", Outcome.OLD_ANSWER),
        (0, "20261201T080000Z", Outcome.OLD_ANSWER),  # said explicitly, it counts as said
        (None, "", Outcome.OLD_ANSWER),
        (None, "20261125T080000Z", Outcome.OLD_ANSWER),
        (None, "20261201T080000Z", Outcome.APPLIED),
        (None, "20261201T090000", Outcome.APPLIED),  # floating: the follow-up's own clock
        (2**31 - 1, "", Outcome.APPLIED),
    ],
)
def test_answers_to_the_old_time(sequence: int | None, start: str, outcome: Outcome) -> None:
    conclusion = decided(row(MOVED), answer(sequence=sequence, start=start))
    assert conclusion.outcome is outcome
    assert conclusion.ask_again is (outcome is Outcome.OLD_ANSWER)
    assert conclusion.effect is None or conclusion.effect.sequence <= 5, (
        "bounded by the SEQUENCE last sent"
    )


def test_the_old_time_is_that_last_sent_to_him() -> None:
    """The follow-up moved, but the letter has not left: his answer is to what he holds."""
    assert decided(row(MOVED, sent=SINGLE), answer()).outcome is Outcome.APPLIED


def test_nothing_is_asked_again_of_a_machine() -> None:
    conclusion = decided(row(MOVED), answer(sequence=0), replace(ABOUT, automatic=True))
    assert (conclusion.outcome, conclusion.ask_again) == (Outcome.OLD_ANSWER, False)


ANSWERED = Standing(
    Reply.ACCEPTED, seen=True, sequence=2, dtstamp=NOW - HOUR, arrived=NOW - HOUR + MINUTE
)


@pytest.mark.parametrize(
    ("partstat", "sequence", "stamp", "outcome"),
    [
        ("DECLINED", 2, NOW - MINUTE, Outcome.APPLIED),
        ("DECLINED", 3, NOW - 2 * HOUR, Outcome.APPLIED),
        ("DECLINED", 2, NOW - HOUR, Outcome.APPLIED),  # equal: the later arrival
        ("DECLINED", 2, NOW - 2 * HOUR, Outcome.OLD_ANSWER),
        ("DECLINED", 1, NOW - MINUTE, Outcome.OLD_ANSWER),
        ("ACCEPTED", 2, NOW - HOUR, Outcome.DUPLICATE),
        ("ACCEPTED", 2, NOW - MINUTE, Outcome.UNCHANGED),
        ("DECLINED", 2, None, Outcome.APPLIED),
    ],
)
def test_against_the_answer_applied_last(
    partstat: str, sequence: int, stamp: datetime | None, outcome: Outcome
) -> None:
    conclusion = decided(
        row(replace(SINGLE, sequence=9), standing=ANSWERED),
        answer(partstat, sequence=sequence, stamp=stamp),
    )
    assert conclusion.outcome is outcome
    assert (conclusion.effect is None) == (outcome is Outcome.OLD_ANSWER)
    assert not conclusion.ask_again, "an overtaken answer is not one to the old time"


def test_what_came_before_our_letters_keeps_its_stamp() -> None:
    """A restored store sends its letters again, and takes in what was answered before."""
    subject = row(SINGLE, sent_dtstamps=frozenset({NOW + HOUR}))
    conclusion = decided(subject, answer(stamp=NOW - 5 * MINUTE))
    assert conclusion.effect is not None
    assert conclusion.effect.dtstamp == NOW - 5 * MINUTE


@pytest.mark.parametrize("behind", [MINUTE, HOUR, 10 * HOUR])
def test_the_second_answer_counts_by_a_clock_that_is_slow(behind: timedelta) -> None:
    """The first is written before our letter by that clock, the second after it (P8)."""
    letter = frozenset({NOW - behind - 5 * MINUTE})
    first = decided(row(sent_dtstamps=letter), answer(stamp=NOW - behind - 6 * MINUTE))
    assert first.effect is not None
    subject = row(sent_dtstamps=letter, standing=status.apply(Standing(), first.effect))
    second = decided(subject, answer("DECLINED", stamp=NOW - MINUTE))
    assert second.outcome is Outcome.APPLIED


@pytest.mark.parametrize(
    ("stamp", "rule"),
    [
        (None, "dtstamp_missing"),
        (NOW - 5 * MINUTE, "dtstamp_echoed"),
        (NOW + 11 * MINUTE, "dtstamp_future"),
        (NOW + 9 * MINUTE, "dtstamp"),
        (NOW - 6 * MINUTE, "dtstamp"),
        (NOW - 24 * HOUR, "dtstamp"),
        (NOW - 25 * HOUR, "dtstamp_early"),
        (datetime(1970, 1, 1, tzinfo=UTC), "dtstamp_early"),
        (datetime(1, 1, 1, tzinfo=UTC), "dtstamp_early"),
    ],
)
def test_when_arrival_stands_in(stamp: datetime | None, rule: str) -> None:
    conclusion = decided(row(sent_dtstamps=frozenset({NOW - 5 * MINUTE})), answer(stamp=stamp))
    assert conclusion.rules[0].name == rule
    assert conclusion.effect is not None
    assert conclusion.effect.dtstamp == (stamp if rule == "dtstamp" else NOW)


PARTSTATS = st.sampled_from(["ACCEPTED", "DECLINED", "TENTATIVE"])


@given(
    st.lists(
        st.tuples(
            PARTSTATS,
            st.one_of(st.none(), st.integers(0, 6)),
            st.one_of(st.none(), st.integers(0, 4)),
            st.sampled_from(["", "20261208T080000Z", "20261215T080000Z"]),
            st.sampled_from(["", "sorry"]),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_order_of_arrival_ends_the_same(
    given_answers: list[tuple[str, int | None, int | None, str, str]],
) -> None:
    """Each answer has its own moment of arrival;
    the order in which they are read must not matter.
    """
    edition = replace(SERIES, sequence=4, significant=2)
    answers = [
        (
            answer(
                partstat,
                sequence=sequence,
                stamp=None if stamp is None else NOW - HOUR + stamp * MINUTE,
                instance=instance,
                comments=(comment,) if comment else (),
            ),
            replace(ABOUT, arrived=NOW + at * MINUTE),
        )
        for at, (partstat, sequence, stamp, instance, comment) in enumerate(given_answers)
    ]
    ends = set()
    for order in list(permutations(answers))[:120]:
        standings: dict[object, Standing] = {}
        for component, about in order:
            who = row(
                edition,
                standing=standings.get(None, Standing()),
                date_standings={key: value for key, value in standings.items() if key is not None},
            )
            conclusion = decided(who, component, about)
            if conclusion.effect is not None:
                instance = conclusion.effect.instance
                standings[instance] = status.apply(
                    reply.standing_of(who, instance), conclusion.effect
                )
        ends.add(
            tuple(
                sorted(
                    (
                        str(key),
                        value.reply,
                        status.code(Role.INVITED, value),
                        value.comment,
                        str(value.dtstamp),
                        value.sequence,
                    )
                    for key, value in standings.items()
                )
            )
        )
    assert len(ends) == 1


@given(st.lists(PARTSTATS, min_size=2, max_size=4))
def test_the_same_mail_twice_has_one_effect(partstats: list[str]) -> None:
    who = row()
    for at, partstat in enumerate(partstats):
        component = answer(partstat, stamp=NOW + at * MINUTE)
        first = decided(who, component, replace(ABOUT, arrived=NOW + at * MINUTE))
        assert first.effect is not None
        who = replace(who, standing=status.apply(who.standing, first.effect))
        again = decided(who, component, replace(ABOUT, arrived=NOW + (at + 1) * MINUTE))
        assert again.outcome is Outcome.DUPLICATE
        assert again.effect is not None
        repeated = status.apply(who.standing, again.effect)
        assert (repeated.reply, repeated.comment, repeated.dtstamp) == (
            who.standing.reply,
            who.standing.comment,
            who.standing.dtstamp,
        )


def test_an_answer_of_the_same_key_between_two_equal_ones() -> None:
    """Equal SEQUENCE and DTSTAMP: the later arrival, in whatever order the three are read."""
    three = [
        (answer(partstat), replace(ABOUT, arrived=NOW + at * MINUTE))
        for at, partstat in enumerate(("ACCEPTED", "DECLINED", "ACCEPTED"))
    ]
    for order in permutations(three):
        who = row()
        for component, about in order:
            conclusion = decided(who, component, about)
            if conclusion.effect is not None:
                who = replace(who, standing=status.apply(who.standing, conclusion.effect))
        assert who.standing.reply is Reply.ACCEPTED


# ---- closed (P10)


@pytest.mark.parametrize(
    ("who", "instance", "reason"),
    [
        (row(removed=True), "", "no longer"),
        (row(replace(SINGLE, cancelled=True)), "", "cancelled"),
        (row(standing=Standing(cancelled=True)), "", "cancelled"),
        (row(role=Role.OWNER), "", "never asked"),
        (row(replace(SINGLE, start=NOW - 2 * HOUR, end=NOW)), "", "over"),
        (
            row(replace(SERIES, recurrence=Recurrence("FREQ=WEEKLY;COUNT=5", (START + WEEK,)))),
            "20261208T080000Z",
            "cancelled",
        ),
        (
            row(replace(SERIES, dates=(DateChange(START + WEEK, cancelled=True),))),
            "20261208T080000Z",
            "cancelled",
        ),
        (
            row(replace(SERIES, start=NOW - WEEK, end=NOW - WEEK + HOUR)),
            "20261113T080000Z",
            "date is over",
        ),
        (row(replace(SINGLE, start=None, end=None, deadline=date(2026, 11, 19))), "", "over"),
    ],
)
def test_closed(who: facts.Row, instance: str, reason: str) -> None:
    conclusion = decided(who, answer(instance=instance))
    assert (conclusion.outcome, conclusion.effect, conclusion.claimed) == (
        Outcome.CLOSED,
        None,
        Reply.ACCEPTED,
    )
    assert reason in conclusion.reason
    assert not conclusion.ask_again


@pytest.mark.parametrize(
    "who",
    [
        row(replace(SINGLE, start=NOW - HOUR, end=NOW + MINUTE)),
        row(replace(SERIES, start=NOW - WEEK, end=NOW - WEEK + HOUR)),
        row(replace(SINGLE, start=None, end=None, deadline=date(2026, 11, 20))),
        row(replace(SINGLE, start=None, end=None)),
        row(
            replace(
                SERIES,
                start=NOW - 3 * WEEK,
                end=NOW - 3 * WEEK + HOUR,
                recurrence=Recurrence("FREQ=WEEKLY"),
            )
        ),
    ],
)
def test_not_over_yet(who: facts.Row) -> None:
    assert decided(who, answer()).outcome is Outcome.APPLIED


def test_over_is_decided_by_arrival() -> None:
    """A day's outage turns no answer away:
    the mail reached the mailbox before the meeting ended.
    """
    assert (
        decided(row(), answer(), replace(ABOUT, arrived=START + HOUR - MINUTE)).outcome
        is Outcome.APPLIED
    )
    assert decided(row(), answer(), replace(ABOUT, arrived=START + HOUR)).outcome is Outcome.CLOSED


# ---- dates of a series (P9)


def test_one_date_answered_changes_that_date_only() -> None:
    conclusion = decided(row(SERIES), answer("DECLINED", instance="20261208T080000Z"))
    assert conclusion.effect is not None
    assert (conclusion.instance, conclusion.effect.instance) == (START + WEEK, START + WEEK)


def test_series_first_then_its_dates_and_a_ghost_beside_them() -> None:
    components = (
        answer("DECLINED", instance="20261208T080000Z"),
        answer("TENTATIVE", instance="20261209T080000Z"),
        answer(),
    )
    decisions = reply.decide_all(
        row(SERIES, single_dates=frozenset({START + WEEK})), components, ABOUT
    )
    assert [(one.outcome, one.instance) for one in decisions] == [
        (Outcome.APPLIED, None),
        (Outcome.APPLIED, START + WEEK),
        (Outcome.UNKNOWN_INVITATION, None),
    ]


def test_a_date_of_the_old_times() -> None:
    edition = replace(SERIES, sequence=3, significant=3)
    conclusion = decided(row(edition), answer(sequence=1, instance="20261208T070000Z"))
    assert (conclusion.outcome, conclusion.ask_again, conclusion.effect) == (
        Outcome.OLD_ANSWER,
        True,
        None,
    )


def test_a_date_has_its_own_sequence() -> None:
    own = replace(
        SERIES,
        sequence=0,
        dates=(DateChange(START + WEEK, START + WEEK + HOUR),),
        date_sequences=((START + WEEK, 2, 2),),
    )
    assert (
        decided(row(own), answer(sequence=1, instance="20261208T080000Z")).outcome
        is Outcome.OLD_ANSWER
    )
    assert (
        decided(row(own), answer(sequence=2, instance="20261208T080000Z")).outcome
        is Outcome.APPLIED
    )
    assert (
        decided(row(own), answer(sequence=0, instance="20261215T080000Z")).outcome
        is Outcome.APPLIED
    )


@pytest.mark.parametrize(
    ("sequence", "start", "outcome", "instance"),
    [
        (1, "20261208T090000Z", Outcome.APPLIED, START + WEEK),  # both fit the date only
        (1, "", Outcome.APPLIED, START + WEEK),
        (0, "", Outcome.APPLIED, None),
        (None, "20261208T090000Z", Outcome.APPLIED, START + WEEK),
        (None, "20261201T080000Z", Outcome.APPLIED, None),
        (
            1,
            "20300101T000000Z",
            Outcome.APPLIED,
            START + WEEK,
        ),  # Horde: the wall time is wrong, SEQUENCE tells
        (0, "20261208T090000Z", Outcome.HELD, None),
        (7, "", Outcome.HELD, None),
        (None, "", Outcome.HELD, None),
    ],
)
def test_lost_recurrence_id(
    sequence: int | None, start: str, outcome: Outcome, instance: datetime | None
) -> None:
    own = replace(
        SERIES,
        dates=(DateChange(START + WEEK, START + WEEK + HOUR),),
        date_sequences=((START + WEEK, 1, 1),),
    )
    conclusion = decided(
        row(own, single_dates=frozenset({START + WEEK})), answer(sequence=sequence, start=start)
    )
    assert (conclusion.outcome, conclusion.instance) == (outcome, instance)


@pytest.mark.parametrize(
    ("start", "outcome", "instance"),
    [
        ("20261208T090000", Outcome.APPLIED, START + WEEK),
        ("20261201T080000", Outcome.APPLIED, None),
        ("20261208T080000", Outcome.HELD, None),
        ("20261208T100000", Outcome.APPLIED, START + WEEK),
    ],
)
def test_lost_recurrence_id_and_the_clock_of_utc_under_another_zone(
    start: str, outcome: Outcome, instance: datetime | None
) -> None:
    """Horde: DTSTART;TZID=Europe/Oslo with the hours of UTC.
    Read as it is written, it would fit nothing.
    """
    own = replace(SERIES, dates=(DateChange(START + WEEK, START + WEEK + HOUR),))
    component = replace(answer(), dtstart=read.moment(start, "Europe/Oslo"))
    conclusion = decided(row(own, single_dates=frozenset({START + WEEK})), component)
    assert (conclusion.outcome, conclusion.instance) == (outcome, instance)


@pytest.mark.parametrize(
    ("start", "outcome", "instance"),
    [
        ("20261208T090000", Outcome.APPLIED, START + WEEK),
        ("20261201T080000", Outcome.APPLIED, None),
        ("20261208T080000", Outcome.HELD, None),
    ],
)
def test_lost_recurrence_id_and_a_floating_clock_of_utc(
    start: str, outcome: Outcome, instance: datetime | None
) -> None:
    """Claws 4.1: the hours of UTC without any zone."""
    own = replace(SERIES, dates=(DateChange(START + WEEK, START + WEEK + HOUR),))
    component = replace(answer(), dtstart=read.moment(start))
    conclusion = decided(row(own, single_dates=frozenset({START + WEEK})), component)
    assert (conclusion.outcome, conclusion.instance) == (outcome, instance)


def test_a_rule_in_the_answer_says_that_the_series_is_meant() -> None:
    component = replace(answer(), recurring=True, dtstart=read.moment("20300101T000000Z"))
    conclusion = decided(row(SERIES, single_dates=frozenset({START + WEEK})), component)
    assert (conclusion.outcome, conclusion.instance) == (Outcome.APPLIED, None)


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ({"removed": True}, Outcome.CLOSED),
        ({"standing": Standing(cancelled=True)}, Outcome.CLOSED),
        ({"sent": replace(SERIES, sequence=9, significant=9)}, Outcome.OLD_ANSWER),
        ({}, Outcome.HELD),
    ],
    ids=["removed", "cancelled", "moved since", "open"],
)
def test_what_is_late_whatever_it_is_about_asks_nobody(
    state: dict[str, Any], outcome: Outcome
) -> None:
    subject = row(SERIES, single_dates=frozenset({START + WEEK}), **state)
    assert decided(subject, answer(sequence=7)).outcome is outcome


def test_without_single_letters_no_recurrence_id_means_the_series() -> None:
    own = replace(
        SERIES,
        dates=(DateChange(START + WEEK, START + WEEK + HOUR),),
        date_sequences=((START + WEEK, 1, 1),),
    )
    assert decided(row(own), answer(start="20300101T000000Z")).outcome is Outcome.APPLIED


# ---- comments, proposals, delegation


@pytest.mark.parametrize(
    ("component", "remark", "comment"),
    [
        (answer(comments=("one", "two")), "r", "one\ntwo"),
        (answer(comments=("\n",), private_comment=" p "), "r", "p"),
        (
            replace(
                answer(), attendees=(read.Attendee("ola@ext.example", "ACCEPTED", comment="x"),)
            ),
            "r",
            "x",
        ),
        (answer(), " r ", "r"),
        (answer(comments=("\u200b\ufeff",)), "r", "r"),
        (answer(), "", ""),
    ],
)
def test_comment(component: read.Component, remark: str, comment: str) -> None:
    conclusion = decided(row(), component, replace(ABOUT, remark=remark))
    assert conclusion.effect is not None
    assert conclusion.effect.comment == comment


def test_a_wish_for_another_time_stands_beside_the_answer() -> None:
    wish = read.Attendee("ola@ext.example", "TENTATIVE", proposed=read.moment("20261202T080000Z"))
    conclusion = decided(row(), replace(answer(), attendees=(wish,)))
    assert conclusion.outcome is Outcome.APPLIED
    assert conclusion.proposal == facts.Proposal(START + timedelta(days=1), None, "")


def test_counter_leaves_a_standing_answer_alone() -> None:
    component = answer(
        "TENTATIVE", start="20261202T080000Z", duration=HOUR, comments=("heller onsdag",)
    )
    (conclusion,) = reply.decide_counter(row(standing=ANSWERED), (component,), ABOUT)
    assert conclusion.outcome is Outcome.PROPOSAL
    assert conclusion.proposal == facts.Proposal(
        START + timedelta(days=1), START + timedelta(days=1) + HOUR, "heller onsdag"
    )
    assert conclusion.effect is not None
    assert status.apply(ANSWERED, conclusion.effect) == ANSWERED
    assert (
        status.code(Role.INVITED, status.apply(Standing(), conclusion.effect)) is status.Status.SEEN
    )


@pytest.mark.parametrize(
    ("named", "invited"),
    [
        (("jon@ext.example",), ("jon@ext.example",)),
        (("jon@ext.example", "per@ext.example"), ("jon@ext.example",)),
        (("invites+x@crm.example",), ()),
        (("kari@crm.example",), ()),
        (("ola@ext.example",), ()),
        ((), ()),
    ],
)
def test_delegation(named: tuple[str, ...], invited: tuple[str, ...]) -> None:
    component = replace(
        answer(),
        organizer="kari@crm.example",
        attendees=(read.Attendee("ola@ext.example", "DELEGATED", delegated_to=named),),
    )
    conclusion = decided(row(), component)
    assert (conclusion.outcome, conclusion.delegates) == (Outcome.DELEGATED, invited)
    assert conclusion.effect is not None
    assert (
        status.code(Role.INVITED, status.apply(Standing(), conclusion.effect))
        is status.Status.DECLINED
    )


def test_an_old_delegation_invites_nobody() -> None:
    component = replace(
        answer(sequence=0),
        attendees=(
            read.Attendee("ola@ext.example", "DELEGATED", delegated_to=("jon@ext.example",)),
        ),
    )
    assert decided(row(MOVED), component).delegates == ()


def test_refresh() -> None:
    assert reply.decide_refresh(row(), (), ABOUT).ask_again
    assert reply.decide_refresh(row(removed=True), (), ABOUT).outcome is Outcome.CLOSED


# ---- links and receipts


def test_link_answers() -> None:
    assert (
        reply.decide_direct(row(SERIES), Reply.ACCEPTED, START + WEEK, 0, ABOUT).instance
        == START + WEEK
    )
    assert (
        reply.decide_direct(row(SERIES), Reply.ACCEPTED, START + HOUR, 0, ABOUT).outcome
        is Outcome.UNKNOWN_INVITATION
    )
    assert (
        reply.decide_direct(row(MOVED), Reply.ACCEPTED, None, 3, ABOUT).outcome
        is Outcome.OLD_ANSWER
    )
    applied = reply.decide_direct(
        row(MOVED), Reply.DECLINED, None, 4, replace(ABOUT, channel=Channel.LINK), "sorry"
    )
    assert applied.effect == Effect(
        1, None, Reply.DECLINED, "sorry", 4, NOW, NOW, Channel.LINK, "ola@ext.example"
    )


@pytest.mark.parametrize(
    ("ids", "latest", "outcome"),
    [
        (("a@x",), "a@x", Outcome.SEEN),
        (("a@x",), "b@x", Outcome.UNCHANGED),
        ((), "b@x", Outcome.SEEN),
        (("foreign@y",), "b@x", Outcome.SEEN),
    ],
)
def test_receipts(ids: tuple[str, ...], latest: str, outcome: Outcome) -> None:
    who = row(message_ids=frozenset({"a@x"}) & set(ids), latest_message_id=latest)
    assert reply.decide_seen(who, ids, ABOUT).outcome is outcome


def test_partstats_are_those_of_an_event() -> None:
    """RFC 5545 §3.2.12: the words of a VEVENT, each with a reply of ours; and REPLY is the method
    that brings them.
    """
    assert set(reply.PARTSTATS.values()) == set(Reply)
    assert Method.REPLY.value == "REPLY"
