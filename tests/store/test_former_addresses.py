"""An address that was corrected speaks for the invitee no more (itip.md §5), on both databases: it
may have been a stranger's from the beginning. What was on its way when it changed is the invitee's.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
import time_machine

from gateway import settings as configuration
from gateway.actions import load, planning, review
from gateway.inbound import process
from gateway.mail import links
from gateway.model import Delivery, Letter, LetterState, Method, Outcome, Reply
from gateway.store import claims, followups, meta
from gateway.store.engine import Store
from gateway.store.outbox import Settlement
from tests.faults import holdings
from tests.store import rows

TYPO, RIGHT = "ola.typo@gmail.com", "ola@ext.example"
MINUTE = timedelta(minutes=1)
CHANGED = rows.NOW + 5 * MINUTE
MAIL = {"mail": {"address": "invites@crm.example"}, "policy": {"authserv_id": "mx.crm.example"}}
VOUCHED = b"Authentication-Results: mx.crm.example; dmarc=pass header.from=gmail.com\r\n"
CORRECTIONS = {
    "person": f"UPDATE person_email SET address = '{RIGHT}'",
    "email": f"UPDATE participant SET email = '{RIGHT}'",
}


@dataclass
class Site:
    """A meeting with one invitee, invited where his address was mistyped."""

    store: Store
    settings: configuration.Settings
    letter: Letter

    @property
    def kind(self) -> str:
        """What kind of record has the address."""
        return "person" if self.member.key == "ola" else "email"

    def change(self, *statements: str, at: datetime = CHANGED) -> None:
        """Another program writes, and every letter that is owed leaves."""
        rows.run(self.store, *statements)
        _post(self.store, self.settings, at)

    def correct(self) -> None:
        """To the right address, by the record that has it."""
        self.change(CORRECTIONS[self.kind])
        assert self.member.address == RIGHT

    @property
    def member(self) -> followups.Member:
        with self.store.read() as connection:
            [member] = followups.members(connection, "m1")
        return member

    @property
    def said(self) -> list[Reply]:
        answers = (one.reply for one in self.member.standings.values())
        return [one for one in answers if one is not Reply.NEEDS_ACTION]

    @property
    def desk(self) -> review.Desk:
        processor = process.Processor(self.store, self.settings)
        return review.Desk(self.store, self.settings, processor.again, "kari", CHANGED)

    def receive(self, raw: bytes, arrived: datetime) -> process.Result:
        with time_machine.travel(CHANGED + 9 * MINUTE, tick=False):
            received = process.Received(raw, arrived, len(raw))
            [result] = process.Processor(self.store, self.settings).receive([received])
        return result

    def decline(self, after: timedelta = MINUTE, to: str = "") -> process.Result:
        """Whoever reads the mistyped address declines the letter that came there.
        `after`: the correction.
        """
        letter = self.letter
        organizer, ours = (to, "") if to else (letter.organizer_address, letter.message_id)
        asked = holdings.Invitation(
            "REQUEST", letter.edition.uid, letter.sequence, organizer, ours, "", ""
        )
        raw = holdings.answer(asked, TYPO, "DECLINED", rows.NOW + MINUTE)
        return self.receive(VOUCHED + raw, CHANGED + after)

    def press_no(self, after: timedelta = MINUTE) -> process.Result:
        """The link in the letter says so, too."""
        letter = self.letter
        token = letter.organizer_address.partition("+")[2].partition("@")[0]
        with self.store.write() as connection:
            secret = meta.site_secret(connection)
        check = links.check(secret, token, links.WHOLE, letter.sequence)
        tag = links.subject_tag(Reply.DECLINED, links.WHOLE, letter.sequence, check)
        raw = (
            f"From: {TYPO}\r\nTo: {letter.organizer_address}\r\nSubject: No {tag}\r\n"
            "Message-ID: <link@gmail.com>\r\n\r\nNo\r\n"
        )
        return self.receive(raw.encode(), CHANGED + after)


def _post(store: Store, settings: configuration.Settings, at: datetime) -> list[Letter]:
    planning.plan_due(store, settings, at, everything=True)
    left = list[Letter]()
    with store.write() as connection:
        # A REQUEST to the new address leaves after the CANCEL to the old one.
        while claimed := claims.take(connection, "g1", at, 50):
            settled = [Settlement(one.id, LetterState.SENT, True, Delivery.SENT) for one in claimed]
            claims.settle(connection, settled, [], "g1", at)
            left += [one.letter for one in claimed]
    return left


@pytest.fixture(params=sorted(CORRECTIONS))
def site(store: Store, request: pytest.FixtureRequest) -> Site:
    settings = configuration.load(overrides=MAIL)
    known = request.param == "person"
    who = {"person": "ola"} if known else {"email": TYPO, "name": "Ola Hansen"}
    document = {
        "associates": [{"key": "kari", "name": "Kari", "email": "kari@crm.example"}],
        "persons": [{"key": "ola", "name": "Ola Hansen", "emails": [TYPO]}] if known else [],
        "follow_ups": [
            {
                "key": "m1",
                "owner": "kari",
                "title": "Kick-off",
                "start": "2026-12-01T09:00:00",
                "participants": [who | {"email_invite": True}],
            }
        ],
    }
    with store.write() as connection:
        load.load(connection, document, settings, rows.NOW)
    [letter] = _post(store, settings, rows.NOW)
    return Site(store, settings, letter)


WAYS = {
    "answer": Site.decline,
    "link": Site.press_no,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_stranger_at_the_mistyped_address_does_not_answer(site: Site, way: str) -> None:
    site.correct()
    result = WAYS[way](site)
    assert (result.outcome, site.said) == (Outcome.HELD, [])
    assert result.reason == (
        f"{TYPO} was invited for {RIGHT} until the address changed: the same person?"
    )
    [case] = review.waiting(site.store)
    assert case.question == f"{TYPO} answered for {RIGHT}: the same person?"


def test_without_a_token_he_is_not_let_in_either(site: Site) -> None:
    site.settings = configuration.load(
        overrides=MAIL | {"policy": MAIL["policy"] | {"party_crasher": "add"}}
    )
    site.correct()
    result = site.decline(to="invites@crm.example")
    assert (result.outcome, result.rules[-1].name) == (Outcome.HELD, "former_address")
    assert site.member.address == RIGHT


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_that_was_on_its_way_counts(site: Site, way: str) -> None:
    site.correct()
    assert WAYS[way](site, -MINUTE).outcome is Outcome.APPLIED
    assert site.said == [Reply.DECLINED]


def test_an_answer_before_the_correction_counts(site: Site) -> None:
    assert site.decline(-MINUTE).outcome is Outcome.APPLIED
    site.correct()


def test_what_the_owner_teaches_counts(site: Site) -> None:
    """It was his all the time: `review learn` says so."""
    site.correct()
    site.decline()
    [case] = review.waiting(site.store)
    assert review.learn_from(site.desk, case.kept.number).done
    assert site.said == [Reply.DECLINED]


def test_another_participant_may_have_had_it_all_the_time(site: Site) -> None:
    """He is not refused it for having been Ola's by mistake."""
    site.correct()
    rows.run(
        site.store, "INSERT INTO participant (follow_up, email) VALUES ('m1', 'eva@b.example')"
    )
    assert review.learn(site.desk, TYPO, "m1/eva@b.example")


