"""What waits for a person: judged anew, set aside, learned from; each once, in one transaction,
with its history.
"""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
import time_machine

from gateway import settings as configuration
from gateway.actions import load, planning, review
from gateway.actions.review import Desk, Settled
from gateway.errors import NotFound, Refused
from gateway.inbound import process
from gateway.inbound.process import Received
from gateway.model import Outcome, ProposalState
from gateway.store import inbox, journal, known, schema, schema_letters, views
from gateway.store import review as kept
from gateway.store.engine import Connection, Store

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
ARRIVED = NOW - timedelta(hours=1)
OURS = "mx.crm.example"
DOCUMENT = {
    "associates": [{"key": "kari", "name": "Kari Nordmann", "email": "kari@crm.example"}],
    "persons": [{"key": "ola", "name": "Ola Hansen", "emails": ["ola@ext.example"]}],
    "follow_ups": [
        {
            "key": "m1",
            "kind": "meeting",
            "owner": "kari",
            "title": "Kick-off",
            "uid": "m1@crm.example",
            "timezone": "Europe/Oslo",
            "start": "2026-12-01T09:00:00",
            "end": "2026-12-01T10:00:00",
            "participants": [
                {"person": "ola", "email_invite": True, "token": "olatoken"},
                {
                    "email": "eva@other.example",
                    "name": "Eva",
                    "email_invite": True,
                    "token": "evatoken",
                },
            ],
        },
        {
            "key": "m2",
            "kind": "meeting",
            "owner": "kari",
            "title": "Review",
            "uid": "m2@crm.example",
            "timezone": "Europe/Oslo",
            "start": "2026-12-02T09:00:00",
            "end": "2026-12-02T10:00:00",
            "participants": [{"person": "ola", "email_invite": True, "token": "olatoken2"}],
        },
    ],
}


@dataclass
class Site:
    """A gateway with two meetings, and whoever decides there."""

    store: Store
    settings: configuration.Settings

    @property
    def processor(self) -> process.Processor:
        return process.Processor(self.store, self.settings)

    @property
    def desk(self) -> Desk:
        return Desk(self.store, self.settings, self.processor.again, "kari", NOW)

    def with_policy(self, **policy: object) -> "Site":
        changed = self.settings.model_copy(
            update={"policy": self.settings.policy.model_copy(update=policy)}
        )
        return Site(self.store, changed)

    def receive(self, raw: bytes, arrived: datetime = ARRIVED) -> Outcome | None:
        [result] = self.processor.receive([Received(raw, arrived, len(raw))])
        return result.outcome

    def status(self, key: str = "ola", follow_up: str = "m1") -> tuple[str, str]:
        with self.store.read() as connection:
            row = next(one for one in views.status_rows(connection, follow_up) if one.key == key)
        return row.status, row.comment

    def keys(self, follow_up: str = "m1") -> set[str]:
        with self.store.read() as connection:
            return {one.key for one in views.status_rows(connection, follow_up)}

    def waiting(self) -> list[int]:
        return [one.kept.number for one in review.waiting(self.store)]

    def message(self, number: int) -> kept.Kept:
        with self.store.read() as connection:
            found = kept.get(connection, number)
        assert found is not None
        return found

    def events(self) -> list[tuple[str, str, str]]:
        with self.store.read() as connection:
            return [(one.event, one.by, one.detail) for one in journal.after(connection, 0, 500)]

    def learned(self) -> list[tuple[str, str]]:
        with self.store.read() as connection:
            return [(one.name, one.address) for one in known.learned(connection)]


@pytest.fixture
def site(store: Store) -> Site:
    settings = configuration.load(
        None, {"mail": {"address": "invites@crm.example"}, "policy": {"authserv_id": OURS}}
    )
    with store.write() as connection:
        load.load(connection, DOCUMENT, settings, NOW)
    planning.plan_due(store, settings, NOW, everything=True)
    return Site(store, settings)


