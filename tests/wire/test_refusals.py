"""Whose fault a refusal is, with a real store and a server that says no: nobody is blamed for what
is the account's, and one letter keeps no other waiting.
"""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial

from structlog.testing import capture_logs
from structlog.typing import EventDict

from gateway.actions import queue
from gateway.mail import refusals
from gateway.model import Delivery, LetterState
from gateway.store import invitations, journal, outbox, pace
from gateway.store.engine import Store
from gateway.store.outbox import Selection
from tests import waiting
from tests.wire.smtp_peer import Action, Peer, Say
from tests.wire.test_worker import (
    GOOD,
    configured,
    invite,
    judge,
    over,
    people,
    states,
    until,
    working,
)

SPAM = "spam.example"


def deliveries(store: Store) -> set[Delivery]:
    with store.read() as connection:
        return {one.delivery for one in invitations.deliveries(connection, None).values()}


def events(store: Store, *names: str) -> list[str]:
    """What the journal says of these, oldest first."""
    with store.read() as connection:
        told = [one.event for one in journal.after(connection, 0, 5000)]
    return [event for event in told if event in names]


def alarms(logs: list[EventDict]) -> list[EventDict]:
    return [one for one in logs if one["log_level"] == "error"]


async def rests(store: Store, peer: Peer, tries: int) -> None:
    """Wait until the account rests and has been tried so often."""

    def resting() -> int:
        with store.read() as connection:
            return max([one.failures for one in pace.resting(connection)], default=0)

    await waiting.until(resting, lambda seen: seen >= tries)


async def none_is_blamed(store: Store, script: Mapping[str, Action]) -> list[EventDict]:
    """Six invitees meet the script one after another; then the server relents. Returns the log."""
    going = dict(script)
    peer = Peer(going)
    with capture_logs() as logs:
        async with peer.serving():
            effective = configured(peer, smtp={"connections": 1})
            invite(store, effective, "m", *people(6, GOOD))
            async with working(store, effective):
                await rests(store, peer, 4)
                assert set((await asyncio.to_thread(states, store)).values()) <= {
                    LetterState.WAITING,
                    LetterState.SENDING,
                }
                assert Delivery.UNDELIVERABLE not in deliveries(store)
                going.clear()
                seen = await until(store, over)
    assert set(seen.values()) == {LetterState.SENT}
    judge(peer, seen)
    assert deliveries(store) == {Delivery.SENT}
    assert len(alarms(logs)) == 1, alarms(logs)
    assert events(store, "account_paused", "account_resumed") == [
        "account_paused",
        "account_resumed",
    ]
    return logs


async def test_six_invitees_who_meet_the_accounts_quota_are_not_blamed(store: Store) -> None:
    words = b"554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException\r\n"
    await none_is_blamed(store, {"body": Say(words)})
    assert events(store, "undeliverable", "put_back") == []


async def test_six_invitees_who_meet_a_bare_quota_exceeded_are_not_blamed(store: Store) -> None:
    await none_is_blamed(store, {"rcpt": Say(b"550 quota exceeded\r\n")})


async def test_six_invitees_refused_in_words_that_nobody_knows_are_put_back(store: Store) -> None:
    await none_is_blamed(store, {"rcpt": Say(b"550 5.0.0 the stars are not right\r\n")})
    assert len(events(store, "undeliverable")) <= 2, "before there were three"
    assert len(events(store, "put_back")) >= 3


async def test_three_invitees_who_are_gone_in_words_nobody_knows_come_to_an_end(
    store: Store,
) -> None:
    peer = Peer({"rcpt": Say(b"550 5.0.0 the stars are not right\r\n")})
    async with peer.serving():
        effective = configured(peer, outbound={"give_up_seconds": 0.05})
        invite(store, effective, "m", *people(3, GOOD))
        async with working(store, effective):
            seen = await until(store, over)
            await waiting.until(lambda: not resting(store))
    assert set(seen.values()) == {LetterState.REFUSED}
    assert deliveries(store) == {Delivery.UNDELIVERABLE}
    assert events(store, "account_paused", "account_resumed") == [
        "account_paused",
        "account_resumed",
    ]


def resting(store: Store) -> bool:
    with store.read() as connection:
        return bool(pace.resting(connection))


async def test_six_invitees_in_words_nobody_knows_over_restarts(store: Store) -> None:
    """What was refused before the restart counts."""
    going: dict[str, Action] = {"rcpt": Say(b"550 5.0.0 the stars are not right\r\n")}
    peer = Peer(going)
    async with peer.serving():
        effective = configured(peer, smtp={"connections": 1})
        for number, address in enumerate(people(3, GOOD)):
            invite(store, effective, f"m{number}", address)
            async with working(store, effective):
                await peer.until(partial(asked, times=number + 1))
                await until(store, lambda seen: LetterState.SENDING not in seen.values())
        going.clear()
        async with working(store, effective):
            seen = await until(store, over)
    assert set(seen.values()) == {LetterState.SENT}


def asked(peer: Peer, times: int) -> bool:
    """Whether it was asked so often to take a letter."""
    return len([line for line in peer.lines if line.startswith(b"RCPT")]) >= times


async def one_among_fifty(store: Store, first: bool) -> None:
    peer = Peer(to={SPAM: {"body": Say(b"554 5.7.1 Spam message rejected\r\n")}})
    others = people(49, GOOD)
    with capture_logs() as logs:
        async with peer.serving():
            effective = configured(peer, smtp={"connections": 4})
            addresses = (f"ola@{SPAM}", *others) if first else (*others, f"ola@{SPAM}")
            invite(store, effective, "m", *addresses)
            async with working(store, effective):
                seen = await until(store, over)
    judge(peer, seen, refusable=SPAM)
    assert [seen[one] for one in others] == [LetterState.SENT] * 49
    assert seen[f"ola@{SPAM}"] is LetterState.REFUSED
    assert len([one for one in peer.offered if SPAM.encode() in one.recipient]) <= 2
    assert len(alarms(logs)) <= 1
    with store.read() as connection:
        assert pace.resting(connection) == []