def test_a_mistyped_address_that_is_changed_back_counts(site: Site) -> None:
    site.correct()
    site.change(CORRECTIONS[site.kind].replace(RIGHT, TYPO), at=CHANGED + MINUTE)
    assert site.decline(2 * MINUTE).outcome is Outcome.APPLIED


def test_who_was_taken_off_before_the_correction_does_not_answer(site: Site) -> None:
    """Nobody was invited at the right address, so the letter to the other one was the last."""
    site.change("UPDATE participant SET email_invite = FALSE")
    site.correct()
    assert site.decline().outcome is not Outcome.APPLIED
    assert site.said == []


@pytest.mark.parametrize("site", ["person"], indirect=True)
def test_what_the_directory_still_has_counts(site: Site) -> None:
    site.change(
        "UPDATE person_email SET position = 1",
        f"INSERT INTO person_email (person, position, address) VALUES ('ola', 0, '{RIGHT}')",
    )
    assert site.member.address == RIGHT
    assert site.decline().outcome is Outcome.APPLIED


def test_words_from_there_are_marked(site: Site) -> None:
    site.correct()
    raw = (
        f"From: {TYPO}\r\nTo: {site.letter.organizer_address}\r\nSubject: Who are you?\r\n"
        "Message-ID: <words@gmail.com>\r\n\r\nI do not know you.\r\n"
    )
    assert site.receive(raw.encode(), CHANGED + MINUTE).outcome is Outcome.COMMENT
    [words] = _post(site.store, site.settings, CHANGED + 9 * MINUTE)
    assert words.method is Method.NONE
    assert words.remarks.row is not None
    assert words.remarks.reply_to == RIGHT