def answer(
    sender: str,
    to: str = "invites+olatoken@crm.example",
    attendee: str = "",
    *,
    number: int = 1,
    more: str = "",
    uid: str = "m1@crm.example",
    method: str = "REPLY",
    partstat: str = "ACCEPTED",
    times: str = "",
) -> bytes:
    return (
        f"{more}From: {sender}\r\nTo: {to}\r\nSubject: Accepted: Kick-off\r\nMessage-ID: <{number}@ext.example>\r\n"
        f"Content-Type: text/calendar; charset=utf-8; method={method}\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:{method}\r\nBEGIN:VEVENT\r\n"
        f"UID:{uid}\r\nDTSTAMP:20261120T06{number:02}00Z\r\nSEQUENCE:0\r\n{times}COMMENT:see you\r\n"
        f"ATTENDEE;PARTSTAT={partstat}:mailto:{attendee or sender.rpartition('<')[2].strip('>')}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    ).encode()


ALIAS = answer("Ola <ola@home.example>")
CRASHER = answer("Sam Smith <sam@far.example>", "invites@crm.example")
UNPROVEN = answer("ola@ext.example", "invites@crm.example")
FORWARDED = answer("eva@other.example", attendee="ola@ext.example")
INVITATION = answer("eva@other.example", "invites@crm.example", method="REQUEST", uid="theirs")
BROKEN = answer("ola@ext.example", partstat="PERHAPS")


def test_the_list_tells_what_is_asked_and_what_is_claimed_oldest_first(site: Site) -> None:
    for age, raw in enumerate((INVITATION, CRASHER, ALIAS)):
        site.receive(raw, ARRIVED - timedelta(minutes=age))
    alias, crasher, invitation = review.waiting(site.store)
    assert alias.question == "ola@home.example answered for ola@ext.example: the same person?"
    assert (
        alias.participant,
        alias.invited,
        alias.claims[0]["claimed"],
        alias.claims[0]["comment"],
    ) == ("ola", "ola@ext.example", "accepted", "see you")
    assert crasher.question == "sam@far.example answered m1 without having been invited: add him?"
    assert (invitation.question, invitation.kept.outcome) == ("", Outcome.NOT_AN_ANSWER)
    assert [one.kept.number for one in review.waiting(site.store, "m1")] == [
        alias.kept.number,
        crasher.kept.number,
    ]


def test_what_waits_and_what_was_decided_is_read_in_parts(site: Site) -> None:
    for raw, age in ((ALIAS, 3), (CRASHER, 2), (UNPROVEN, 1)):
        site.receive(raw, ARRIVED - timedelta(minutes=age))
    with site.store.read() as connection:
        first = kept.page(connection, None, 2)
        rest = kept.page(connection, (first[-1].arrived, first[-1].number), 2)
        assert [one.number for one in (*first, *rest)] == site.waiting()
        assert kept.count(connection) == 3
        assert kept.decided(connection, None, 10, 10) == ([], None)
    for one in (first[0], first[1]):
        review.reject(site.desk, one.number)
    with site.store.read() as connection:
        [newest], below = kept.decided(connection, None, 10, 1)
        [oldest], end = kept.decided(connection, below, 10, 10)
    assert [newest.number, oldest.number] == [first[1].number, first[0].number]
    assert end is None


@pytest.mark.parametrize(
    ("raw", "question"),
    [
        (
            answer("eva@other.example"),
            "did eva@other.example answer from the letter to ola@ext.example? Nothing proves it",
        ),
        (UNPROVEN, "did ola@ext.example write this himself? Nothing in the mail proves it"),
        (FORWARDED, "eva@other.example answered for ola@ext.example: the same person?"),
        (answer("ola@ext.example", attendee="eva@other.example"), ""),
        (answer("ola@ext.example", uid="m1_R20261201T080000@crm.example"), ""),
        (
            answer(
                "ola@ext.example", times="RECURRENCE-ID;RANGE=THISANDFUTURE:20261201T080000Z\r\n"
            ),
            "",
        ),
    ],
)
def test_the_question_is_the_one_that_holds_the_answer(
    site: Site, raw: bytes, question: str
) -> None:
    assert site.receive(raw) is Outcome.HELD
    [case] = review.waiting(site.store)
    assert case.question == question


def test_what_has_its_effect_at_once_never_waits(site: Site) -> None:
    assert site.receive(answer("ola@ext.example")) is Outcome.APPLIED
    assert site.waiting() == []
    with pytest.raises(Refused, match="message 1 does not wait: applied"):
        review.apply(site.desk, 1)


def test_a_held_answer_says_which_date_it_claims(site: Site) -> None:
    with site.store.write() as connection:
        connection.execute(
            sa.update(schema.follow_up)
            .where(schema.follow_up.c.key == "m1")
            .values(rrule="FREQ=WEEKLY;COUNT=4")
        )
    planning.plan_due(site.store, site.settings, NOW, everything=True)
    site.receive(answer("ola@home.example", times="RECURRENCE-ID:20261208T080000Z\r\n"))
    [case] = review.waiting(site.store)
    assert case.claims[0]["instance"] == "2026-12-08T08:00:00Z"


def test_a_message_is_judged_by_the_rules_of_today_as_of_its_arrival(site: Site) -> None:
    """The meeting is over when the administrator comes to it; the answer had arrived before."""
    site.receive(UNPROVEN)
    still = review.apply(site.desk, 1)
    assert (still.done, still.after) == (False, Outcome.HELD)
    assert "did not authenticate" in still.reason
    assert [rule.name for rule in still.rules] == [
        "kind",
        "sender",
        "token_key",
        "uid_key",
        "message_id_key",
        "address_key",
        "uid_held",
    ]
    later = replace(
        site.with_policy(require_authentication=False).desk, now=datetime(2027, 1, 1, tzinfo=UTC)
    )
    done = review.apply(later, 1)
    assert (done.done, done.before, done.after) == (True, Outcome.HELD, Outcome.APPLIED)
    assert site.status() == ("not_started", "see you")
    with site.store.read() as connection:
        standing = connection.execute(sa.select(schema.standing.c.replied_at)).scalar_one()
    assert standing == ARRIVED


def test_what_is_settled_leaves_the_list_and_keeps_its_history(site: Site) -> None:
    site.receive(ALIAS)
    assert site.message(1).raw == ALIAS
    review.apply(site.desk, 1, named="ola")
    settled = site.message(1)
    assert site.waiting() == []
    assert (settled.outcome, settled.reason, settled.raw) == (Outcome.APPLIED, "accepted", None)
    assert settled.detail["history"] == [
        {
            "outcome": "held",
            "reason": "ola@home.example answered for ola@ext.example: the same person?",
            "verb": "apply --as ola",
            "by": "kari",
            "at": "2026-11-20T08:00:00Z",
        }
    ]
    assert ("review_applied", "kari", "held → applied: apply --as ola") in site.events()
    assert settled.arrived == ARRIVED


VERBS: dict[str, Callable[[Desk], Settled]] = {
    "apply --as": lambda desk: review.apply(desk, 1, named="ola"),
    "reject": lambda desk: review.reject(desk, 1, reason="not him"),
    "learn": lambda desk: review.learn_from(desk, 1),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_is_repeated_changes_nothing_more(site: Site, verb: str) -> None:
    site.receive(ALIAS)
    first = VERBS[verb](site.desk)
    before, status = site.events(), site.status()
    again = VERBS[verb](site.desk)
    assert (first.repeated, again.repeated, again.after, again.done) == (
        False,
        True,
        first.after,
        True,
    )
    assert (site.events(), site.status()) == (before, status)


def test_several_who_decide_at_once_decide_once(site: Site) -> None:
    site.receive(ALIAS)
    desk = site.desk
    with ThreadPoolExecutor(4) as pool:
        settled = list(pool.map(lambda _: review.apply(desk, 1, named="ola"), range(4)))
    assert sorted(one.repeated for one in settled) == [False, True, True, True]
    assert [event for event, _, _ in site.events()].count("applied") == 1


def test_another_verb_comes_too_late(site: Site) -> None:
    site.receive(ALIAS)
    review.reject(site.desk, 1)
    with pytest.raises(
        Refused, match="message 1 does not wait: party_crasher \\(rejected by kari\\)"
    ):
        review.apply(site.desk, 1, named="ola")
    with pytest.raises(NotFound, match="no message 77"):
        review.reject(site.desk, 77)


@pytest.mark.parametrize(
    ("raw", "word"),
    [
        (ALIAS, "party_crasher"),
        (CRASHER, "party_crasher"),
        (FORWARDED, "ignored"),
        (UNPROVEN, "ignored"),
        (INVITATION, "ignored"),
    ],
)
def test_rejected_changes_no_status_and_keeps_what_it_claimed(
    site: Site, raw: bytes, word: str
) -> None:
    """Not the same person: a party crasher, then, about whom it has just been decided."""
    before = site.receive(raw)
    settled = review.reject(site.desk, 1, reason="a stranger")
    assert (settled.after, settled.reason) == (word, "rejected by kari: a stranger")
    assert (site.status(), site.keys(), site.waiting()) == (
        ("invitation", ""),
        {"ola", "eva@other.example"},
        [],
    )
    message = site.message(1)
    assert (message.raw, [one["claimed"] for one in message.detail["answers"]]) == (
        None,
        ["accepted"] if raw != INVITATION else [],
    )
    assert ("review_rejected", "kari", f"{before} → {word}: a stranger") in site.events()


def test_trust_is_overridden_for_the_row_that_is_named(site: Site) -> None:
    site.receive(FORWARDED)
    assert not review.apply(site.desk, 1).done
    assert review.apply(site.desk, 1, named="m1/ola").done
    assert (site.status("ola"), site.status("eva@other.example")[0]) == (
        ("not_started", "see you"),
        "invitation",
    )
    site.receive(answer("x@far.example", number=2))
    with pytest.raises(NotFound, match="no participant 'per' in m1"):
        review.apply(site.desk, 2, named="per")


def test_an_unknown_invitation_is_given_to_a_row_by_name(site: Site) -> None:
    assert (
        site.receive(answer("ola@ext.example", "invites@crm.example", uid="mangled"))
        is Outcome.UNKNOWN_INVITATION
    )
    with pytest.raises(NotFound, match="FOLLOW_UP/KEY"):
        review.apply(site.desk, 1, named="ola")
    assert review.apply(site.desk, 1, named="m2/ola").after is Outcome.APPLIED
    assert (site.status("ola", "m2")[0], site.status("ola", "m1")[0]) == (
        "not_started",
        "invitation",
    )


@pytest.mark.parametrize(
    ("raw", "outcome"), [(BROKEN, Outcome.MALFORMED), (INVITATION, Outcome.NOT_AN_ANSWER)]
)
def test_a_name_overrides_trust_and_nothing_else(site: Site, raw: bytes, outcome: Outcome) -> None:
    assert site.receive(raw) is outcome
    settled = review.apply(site.desk, 1, named="m1/ola")
    assert (settled.done, settled.after, site.waiting()) == (False, outcome, [1])
    assert site.status() == ("invitation", "")


def test_a_named_answer_after_a_newer_one_is_old(site: Site) -> None:
    site.receive(ALIAS)
    site.receive(answer("ola@ext.example", number=2, partstat="DECLINED"))
    assert review.apply(site.desk, 1, named="ola").after is Outcome.OLD_ANSWER
    assert site.status()[0] == "declined"


def test_a_learned_address_counts_in_every_follow_up_of_the_person(site: Site) -> None:
    site.receive(ALIAS)
    settled = review.learn_from(site.desk, 1)
    assert (settled.done, settled.after, site.learned()) == (
        True,
        Outcome.APPLIED,
        [("ola", "ola@home.example")],
    )
    assert ("address_learned", "kari", "ola@home.example is the same person") in site.events()
    elsewhere = answer(
        "OLA+work@home.example", "invites+olatoken2@crm.example", number=2, uid="m2@crm.example"
    )
    assert site.receive(elsewhere) is Outcome.APPLIED
    assert site.status("ola", "m2")[0] == "not_started"


def test_a_learned_address_finds_its_row_without_a_token(site: Site) -> None:
    review.learn(site.desk, "ola@home.example", "ola")
    vouched = f"Authentication-Results: {OURS}; dmarc=pass header.from=home.example\r\n"
    assert (
        site.receive(answer("ola@home.example", "invites@crm.example", more=vouched))
        is Outcome.APPLIED
    )
    assert site.status()[0] == "not_started"


def test_a_learned_address_never_gets_a_letter(site: Site) -> None:
    review.learn(site.desk, "ola@home.example", "ola")
    planning.plan_due(site.store, site.settings, NOW, everything=True)
    with site.store.read() as connection:
        assert "ola@home.example" not in set(
            connection.execute(sa.select(schema_letters.outbox.c.address)).scalars()
        )


def test_a_forgotten_address_is_unknown_again(site: Site) -> None:
    review.learn(site.desk, "ola@home.example", "ola")
    assert review.forget(site.desk, "Ola@Home.example", "ola")
    assert not review.forget(site.desk, "ola@home.example", "ola")
    assert (site.receive(ALIAS), site.learned()) == (Outcome.HELD, [])
    assert (
        "address_forgotten",
        "kari",
        "Ola@Home.example is no longer known as ola",
    ) in site.events()
    assert review.learn(site.desk, "ola@home.example", "ola")
    assert not review.learn(site.desk, "ola+x@home.example", "ola")


def test_whoever_is_no_person_of_the_directory_is_known_in_his_row_alone(site: Site) -> None:
    review.learn(site.desk, "eva@home.example", "m1/eva@other.example")
    assert site.learned() == [("m1/eva@other.example", "eva@home.example")]
    assert (
        site.receive(answer("eva@home.example", "invites+evatoken@crm.example")) is Outcome.APPLIED
    )
    assert (
        site.receive(
            answer(
                "eva@home.example", "invites+olatoken2@crm.example", uid="m2@crm.example", number=2
            )
        )
        is Outcome.HELD
    )


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("eva@other.example", "another participant of m1"),
        ("EVA+x@other.example", "another participant of m1"),
        ("kari@crm.example", "an associate"),
        ("invites@crm.example", "a mailbox of this gateway"),
        ("invites+olatoken@crm.example", "a mailbox of this gateway"),
        ("no-reply@ext.example", "a robot"),
        ("nobody", "@-sign"),
    ],
)
def test_an_address_that_speaks_for_others_is_never_learned(
    site: Site, address: str, why: str
) -> None:
    with pytest.raises(Refused, match=f"cannot be learned.*{why}"):
        review.learn(site.desk, address, "ola")
    assert site.learned() == []


