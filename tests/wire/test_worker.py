"""The sender with a real store, talking to a server that misbehaves at every step (issue 4, shown
by 5).

Whatever the server does: no letter is lost, none is sent twice with different content, none is
counted as sent that was not taken, and letters to other destinations go on meanwhile. Judged from
what the server kept, and from the store.
"""

import asyncio
import contextlib
import re
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway import settings
from gateway.actions import load, planning
from gateway.model import LetterState
from gateway.outbound import turns, worker
from gateway.settings import Settings
from gateway.store import engine, journal, leases, meta, outbox, pace
from gateway.store.engine import Store
from tests import stores, waiting
from tests.core import signing
from tests.wire.smtp_peer import Action, Drop, Hang, Letter, Peer, Say, Wait

DEADLINE_SECONDS = 60.0
QUICK, PATIENT = 0.3, 60.0
"""Seconds to wait for an answer where none will come,
and where a test must not depend on the wait's end.
"""
BAD, GOOD = "bad.example", "good.example"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "IDLE_SECONDS", 0.05)


def configured(
    peer: Peer,
    *,
    timeout: float = PATIENT,
    smtp: Mapping[str, object] | None = None,
    mail: Mapping[str, object] | None = None,
    outbound: Mapping[str, object] | None = None,
    accounts: Mapping[str, object] | None = None,
) -> Settings:
    return settings.load(
        overrides={
            "mail": {"address": "invites@crm.example", **(mail or {})},
            "accounts": accounts or {},
            "smtp": {
                "host": "127.0.0.1",
                "port": peer.port,
                "security": "none",
                "timeout_seconds": timeout,
                **(smtp or {}),
            },
            # Waits between tries must not be what a test measures.
            "outbound": {
                "coalesce_seconds": 0,
                "first_retry_seconds": 0.01,
                "longest_retry_seconds": 0.05,
                **(outbound or {}),
            },
        }
    )


def invite(
    store: Store, effective: Settings, key: str, *addresses: str, owner: str = "kari"
) -> None:
    """A follow-up of its own for each address, planned."""
    with store.write() as connection:
        load.load(
            connection,
            {
                "associates": [
                    {"key": "kari", "name": "Kari", "group": "Sales"},
                    {"key": "per", "name": "Per"},
                ],
                "follow_ups": [
                    {
                        "key": f"{key}{number}",
                        "owner": owner,
                        "title": f"{key} {number}",
                        "start": "2099-12-01T09:00:00",
                        "end": "2099-12-01T10:00:00",
                        "participants": [{"email": address, "email_invite": True}],
                    }
                    for number, address in enumerate(addresses)
                ],
            },
            effective,
            datetime.now(UTC),
        )
    planning.plan_due(store, effective, datetime.now(UTC), everything=True)


def people(number: int, domain: str) -> list[str]:
    return [f"p{one}@{domain}" for one in range(number)]


def _planned(template: Path, folder: Path, **invited: list[str]) -> Path:
    """A store with these letters waiting, to copy from: planning them takes longer than sending."""
    path = Path(shutil.copy(template, folder / "store.db"))
    peer = Peer()
    peer.port = 25
    with closing(Store(f"sqlite:///{path}")) as store:
        for key, addresses in invited.items():
            invite(store, configured(peer), key, *addresses)
    return path