async def test_one_letter_refused_as_spam_among_fifty_keeps_none_waiting(store: Store) -> None:
    await one_among_fifty(store, first=False)


async def test_one_letter_refused_as_spam_before_all_others_keeps_none_waiting(
    store: Store,
) -> None:
    await one_among_fifty(store, first=True)


async def test_one_follow_up_refused_as_spam_for_all_its_guests_keeps_no_other_waiting(
    store: Store,
) -> None:
    """Where the others happen to be taken first, the refusals come in a row, and the account rests
    for them; that is over only when they are given up.
    """
    peer = Peer(to={SPAM: {"body": Say(b"554 5.7.1 Spam message rejected\r\n")}})
    async with peer.serving():
        effective = configured(peer, smtp={"connections": 2})
        invite(store, effective, "bad", *people(12, SPAM))
        invite(store, effective, "good", *people(12, GOOD))
        good = people(12, GOOD)
        async with working(store, effective):
            seen = await until(
                store, lambda seen: all(seen[one] is LetterState.SENT for one in good)
            )
    judge(peer, {address: seen[address] for address in good})


async def test_a_limit_on_connections_is_learned_and_counts_against_no_letter(
    store: Store,
) -> None:
    peer = Peer(most=3)
    with capture_logs() as logs:
        async with peer.serving():
            effective = configured(peer, smtp={"connections": 10})
            invite(store, effective, "a", *people(40, GOOD))
            invite(store, effective, "b", *people(40, "other.example"))
            async with working(store, effective):
                seen = await until(store, over)
            refused = sum(session.crowded for session in peer.sessions)
    assert set(seen.values()) == {LetterState.SENT}
    judge(peer, seen)
    assert 1 <= refused <= 10
    assert alarms(logs) == []
    with store.read() as connection:
        letters = outbox.find(connection, Selection())
        assert {one.tries for one in letters} == {1}
    assert events(store, "account_paused") == []


async def test_to_try_again_by_account_lets_a_letter_go_at_once(store: Store) -> None:
    going: dict[str, Action] = {"mail": Say(b"550 5.7.1 no\r\n")}
    peer = Peer(going)
    async with peer.serving():
        effective = configured(
            peer, outbound={"first_retry_seconds": 3600, "longest_retry_seconds": 7200}
        )
        invite(store, effective, "m", *people(3, GOOD))
        async with working(store, effective):
            await rests(store, peer, 1)
            going.clear()
            await asyncio.to_thread(
                queue.change,
                store,
                queue.Verb.RETRY,
                Selection(account="default"),
                datetime.now(UTC),
                "root",
            )
            seen = await until(store, over)
    assert set(seen.values()) == {LetterState.SENT}


async def test_a_letter_that_is_put_off_does_not_end_the_rest_of_the_account(
    store: Store,
) -> None:
    """Elsewise the next letters meet the trouble anew, with an alarm each time."""
    quota: dict[str, Action] = {"body": Say(b"550 5.4.5 Daily sending quota exceeded\r\n")}
    peer = Peer(to={GOOD: quota, "slow.example": {"rcpt": Say(b"450 4.2.0 greylisted\r\n")}})
    with capture_logs() as logs:
        async with peer.serving():
            # What is put off waits so long that the account gets its turn on a slow machine, too.
            waits = {"longest_retry_seconds": 5}
            effective = configured(peer, smtp={"connections": 1}, outbound=waits)
            invite(store, effective, "m", *people(2, GOOD))
            invite(store, effective, "s", *people(3, "slow.example"))
            async with working(store, effective):
                await rests(store, peer, 4)
                await peer.until(
                    lambda seen: len([one for one in seen.lines if b"slow.example" in one]) > 6
                )
                assert events(store, "account_resumed") == []
                quota.clear()
                await until(store, lambda seen: LetterState.SENT in seen.values())
    assert len(alarms(logs)) == 1, alarms(logs)


async def test_a_letter_that_alone_names_our_side_comes_to_an_end(store: Store) -> None:
    """A forwarder or one company's rules say so: the owner has to know, and the account may not
    rest for it for ever.
    """
    answer = Say(b"550 5.7.1 Email rejected per DMARC policy for crm.example\r\n")
    peer = Peer(to={SPAM: {"body": answer}})
    async with peer.serving():
        effective = configured(peer, smtp={"connections": 1}, outbound={"give_up_seconds": 0.05})
        invite(store, effective, "bad", f"ola@{SPAM}")
        async with working(store, effective):
            for number in range(refusals.TRIES + 20):
                address = f"p{number}@{GOOD}"
                invite(store, effective, f"good{number}", address)
                times = _to_spam(peer)
                seen = await until(store, partial(_sent, address))
                if seen[f"ola@{SPAM}"] is LetterState.REFUSED:
                    break
                await peer.until(partial(_more_to_spam, times))
            seen = await until(store, over)
    assert seen.pop(f"ola@{SPAM}") is LetterState.REFUSED
    assert set(seen.values()) == {LetterState.SENT}
    assert Delivery.UNDELIVERABLE in deliveries(store)


def _sent(address: str, seen: Mapping[str, LetterState]) -> bool:
    return seen.get(address) is LetterState.SENT


def _to_spam(peer: Peer) -> int:
    return len([one for one in peer.offered if SPAM in one.recipient.decode()])


def _more_to_spam(times: int, peer: Peer) -> bool:
    return _to_spam(peer) > times