def test_nor_is_one_that_another_participant_has_learned(site: Site) -> None:
    review.learn(site.desk, "shared@home.example", "m1/eva@other.example")
    with pytest.raises(Refused, match="another participant of m1"):
        review.learn(site.desk, "shared@home.example", "ola")


def test_learning_from_a_message_is_refused_as_a_whole(site: Site) -> None:
    site.receive(FORWARDED)
    with pytest.raises(Refused, match="another participant"):
        review.learn_from(site.desk, 1)
    assert (site.waiting(), site.learned(), site.status()) == ([1], [], ("invitation", ""))
    assert review.show(site.desk, 1).unlearnable == "it is the address of another participant of m1"


def test_whoever_is_invited_later_speaks_for_himself(site: Site) -> None:
    """Learned for Ola while nobody else had it; then its holder is invited himself."""
    review.learn(site.desk, "per@third.example", "ola")
    with site.store.write() as connection:
        connection.execute(
            sa.insert(schema.participant).values(
                follow_up="m1", email="per@third.example", email_invite=True
            )
        )
    assert site.receive(answer("per@third.example")) is Outcome.HELD
    assert site.status() == ("invitation", "")


def test_learning_what_proves_nothing_yet_leaves_the_message_waiting(site: Site) -> None:
    """Without a token a known address is not enough;
    the address stays learned and the reason says what is missing.
    """
    site.receive(answer("ola@home.example", "invites@crm.example", attendee="ola@ext.example"))
    settled = review.learn_from(site.desk, 1)
    assert (settled.done, site.waiting(), site.learned()) == (
        False,
        [1],
        [("ola", "ola@home.example")],
    )
    assert "did not authenticate" in settled.reason
    assert site.message(1).reason == settled.reason