@pytest.fixture(scope="module")
def eight(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    invited = [*people(4, BAD), *people(4, GOOD)]
    return _planned(sqlite_template, tmp_path_factory.mktemp("eight"), m=invited)


@pytest.fixture(scope="module")
def many_bad(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    return _planned(sqlite_template, folder, bad=people(24, BAD), good=people(10, GOOD))


def states(store: Store) -> dict[str, LetterState]:
    """Address → where its letter stands; there is one for each address in these tests."""
    with store.read() as connection:
        return {
            one.letter.address: one.state for one in outbox.pending(connection, list(LetterState))
        }


@contextlib.asynccontextmanager
async def working(
    store: Store, effective: Settings, *names: str
) -> AsyncIterator[list[asyncio.Event]]:
    """Senders of these accounts at work, cut off at the end.
    Gives the events that tell them of new letters.
    """
    with store.write() as connection:
        secret = meta.site_secret(connection)
    due = [asyncio.Event() for _ in names or ("default",)]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(
                worker.Worker(store, effective, secret, leases.identity(), event, name).run(
                    asyncio.Event()
                )
            )
            for name, event in zip(names or ("default",), due, strict=True)
        ]
        try:
            yield due
        finally:
            for task in tasks:
                task.cancel()


async def until(
    store: Store, true: Callable[[dict[str, LetterState]], bool]
) -> dict[str, LetterState]:
    """The states as soon as `true` of them; fails with what they are."""
    return await waiting.until(partial(states, store), true)


def over(seen: Mapping[str, LetterState]) -> bool:
    return not [state for state in seen.values() if state in outbox.OPEN]


def recipient(letter: Letter) -> str:
    found = re.fullmatch(rb"RCPT TO:<(.*)>", letter.recipient)
    assert found
    return found[1].decode()


def judge(peer: Peer, seen: Mapping[str, LetterState], refusable: str = "") -> None:
    """Nothing lost, nothing twice with different content,
    nothing called sent that was not taken.
    """
    taken, offered = defaultdict[str, list[bytes]](list), defaultdict[str, set[bytes]](set)
    for letter in peer.letters:
        taken[recipient(letter)].append(letter.content)
    for letter in peer.offered:
        offered[recipient(letter)].add(letter.content)
    assert {address for address, contents in offered.items() if len(contents) > 1} == set()
    for address, state in seen.items():
        if state is LetterState.SENT:
            assert len(taken[address]) == 1, address
        else:
            assert state is LetterState.REFUSED, (address, state)
            assert refusable, address
            assert not taken[address], address
    assert set(taken) <= set(seen)


STEPS = ("greeting", "ehlo", "mail", "rcpt", "data", "content", "body")
ACCIDENTS: dict[str, Action] = {
    **{
        str(code): Say(b"%d %b no\r\n" % (code, enhanced), hang_up=code == 421)
        for code, enhanced in (
            (421, b"4.3.2"),
            (450, b"4.2.0"),
            (451, b"4.3.0"),
            (452, b"4.3.1"),
            (550, b"5.1.1"),
            (554, b"5.0.0"),
        )
    },
    "garbage": Say(b"\x00\xff garbage\r\n"),
    "two answers": Say(b"250 Ok\r\n250 Ok\r\n"),
    "drop": Drop(),
    "reset": Drop(reset=True),
    "never": Hang(),
}


def happens(name: str, step: str) -> Action:
    """The accident of that name as it can happen at that step."""
    accident = ACCIDENTS.get(name) or Wait(drip=True)
    if isinstance(accident, Wait):
        accident.event.set()
    if isinstance(accident, Say) and step == "content" and name != "two answers":
        return replace(accident, hang_up=True)  # who speaks amid a letter has not taken it
    return accident


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", [*ACCIDENTS, "slowly"])
async def test_every_letter_comes_to_its_end_whatever_happens_at_whatever_step(
    store: Store, eight: Path, step: str, name: str
) -> None:
    """The first three connections go wrong; the server is well from then on."""
    accident = happens(name, step)
    peer = Peer(*[{step: accident}] * 3, {})
    refusable = (
        step in ("rcpt", "data", "body", "content")
        and isinstance(accident, Say)
        and accident.words[:1] == b"5"
    )
    stores.renew(store, eight)
    async with peer.serving():
        effective = configured(
            peer, timeout=QUICK if isinstance(accident, Hang) else PATIENT, smtp={"connections": 2}
        )
        async with working(store, effective):
            seen = await until(store, over)
    judge(peer, seen, step if refusable else "")
    if not refusable:
        assert set(seen.values()) == {LetterState.SENT}
    assert len(seen) == 8


@pytest.mark.parametrize("step", ["rcpt", "data", "content", "body"])
@pytest.mark.parametrize("name", ["never", "drop", "451", "421", "garbage"])
async def test_a_destination_that_never_works_holds_up_no_other(
    store: Store, many_bad: Path, step: str, name: str
) -> None:
    """Its letters are the older ones, and more than are ever claimed at a time; where it hangs, no
    wait ends during the test.
    """
    peer = Peer(to={BAD: {step: happens(name, step)}})
    stores.renew(store, many_bad)
    async with peer.serving():
        effective = configured(peer, outbound={"batch": 8})
        async with working(store, effective) as [due]:
            await until(
                store, lambda seen: all(seen[one] is LetterState.SENT for one in people(10, GOOD))
            )
            later = [f"later{one}@{GOOD}" for one in range(5)]
            await asyncio.to_thread(invite, store, effective, "later", *later)
            due.set()
            seen = await until(
                store, lambda seen: all(seen[one] is LetterState.SENT for one in later)
            )
    assert {state for address, state in seen.items() if address.endswith(BAD)} <= {
        LetterState.WAITING,
        LetterState.SENDING,
    }
    assert len([one for one in peer.letters if recipient(one).endswith(GOOD)]) == 15
    judge(peer, {address: state for address, state in seen.items() if address.endswith(GOOD)})


@pytest.mark.parametrize("key", ["", *signing.KINDS])
async def test_a_letter_is_repeated_with_the_same_bytes_where_the_answer_to_its_dot_was_lost(
    store: Store, key: str
) -> None:
    mail = {"dkim_selector": signing.SELECTOR, "dkim_key": signing.pem(key)} if key else {}
    peer = Peer(
        {"body": Drop()}, {"body": Say(b"\x00\xff garbage\r\n")}, {"body": Drop(reset=True)}, {}
    )
    async with peer.serving():
        effective = configured(peer, smtp={"connections": 1}, mail=mail)
        invite(store, effective, "m", f"ola@{GOOD}")
        async with working(store, effective):
            seen = await until(store, over)
    assert seen == {f"ola@{GOOD}": LetterState.SENT}
    assert len(peer.offered) == 4
    [content] = {one.content for one in peer.offered}
    assert (
        signing.verifies(content, signing.signer(key).record)
        if key
        else b"DKIM-Signature" not in content
    )
    with store.read() as connection:
        assert [(one.step, one.code) for one in outbox.attempts(connection, 1)] == [
            ("body", None)
        ] * 3 + [("body", 250)]


async def test_what_was_sent_is_remembered_while_the_store_is_away(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY_MILLISECONDS", 50)
    monkeypatch.setattr(worker, "STORE_WAITS", (0.05,))
    answer = asyncio.Event()
    peer = Peer(*[{"body": Wait(answer)}] * 3, {})
    assert store.path is not None
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        async with peer.serving():
            effective = configured(peer, smtp={"connections": 3})
            invite(store, effective, "m", *people(3, GOOD))
            with capture_logs() as logs:
                async with working(store, effective):
                    await peer.until(lambda seen: seen.dots >= 1)
                    other.execute("BEGIN IMMEDIATE")
                    answer.set()
                    await waiting.until(
                        lambda: any("the store cannot be used" in str(one["event"]) for one in logs)
                    )
                    other.execute("ROLLBACK")
                    seen = await until(store, over)
        assert set(seen.values()) == {LetterState.SENT}
        assert sorted(recipient(one) for one in peer.letters) == sorted(people(3, GOOD))


async def test_an_account_that_may_not_sign_in_rests_with_one_alarm_and_one_letter_tries_again(
    store: Store,
) -> None:
    peer = Peer(users={"gw": "secret"})
    async with peer.serving():
        wrong = configured(peer, smtp={"username": "gw", "password": "mistaken", "connections": 3})
        invite(store, wrong, "m", *people(20, GOOD))
        async with working(store, wrong):
            await peer.until(
                lambda peer: len([line for line in peer.lines if line.startswith(b"AUTH")]) >= 6
            )
            with store.read() as connection:
                [rest] = pace.resting(connection)
            assert (rest.account, rest.why) == ("default", "account")
            assert "535 5.7.8 wrong user or password" in rest.words
            # Two letters find out at first (half of three connections, and one more), then one for
            # each try.
            tries = len([line for line in peer.lines if line.startswith(b"AUTH")])
            assert rest.failures <= tries <= rest.failures + 2
        assert set((await asyncio.to_thread(states, store)).values()) == {LetterState.WAITING}
        async with working(
            store, configured(peer, smtp={"username": "gw", "password": "secret", "connections": 3})
        ):
            seen = await until(store, over)
    judge(peer, seen)
    with store.read() as connection:
        assert pace.resting(connection) == []
        told = [
            one.event
            for one in journal.after(connection, 0, 1000)
            if one.event.startswith("account_")
        ]
    assert told == ["account_paused", "account_resumed"]


async def test_accounts_send_through_their_own_server_and_rest_by_themselves(store: Store) -> None:
    down, up = Peer({"greeting": Say(b"554 5.3.2 no\r\n")}), Peer()
    async with down.serving(), up.serving():
        effective = configured(
            down,
            accounts={
                "sales": {
                    "groups": ["Sales"],
                    "mail": {"address": "sales@crm.example"},
                    "smtp": {"host": "127.0.0.1", "port": up.port, "security": "none"},
                }
            },
        )
        invite(store, effective, "plain", *people(3, BAD), owner="per")
        invite(store, effective, "sales", *people(3, GOOD), owner="kari")
        async with working(store, effective, "default", "sales"):
            seen = await until(
                store, lambda seen: all(seen[one] is LetterState.SENT for one in people(3, GOOD))
            )
            await down.until(lambda peer: len(peer.sessions) >= 2)
    assert {seen[one] for one in people(3, BAD)} <= {LetterState.WAITING, LetterState.SENDING}
    assert not down.offered
    assert {recipient(one) for one in up.letters} == set(people(3, GOOD))
    assert all(one.sender.startswith(b"MAIL FROM:<sales+b_") for one in up.letters)
    assert all(
        b"sales@crm.example" in one.content and b"invites@" not in one.content for one in up.letters
    )


async def test_a_minutes_limit_is_kept_and_lets_other_domains_through(store: Store) -> None:
    peer = Peer()
    async with peer.serving():
        effective = configured(peer, outbound={"domain_per_minute": 3})
        invite(store, effective, "bad", *people(20, BAD))
        invite(store, effective, "good", *people(2, GOOD))
        async with working(store, effective):
            await until(store, lambda seen: list(seen.values()).count(LetterState.SENT) == 5)
            await until(
                store, lambda seen: all(state is not LetterState.SENDING for state in seen.values())
            )
    assert len([one for one in peer.letters if recipient(one).endswith(BAD)]) == 3
    assert len([one for one in peer.letters if recipient(one).endswith(GOOD)]) == 2


async def test_more_connections_are_used_while_the_server_takes_letters(store: Store) -> None:
    peer, letters = Peer(), [f"p{number}@d{number % 5}.example" for number in range(120)]
    async with peer.serving():
        effective = configured(peer)
        invite(store, effective, "m", *letters)
        async with working(store, effective):
            seen = await until(store, over)
    assert set(seen.values()) == {LetterState.SENT}
    assert turns.FEW < peer.most_open <= effective.smtp.connections


async def test_a_server_that_turns_away_what_is_too_many_gets_fewer(store: Store) -> None:
    peer, letters = Peer(let_in=8), [f"p{number}@d{number % 5}.example" for number in range(120)]
    async with peer.serving():
        effective = configured(peer)
        invite(store, effective, "m", *letters)
        with capture_logs() as logs:
            async with working(store, effective):
                seen = await until(store, over)
    assert set(seen.values()) == {LetterState.SENT}
    assert sorted(recipient(letter) for letter in peer.letters) == sorted(letters)
    assert peer.most_open > 8, "it was asked for more than it lets in"
    events = [entry["event"] for entry in logs]
    assert events.count("the server allows fewer connections") == 1
    assert "sending pauses" not in events