def test_a_party_crasher_is_learned_as_somebody_who_is_named(site: Site) -> None:
    site.receive(CRASHER)
    with pytest.raises(Refused, match="ties to no participant"):
        review.learn_from(site.desk, 1)
    vouching = site.with_policy(require_authentication=False)
    assert review.learn_from(vouching.desk, 1, named="ola").after is Outcome.APPLIED
    assert site.status()[0] == "not_started"
    assert site.keys() == {"ola", "eva@other.example"}


def test_a_party_crasher_is_added_with_his_answer(site: Site) -> None:
    site.receive(CRASHER)
    settled = review.apply(site.desk, 1, add=True)
    assert (settled.before, settled.after) == (Outcome.PARTY_CRASHER, Outcome.APPLIED)
    assert site.status("sam@far.example") == ("not_started", "see you")
    assert (
        "invited",
        "kari",
        "sam@far.example answered without having been invited",
    ) in site.events()
    assert review.apply(site.desk, 1, add=True).repeated
    with site.store.read() as connection:
        [row] = connection.execute(
            sa.select(schema.participant).where(schema.participant.c.email == "sam@far.example")
        ).all()
    assert (row.name, row.email_invite) == ("Sam Smith", True)
    planning.plan_due(site.store, site.settings, NOW + timedelta(minutes=1), everything=True)
    with site.store.read() as connection:
        letters = connection.execute(
            sa.select(schema_letters.outbox.c.method, schema_letters.outbox.c.reply).where(
                schema_letters.outbox.c.address == "sam@far.example"
            )
        ).all()
    assert [tuple(one) for one in letters] == [("REQUEST", "accepted")]


def test_whoever_turns_out_to_be_somebody_else_may_be_added(site: Site) -> None:
    """A forwarded letter: its token is Ola's, the answer his colleague's."""
    site.receive(answer("Tim <tim@ext.example>"))
    assert review.apply(site.desk, 1, add=True).after is Outcome.APPLIED
    assert (site.status("tim@ext.example")[0], site.status("ola")[0]) == (
        "not_started",
        "invitation",
    )


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (FORWARDED, "a participant already"),
        (UNPROVEN, "a participant already"),
        (INVITATION, "not of somebody uninvited: not_an_answer"),
    ],
)
def test_only_somebody_uninvited_can_be_added(site: Site, raw: bytes, why: str) -> None:
    site.receive(raw)
    with pytest.raises(Refused, match=why):
        review.apply(site.desk, 1, add=True)
    assert site.keys() == {"ola", "eva@other.example"}


def test_many_are_judged_anew_and_trust_is_never_overridden(site: Site) -> None:
    for number, raw in enumerate(
        (
            UNPROVEN,
            CRASHER,
            FORWARDED,
            answer("ola@ext.example", "invites@crm.example", uid="m2@crm.example", number=9),
        )
    ):
        site.receive(raw, ARRIVED + timedelta(minutes=number))
    open_site = site.with_policy(require_authentication=False)
    held = [
        one
        for one in review.apply_all(open_site.desk, outcome=Outcome.HELD, follow_up="m1")
        if isinstance(one, Settled)
    ]
    assert [(one.number, one.done) for one in held] == [(1, True), (3, False)]
    rest = list(review.apply_all(open_site.desk, reason="AGREE"))
    assert [(one.number, one.done) for one in rest if isinstance(one, Settled)] == [(4, True)]
    assert site.waiting() == [2, 3]
    assert list(review.apply_all(open_site.desk, reason="no such words")) == []


@time_machine.travel(NOW, tick=True)
def test_a_policy_that_changed_lets_waiting_crashers_in_or_out(site: Site) -> None:
    vouched = f"Authentication-Results: {OURS}; dmarc=pass header.from=far.example\r\n"
    site.receive(answer("sam@far.example", "invites@crm.example", more=vouched))
    site.receive(answer("tim@near.example", "invites@crm.example", number=2))
    adding = list(review.apply_all(site.with_policy(party_crasher="add").desk))
    assert [(one.number, one.done, one.after) for one in adding if isinstance(one, Settled)] == [
        (1, True, Outcome.APPLIED),
        (2, False, Outcome.PARTY_CRASHER),
    ]
    assert site.status("sam@far.example")[0] == "not_started"
    refusing = review.apply(site.with_policy(party_crasher="refuse").desk, 2)
    assert (refusing.done, refusing.after, site.waiting()) == (True, Outcome.PARTY_CRASHER, [])


def test_a_failure_on_one_message_leaves_it_and_goes_on(site: Site) -> None:
    site.receive(UNPROVEN)
    site.receive(answer("ola@ext.example", "invites@crm.example", uid="m2@crm.example", number=2))
    desk = site.with_policy(require_authentication=False).desk
    judge = desk.judge

    def tripping(connection: Connection, message: kept.Kept, who: int | None) -> review.Ruling:
        if message.number == 1:
            raise ZeroDivisionError("a fault of ours")
        return judge(connection, message, who)

    failed, done = review.apply_all(replace(desk, judge=tripping))
    assert isinstance(failed, tuple)
    assert (failed[0].number, str(failed[1])) == (1, "a fault of ours")
    assert isinstance(done, Settled)
    assert (done.number, done.done, site.waiting()) == (2, True, [1])


def test_what_our_own_fault_held_is_judged_after_the_repair(site: Site) -> None:
    raw = answer("ola@ext.example")
    with site.store.write() as connection:
        number = inbox.record(
            connection,
            inbox.Record(
                "digest",
                len(raw),
                ARRIVED,
                Outcome.HELD,
                "this program failed on it: KeyError",
                raw=raw,
            ),
            NOW,
        )
    assert review.apply(site.desk, number).after is Outcome.APPLIED
    assert site.status()[0] == "not_started"
    message = site.message(number)
    assert (message.from_address, message.message_id, message.follow_up) == (
        "ola@ext.example",
        "1@ext.example",
        "m1",
    )
    assert site.receive(raw) is Outcome.DUPLICATE


def heading(site: Site) -> tuple[str, str]:
    """From whom the last message is, and about what, as the list shows it."""
    with site.store.read() as connection:
        columns = (schema.inbox.c.from_address, schema.inbox.c.subject)
        row = connection.execute(sa.select(*columns).order_by(schema.inbox.c.id.desc())).first()
    assert row is not None
    return row.from_address, row.subject


def test_a_message_of_which_only_the_header_is_kept_stays_too_large(site: Site) -> None:
    raw = answer("ola@ext.example")
    head = raw.partition(b"\r\n\r\n")[0]
    [result] = site.processor.receive([Received(head, ARRIVED, 9_000_000, complete=False)])
    assert result.outcome is Outcome.TOO_LARGE
    assert heading(site) == ("ola@ext.example", "Accepted: Kick-off")
    bigger = Site(
        site.store,
        site.settings.model_copy(
            update={"inbound": site.settings.inbound.model_copy(update={"max_bytes": 20_000_000})}
        ),
    )
    assert review.apply(bigger.desk, 1).after is Outcome.TOO_LARGE


def test_a_larger_limit_lets_a_whole_message_through(site: Site) -> None:
    tight = Site(
        site.store,
        site.settings.model_copy(
            update={"inbound": site.settings.inbound.model_copy(update={"max_bytes": 100})}
        ),
    )
    assert tight.receive(answer("ola@ext.example")) is Outcome.TOO_LARGE
    assert heading(site) == ("ola@ext.example", "Accepted: Kick-off")
    assert not review.apply(tight.desk, 1).done
    assert review.apply(site.desk, 1).after is Outcome.APPLIED


def test_the_same_mail_that_had_its_effect_meanwhile_is_a_duplicate(site: Site) -> None:
    site.receive(ALIAS)
    review.learn(site.desk, "ola@home.example", "ola")
    assert site.receive(ALIAS) is Outcome.APPLIED
    settled = review.apply(site.desk, 1)
    assert (settled.done, settled.after) == (True, Outcome.DUPLICATE)


def both(
    to: str = "invites+olatoken@crm.example",
    second: str = "m2@crm.example",
    attendee: str = "ola@ext.example",
    more: str = "",
) -> bytes:
    """One mail of Ola's that answers two follow-ups."""
    first, other = (
        answer("ola@ext.example", to, one, uid=uid, more=more).decode()
        for uid, one in (("m1@crm.example", "ola@ext.example"), (second, attendee))
    )
    event = other[other.index("BEGIN:VEVENT") : other.index("END:VCALENDAR")]
    return first.replace("END:VCALENDAR", f"{event}END:VCALENDAR").encode()


VOUCHED = f"Authentication-Results: {OURS}; dmarc=pass header.from=ext.example\r\n"


def test_a_part_that_a_person_must_see_waits_though_another_part_had_its_effect(site: Site) -> None:
    assert site.receive(both()) is Outcome.HELD
    assert (site.status()[0], site.status(follow_up="m2")[0]) == ("not_started", "invitation")
    [case] = review.waiting(site.store)
    assert (case.kept.follow_up, case.participant) == ("m2", "ola")
    # The owner's own word since is not undone by what had its effect before.
    with site.store.write() as connection:
        connection.execute(
            sa.update(schema.participant)
            .where(schema.participant.c.follow_up == "m1")
            .values(set_status=9)
        )
    planning.plan_due(site.store, site.settings, NOW, everything=True)
    done = review.apply(site.desk, 1, named="ola")
    assert (done.before, done.after, done.done) == (Outcome.HELD, Outcome.APPLIED, True)
    assert [one.answer.conclusion.outcome for one in done.consequences] == [
        Outcome.DUPLICATE,
        Outcome.APPLIED,
    ]
    assert (site.status()[0], site.status(follow_up="m2")[0]) == ("declined", "not_started")
    assert site.waiting() == []


def test_a_crasher_on_one_follow_up_waits_though_he_was_invited_to_another(site: Site) -> None:
    with site.store.write() as connection:
        connection.execute(
            sa.delete(schema.participant).where(schema.participant.c.follow_up == "m2")
        )
        connection.execute(
            sa.insert(schema.participant).values(
                follow_up="m2", email="eva@other.example", email_invite=True
            )
        )
    assert site.receive(both("invites@crm.example", more=VOUCHED)) is Outcome.PARTY_CRASHER
    assert site.status()[0] == "not_started"
    [case] = review.waiting(site.store, "m2")
    assert case.question == "ola@ext.example answered m2 without having been invited: add him?"
    assert review.apply(site.desk, 1, add=True).done
    assert site.status("ola@ext.example", "m2")[0] == "not_started"


def test_of_two_parts_that_wait_one_is_settled_and_the_other_waits_on(site: Site) -> None:
    assert site.receive(both("invites@crm.example")) is Outcome.HELD
    done = review.apply(site.desk, 1, named="m1/ola")
    assert (done.after, done.done, [one.answer.follow_up for one in done.consequences]) == (
        Outcome.HELD,
        False,
        ["m1"],
    )
    assert (site.status()[0], site.status(follow_up="m2")[0]) == ("not_started", "invitation")
    assert [one.kept.follow_up for one in review.waiting(site.store)] == ["m2"]
    assert review.apply(site.desk, 1, named="ola").done
    assert site.status(follow_up="m2")[0] == "not_started"
    assert site.waiting() == []
    assert [one["verb"] for one in site.message(1).detail["history"]] == [
        "apply --as m1/ola",
        "apply --as ola",
    ]


def test_a_mail_about_two_follow_ups_has_its_effect_once_on_each(site: Site) -> None:
    """The same mail by another way, without a DTSTAMP by which it could be told
    from a newer answer.
    """
    mail = re.sub(rb"DTSTAMP:\w+\r\n", b"", both(more=VOUCHED))
    assert site.receive(mail) is Outcome.APPLIED
    with site.store.write() as connection:
        connection.execute(
            sa.update(schema.participant)
            .where(schema.participant.c.person == "ola")
            .values(set_status=9)
        )
    planning.plan_due(site.store, site.settings, NOW, everything=True)
    assert site.receive(b"X-Way: another\r\n" + mail, NOW) is Outcome.DUPLICATE
    assert [site.status(follow_up=key)[0] for key in ("m1", "m2")] == ["declined", "declined"]


@time_machine.travel(NOW, tick=True)
def test_foretelling_and_explaining_write_nothing(site: Site) -> None:
    vouched = f"Authentication-Results: {OURS}; dmarc=pass header.from=far.example\r\n"
    raw = answer("sam@far.example", "invites@crm.example", more=vouched)
    site.receive(raw)
    before = site.events()
    adding = site.with_policy(party_crasher="add")
    told = review.foretell(adding.desk, 1)
    assert told is not None
    assert (told.done, told.after, told.consequences[0].after) == (
        True,
        Outcome.APPLIED,
        "not_started",
    )
    assert adding.processor.explain(Received(raw, ARRIVED, len(raw))).outcome is Outcome.APPLIED
    assert (site.events(), site.keys(), site.waiting()) == (
        before,
        {"ola", "eva@other.example"},
        [1],
    )


def test_a_proposal_is_accepted_once(site: Site) -> None:
    times = "DTSTART:20261203T090000Z\r\nDTEND:20261203T100000Z\r\n"
    assert (
        site.receive(answer("ola@ext.example", method="COUNTER", partstat="TENTATIVE", times=times))
        is Outcome.PROPOSAL
    )
    [request] = review.requests(site.store, "m1")
    assert (request.participant, request.proposal.start) == (
        "ola",
        datetime(2026, 12, 3, 9, tzinfo=UTC),
    )
    assert review.requests(site.store, "m2") == []
    assert review.decide(site.desk, request.proposal.id, accept=True)[1]
    assert not review.decide(site.desk, request.proposal.id, accept=True)[1]
    with pytest.raises(Refused, match="accepted already"):
        review.decide(site.desk, request.proposal.id, accept=False)
    with site.store.read() as connection:
        start = connection.execute(
            sa.select(schema.follow_up.c.start_at).where(schema.follow_up.c.key == "m1")
        ).scalar_one()
        state = connection.execute(
            sa.select(schema.proposal.c.state, schema.proposal.c.settled_by)
        ).one()
    assert (start, tuple(state)) == (
        datetime(2026, 12, 3, 9, tzinfo=UTC),
        (ProposalState.ACCEPTED, "kari"),
    )
    assert review.requests(site.store) == []
