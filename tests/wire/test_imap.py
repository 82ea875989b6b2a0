"""The reading edge against a scripted peer, pymap and a real Dovecot.

What is promised: every message of the folder is offered in order, none is lost or moved before the
commit, and whatever the server does, the reader comes back.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import ssl
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog
import trustme
from proxyprotocol.noop import ProxyProtocolNoop
from proxyprotocol.reader import ProxyProtocolReader
from pymap.backend.dict import DictBackend
from pymap.imap import IMAPServer

from gateway import sections
from gateway.errors import ConfigurationError
from gateway.inbound import fetching, imap, imap_syntax, imap_wire, reader
from gateway.inbound.fetching import Fetched
from gateway.inbound.reader import Cursor, Folder, Reader
from tests import waiting
from tests.rig import dovecot as dovecot_server
from tests.rig import mailbox
from tests.rig.process import free_port
from tests.wire import imap_peer
from tests.wire.imap_peer import EVERYTHING, WAIT_SECONDS, Peer, bye, drop, freeze, says

HURRY = reader.Pace(first=0.01, longest=0.05, refused_first=0.01, refused_longest=0.05)
PASSWORD = 'sec"ret'


@dataclass
class Desk:
    """Whoever deals with the messages: keeps what a store would keep, and lets a test wait for
    it.
    """

    place: Callable[[Fetched], Folder] = lambda _: Folder.PROCESSED
    cursor: Cursor | None = None
    taken: list[Fetched] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    owed: dict[tuple[int, int], Folder] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)
    refuse: set[int] = field(default_factory=set)
    tries: Counter[int] = field(default_factory=Counter)
    begun: datetime | None = None
    states: list[reader.State] = field(default_factory=list)
    broken: int = 0
    settled: list[tuple[int, int]] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)

    def position(self) -> Cursor | None:
        return self.cursor

    def take(self, batch: list[Fetched]) -> list[tuple[Fetched, Folder]]:
        if self.broken:
            self.broken -= 1
            raise OSError("the disk is full")
        assert [message.uid for message in batch] == sorted({message.uid for message in batch})
        if self.cursor is None or self.cursor.uidvalidity != batch[0].uidvalidity:
            self.left.clear()
            self.cursor = Cursor(batch[0].uidvalidity, 0)
        self.cursor = Cursor(self.cursor.uidvalidity, max(self.cursor.uid, batch[-1].uid))
        self.tries.update(message.uid for message in batch if message.withheld)
        put_off = {
            one.uid for one in batch if one.withheld and self.tries[one.uid] < fetching.TRIES
        }
        good = [message for message in batch if message.uid not in self.refuse | put_off]
        self.left = sorted(
            {message.uid for message in batch if message.uid in self.refuse | put_off}
            | (set(self.left) - {message.uid for message in good})
        )
        self.taken += good
        self.batches.append(len(batch))
        placed = [(message, self.place(message)) for message in good]
        self.owed |= {
            (message.uidvalidity, message.uid): folder
            for message, folder in placed
            if folder is not Folder.STAY
        }
        self._loop.call_soon_threadsafe(self._changed.set)
        return placed

    def leftovers(self) -> list[int]:
        return list(self.left)

    def unmoved(self) -> list[tuple[int, int, Folder]]:
        return [(uidvalidity, uid, folder) for (uidvalidity, uid), folder in self.owed.items()]

    def moved(self, uidvalidity: int, uids: list[int]) -> None:
        for uid in uids:
            self.owed.pop((uidvalidity, uid), None)
            self.settled.append((uidvalidity, uid))
            if self.cursor and self.cursor.uidvalidity == uidvalidity:
                self.left = [other for other in self.left if other != uid]
        self._loop.call_soon_threadsafe(self._changed.set)

    def since(self) -> datetime | None:
        return self.begun

    def changed(self, state: reader.State) -> None:
        self.states.append(state)

    def pass_over(self, uidvalidity: int, uid: int) -> None:
        self.cursor = Cursor(uidvalidity, uid)

    def uids(self) -> list[int]:
        return [message.uid for message in self.taken]

    async def until(self, true: Callable[[], object]) -> None:
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                while not true():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(
                f"never came true; taken: {self.uids()[-20:]}, owed: {self.owed}"
            ) from None

    def reader(
        self,
        options: sections.Imap,
        *,
        max_bytes: int = 100_000,
        password: str = PASSWORD,
        pace: reader.Pace = HURRY,
    ) -> Reader:
        return Reader(
            options,
            self,
            password=password,
            max_bytes=max_bytes,
            pace=pace,
        )


async def once(subject: Reader) -> int:
    """One look at the mailbox, by a session of its own. Returns how many messages were dealt with;
    raises `imap_wire.MailboxError` or what a callback raised.
    """
    never = asyncio.Event()
    subject._owed = True
    async with subject._session(never) as session:
        return await subject._look(session, never)


def options(port: int, **changes: object) -> sections.Imap:
    return sections.Imap(
        **{
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "username": "invites",
            "timeout_seconds": 20,
            "poll_seconds": 3600,
        }
        | changes
    )


@contextlib.asynccontextmanager
async def reading(subject: Reader) -> AsyncIterator[None]:
    """Reads until the end of the block, and insists that stopping works."""
    stop = asyncio.Event()
    task = asyncio.ensure_future(subject.run(stop))
    try:
        yield
        assert not task.done()
    finally:
        stop.set()
        async with asyncio.timeout(WAIT_SECONDS):
            await task
    assert not subject.state.connected


@pytest.fixture
async def peer(caplog: pytest.LogCaptureFixture, small_heap: None) -> AsyncIterator[Peer]:
    async with imap_peer.running() as running:
        yield running
        assert running.left() == []
    gc.collect()  # errors that nobody looked at are reported when they are thrown away
    assert [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.name == "asyncio" and record.levelno >= logging.WARNING
    ] == []


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture
def words() -> Iterator[list[structlog.typing.EventDict]]:
    with structlog.testing.capture_logs() as captured:
        yield captured


# The way things go


async def test_messages_are_offered_in_order_moved_after_it_and_never_marked_read(
    peer: Peer, desk: Desk
) -> None:
    desk.place = lambda message: (Folder.PROCESSED, Folder.REVIEW, Folder.IGNORED, Folder.STAY)[
        message.uid % 4
    ]
    for number in range(8):
        raw = b"Subject: %d\r\n\r\nUID 99 FETCH (\r\n* 3 EXISTS\r\nA1 OK done\r\n" % number
        peer.add(raw, date="17-Jul-2026 02:44:25 +0200")

    assert await once(desk.reader(options(peer.port))) == 8

    assert desk.uids() == [1, 2, 3, 4, 5, 6, 7, 8]
    first = desk.taken[0]
    assert first.raw == b"Subject: 0\r\n\r\nUID 99 FETCH (\r\n* 3 EXISTS\r\nA1 OK done\r\n"
    assert (first.uidvalidity, first.size, first.complete) == (7, len(first.raw), True)
    assert first.arrived == datetime(2026, 7, 17, 0, 44, 25, tzinfo=UTC)
    assert peer.folders == {"INBOX": [], "Processed": [4, 8], "Review": [1, 5], "Ignored": [2, 6]}
    assert sorted(peer.messages) == [3, 7]
    assert not any("\\Seen" in line or re_body(line) for line in peer.heard)
    assert desk.owed == {}


def re_body(line: str) -> bool:
    """BODY[ without PEEK would set the Seen flag (RFC 3501 §6.4.5)."""
    return "BODY[" in line or "RFC822 " in line


async def test_idle_tells_of_a_new_message_and_the_announcement_during_a_fetch_is_not_lost(
    peer: Peer, desk: Desk
) -> None:
    # The second message is announced inside the answer to FETCH, where aioimaplib drops it, and
    # IDLE says nothing of it.
    peer.add()
    peer.fail("BODY", imap_peer.does(lambda: peer.add(quiet=True)))
    async with reading(desk.reader(options(peer.port))):
        await desk.until(lambda: desk.uids() == [1, 2])
        await peer.until(peer.idling)
        peer.add()
        await desk.until(lambda: desk.uids() == [1, 2, 3])
        await peer.until(peer.idling)
    assert peer.commands("LOGOUT")
    assert peer.signed_in == 1


async def test_without_idle_the_mailbox_is_polled(peer: Peer, desk: Desk) -> None:
    peer.capabilities = tuple(name for name in EVERYTHING if name != "IDLE")
    async with reading(desk.reader(options(peer.port, poll_seconds=0.01))):
        await peer.until(lambda: peer.commands("SEARCH"))
        peer.add()
        await desk.until(lambda: desk.uids() == [1])
    assert not peer.commands("IDLE")


async def test_idle_that_is_switched_off_is_not_used(peer: Peer, desk: Desk) -> None:
    async with reading(desk.reader(options(peer.port, idle=False, poll_seconds=0.01))):
        await peer.until(lambda: len(peer.commands("SEARCH")) > 2)
    assert not peer.commands("IDLE")


async def test_idle_is_renewed_and_looks_again_although_nothing_was_announced(
    peer: Peer, desk: Desk
) -> None:
    async with reading(desk.reader(options(peer.port, poll_seconds=0.05))):
        await peer.until(peer.idling)
        peer.add(quiet=True)
        await desk.until(lambda: desk.uids() == [1])
        await peer.until(lambda: len(peer.commands("IDLE")) > 3)
    assert peer.signed_in == 1


async def test_3000_messages_are_caught_up_in_bounded_portions(peer: Peer, desk: Desk) -> None:
    for number in range(3000):
        peer.add(b"Subject: %d\r\n\r\n%s" % (number, b"(line\r\n" * 40))
    assert await once(desk.reader(options(peer.port))) == 3000
    assert desk.uids() == list(range(1, 3001))
    assert max(desk.batches) <= 50
    assert peer.largest_fetch <= 50
    assert len(peer.folders["Processed"]) == 3000


async def test_the_next_messages_are_fetched_while_the_desk_takes_those_before(
    peer: Peer, desk: Desk
) -> None:
    for _ in range(imap.UIDS + 1):
        peer.add()
    asked = threading.Event()
    desk.place = lambda _: Folder.PROCESSED if asked.wait(WAIT_SECONDS) else Folder.STAY
    peer.fail("BODY", passes, imap_peer.does(asked.set))
    assert await once(desk.reader(options(peer.port))) == imap.UIDS + 1
    assert len(peer.folders["Processed"]) == imap.UIDS + 1


async def test_what_the_next_messages_meet_takes_nothing_of_those_before(
    peer: Peer, desk: Desk
) -> None:
    for _ in range(imap.UIDS + 1):
        peer.add()
    peer.fail("BODY", passes, drop)
    async with reading(desk.reader(options(peer.port))):
        await desk.until(lambda: len(desk.settled) == imap.UIDS + 1)
    assert desk.batches == [imap.UIDS, 1]
    assert peer.signed_in == 2


async def test_a_desk_that_fails_while_the_next_messages_come_is_offered_all_again(
    peer: Peer, desk: Desk
) -> None:
    for _ in range(imap.UIDS + 1):
        peer.add()
    desk.broken = 1
    async with reading(desk.reader(options(peer.port))):
        await desk.until(lambda: len(desk.settled) == imap.UIDS + 1)
    assert desk.batches == [imap.UIDS, 1]
    assert peer.signed_in == 2


async def test_one_fetch_asks_for_no_more_bytes_than_the_limit(peer: Peer, desk: Desk) -> None:
    for _ in range(6):
        peer.add(b"Subject: x\r\n\r\n" + b"y" * 40_000)
    await once(desk.reader(options(peer.port), max_bytes=100_000))
    assert desk.batches == [2, 2, 2]


async def test_of_a_large_message_only_the_header_is_read(peer: Peer, desk: Desk) -> None:
    peer.add()
    peer.add(b"Subject: large\r\n\r\n" + b"y" * 200_000)
    peer.add()
    await once(desk.reader(options(peer.port)))
    assert [(message.uid, message.complete) for message in desk.taken] == [
        (1, True),
        (2, False),
        (3, True),
    ]
    assert desk.taken[1].raw == b"Subject: large\r\n\r\n"
    assert desk.taken[1].size == 200_018
    assert not any(
        2 in imap_peer.numbers(line.split()[2])
        for line in peer.commands("FETCH")
        if "BODY.PEEK[]" in line
    )


async def test_a_message_larger_than_the_server_said_is_cut_to_its_header(
    peer: Peer, desk: Desk
) -> None:
    peer.add(b"Subject: large\r\n\r\n" + b"y" * 200_000, size=10)
    await once(desk.reader(options(peer.port)))
    assert (desk.taken[0].raw, desk.taken[0].complete) == (b"Subject: large", False)


async def test_with_moving_off_the_cursor_alone_tells(peer: Peer, desk: Desk) -> None:
    peer.add()
    subject = desk.reader(options(peer.port, move=False))
    assert await once(subject) == 1
    peer.add()
    assert await once(subject) == 1
    assert desk.uids() == [1, 2]
    assert list(peer.messages) == [1, 2]
    assert peer.folders == {"INBOX": []}


# What was left over


async def test_a_message_left_out_is_offered_again_and_blocks_nobody(
    peer: Peer, desk: Desk
) -> None:
    desk.refuse = {2}
    for _ in range(3):
        peer.add()
    subject = desk.reader(options(peer.port))
    assert await once(subject) == 2
    assert desk.uids() == [1, 3]
    assert list(peer.messages) == [2]
    desk.refuse = set()
    peer.add()
    assert await once(subject) == 2
    assert desk.uids() == [1, 3, 4, 2]
    assert desk.left == []


async def test_a_message_left_out_that_somebody_removed_is_forgotten(
    peer: Peer, desk: Desk
) -> None:
    desk.refuse = {1}
    peer.add()
    subject = desk.reader(options(peer.port))
    await once(subject)
    assert desk.left == [1]
    del peer.messages[1]
    await once(subject)
    assert desk.left == []


async def test_a_move_that_was_never_made_is_finished_at_the_next_connect(
    peer: Peer, desk: Desk
) -> None:
    # Committed, then the connection breaks before the move: the message is neither offered twice
    # nor left behind.
    peer.add()
    peer.fail("MOVE", drop)
    async with reading(desk.reader(options(peer.port))):
        await desk.until(lambda: desk.settled == [(7, 1)])
    assert desk.uids() == [1]
    assert peer.folders["Processed"] == [1]
    assert peer.signed_in == 2


async def test_moves_of_a_former_uidvalidity_are_dropped_and_the_folder_is_read_anew(
    peer: Peer, desk: Desk, words: list[structlog.typing.EventDict]
) -> None:
    desk.cursor = Cursor(6, 40)
    desk.owed = {(6, 1): Folder.REVIEW}
    desk.left = [2]
    peer.add()
    peer.add()
    await once(desk.reader(options(peer.port)))
    assert desk.uids() == [1, 2]
    assert (6, 1) in desk.settled
    assert peer.folders == {"INBOX": [], "Processed": [1, 2]}
    assert "mailbox.renumbered" in [line["event"] for line in words]


async def test_nothing_is_moved_while_the_store_fails(
    peer: Peer, desk: Desk, words: list[structlog.typing.EventDict]
) -> None:
    desk.broken = 2
    peer.add()
    async with reading(desk.reader(options(peer.port))):
        await desk.until(lambda: desk.settled)
    assert desk.uids() == [1]
    assert [line["reason"] for line in words if line["event"] == "mailbox.failed"] == [
        "the disk is full"
    ] * 2
    assert peer.signed_in == 3


# Servers that have less, and folders elsewhere


async def test_without_move_messages_are_copied_and_expunged_by_uid(peer: Peer, desk: Desk) -> None:
    peer.capabilities = tuple(name for name in EVERYTHING if name != "MOVE")
    foreign = peer.add()
    peer.messages[foreign].flags.add("\\Deleted")
    desk.place = lambda message: Folder.STAY if message.uid == foreign else Folder.PROCESSED
    peer.add()
    await once(desk.reader(options(peer.port)))
    assert list(peer.messages) == [foreign]
    assert peer.folders["Processed"] == [2]


async def test_without_uidplus_a_plain_expunge_never_takes_other_peoples_mail(
    peer: Peer, desk: Desk
) -> None:
    peer.capabilities = ("IMAP4rev1", "IDLE")
    foreign = peer.add()
    peer.messages[foreign].flags.add("\\Deleted")
    peer.add()
    desk.place = lambda message: Folder.STAY if message.uid == foreign else Folder.PROCESSED
    subject = desk.reader(options(peer.port))
    await once(subject)
    assert await once(subject) == 0
    assert peer.folders["Processed"] == [2]
    assert peer.messages[2].flags == {"\\Deleted"}
    assert not peer.commands("EXPUNGE")


@pytest.mark.parametrize("namespace", [True, False])
async def test_folders_are_made_below_inbox_where_the_server_wants_it(
    peer: Peer, desk: Desk, namespace: bool
) -> None:
    peer.prefix, peer.delimiter = "INBOX.", "."
    if not namespace:
        peer.capabilities = tuple(name for name in EVERYTHING if name != "NAMESPACE")
    peer.add()
    await once(desk.reader(options(peer.port, processed="Gateway/Done")))
    assert peer.folders == {"INBOX": [], "INBOX.Gateway.Done": [1]}
    assert 'SUBSCRIBE "INBOX.Gateway.Done"' in peer.commands("SUBSCRIBE")


async def test_a_folder_that_is_removed_in_between_is_made_again(peer: Peer, desk: Desk) -> None:
    async with reading(desk.reader(options(peer.port))):
        peer.add()
        await desk.until(lambda: (7, 1) in desk.settled)
        del peer.folders["Processed"]
        peer.add()
        await desk.until(lambda: (7, 2) in desk.settled)
    assert peer.folders["Processed"] == [2]


async def test_a_move_that_is_refused_is_tried_at_the_next_look_and_reading_goes_on(
    peer: Peer, desk: Desk, words: list[structlog.typing.EventDict]
) -> None:
    no = says("{tag} NO [OVERQUOTA] the folder is full")
    peer.fail("MOVE", *[no] * 6)
    peer.add()
    subject = desk.reader(options(peer.port, poll_seconds=0.05))
    async with reading(subject):
        await desk.until(lambda: desk.settled == [(7, 1)])
        assert subject.state.connected
    refused = ("Processed", "[OVERQUOTA] the folder is full")
    told = [(state.connected, state.unmoved) for state in desk.states]
    assert told == [(True, ("", "")), (True, refused), (True, ("", "")), (False, ("", ""))]
    assert desk.uids() == [1]
    assert peer.folders["Processed"] == [1]
    assert peer.signed_in == 1
    complaints = [line["reason"] for line in words if line["event"] == "mailbox.not_moved"]
    assert complaints == ["[OVERQUOTA] the folder is full"]


async def test_a_message_that_vanishes_before_its_move_does_not_hold_up_the_others(
    peer: Peer, desk: Desk, words: list[structlog.typing.EventDict]
) -> None:
    # Dovecot 2.3 moves nothing and says so if one of many is gone.
    async def gone(connection: imap_peer.Connection, tag: str) -> bool:
        peer.messages.pop(2)
        return await says("{tag} NO [EXPUNGEISSUED] some are gone")(connection, tag)

    peer.fail("MOVE", gone)
    for _ in range(3):
        peer.add()
    await once(desk.reader(options(peer.port)))
    assert desk.owed == {}
    assert peer.folders["Processed"] == [1, 3]
    assert "mailbox.not_moved" not in [line["event"] for line in words]


async def test_a_folder_name_outside_ascii_is_written_as_the_protocol_wants(
    peer: Peer, desk: Desk
) -> None:
    peer.add()
    await once(desk.reader(options(peer.port, processed='Behandlet & "lukket" på øya')))
    assert 'CREATE "Behandlet &- \\"lukket\\" p&AOU- &APg-ya"' in peer.commands("CREATE")


# Others in the mailbox


async def test_a_message_that_vanishes_between_search_and_fetch_is_passed_over(
    peer: Peer, desk: Desk
) -> None:
    for _ in range(4):
        peer.add()

    def vanish() -> None:
        peer.messages.pop(1)
        peer.ghosts.add(1)

    peer.fail("MEASURE", imap_peer.does(vanish))
    peer.fail("BODY", imap_peer.does(lambda: peer.messages.pop(3)))
    await once(desk.reader(options(peer.port)))
    assert desk.uids() == [2, 4]


async def test_flags_set_by_others_during_a_fetch_are_no_messages(peer: Peer, desk: Desk) -> None:
    peer.add()
    peer.fail(
        "MEASURE",
        imap_peer.first(
            "* 1 FETCH (FLAGS (\\Seen))", "* 1 FETCH (FLAGS (\\Flagged) UID 1)", "* 9 RECENT"
        ),
    )
    peer.fail(
        "BODY",
        imap_peer.first(
            "* 1 FETCH (UID 1 FLAGS (\\Answered \\Seen))", "* 5 EXPUNGE", "* OK still here"
        ),
    )
    await once(desk.reader(options(peer.port)))
    assert [(message.uid, message.complete) for message in desk.taken] == [(1, True)]


@pytest.mark.parametrize("line", ["* 1 EXPUNGE", "* 1 FETCH (FLAGS (\\Seen))", ""])
async def test_thousands_of_lines_in_one_read_do_no_harm(peer: Peer, desk: Desk, line: str) -> None:
    # Somebody empties or flags a large folder while we read: aioimaplib alone fails with a
    # RecursionError.
    peer.add()
    peer.fail("SEARCH", imap_peer.first(*[line] * 5000))
    peer.fail("IDLING", imap_peer.first(*[line] * 5000))
    async with reading(desk.reader(options(peer.port))):
        await desk.until(lambda: desk.uids() == [1])
        await peer.until(peer.idling)
        peer.add()
        await desk.until(lambda: desk.uids() == [1, 2])
    assert peer.signed_in == 1


# Misbehaviour at every step


STEPS = [
    "GREETING",
    "CAPABILITY",
    "LOGIN",
    "NAMESPACE",
    "SELECT",
    "SEARCH",
    "MEASURE",
    "BODY",
    "LIST",
    "CREATE",
    "MOVE",
    "IDLE",
    "IDLING",
]


@pytest.mark.parametrize(
    "fault",
    [
        drop,
        freeze,
        bye,
        imap_peer.blurts(b"\xff\xfe\x00 \r\n* \xe9 FETCH (\r\n"),
        says("ZZZ9 OK a tag nobody used"),
    ],
    ids=["drop", "freeze", "bye", "garbage", "foreign tag"],
)
@pytest.mark.parametrize("step", STEPS)
async def test_the_reader_comes_back_whatever_happens(
    peer: Peer, desk: Desk, step: str, fault: imap_peer.Fault
) -> None:
    peer.add()
    peer.fail(step, fault)
    # A frozen line is found out by the time limit; while idling by the poll, whose answer does not
    # come.
    subject = desk.reader(options(peer.port, timeout_seconds=0.5, poll_seconds=0.2))
    async with reading(subject):
        await desk.until(lambda: (7, 1) in desk.settled)
        await peer.until(lambda: peer.left() == [])
        peer.add()
        await desk.until(lambda: (7, 2) in desk.settled)
    assert desk.uids() == [1, 2]
    assert sorted(peer.folders["Processed"]) == [1, 2]


@pytest.mark.parametrize("fault", [drop, freeze])
async def test_a_server_that_greets_late_and_then_fails_is_left(
    peer: Peer, desk: Desk, fault: imap_peer.Fault
) -> None:
    peer.add()
    peer.fail("GREETING", imap_peer.late)
    peer.fail("CAPABILITY", fault)
    async with reading(desk.reader(options(peer.port, timeout_seconds=0.5))):
        await desk.until(lambda: desk.uids() == [1])
        await peer.until(lambda: peer.left() == [])


@pytest.mark.parametrize("step", ["SEARCH", "SELECT", "MEASURE", "BODY", "IDLE"])
@pytest.mark.parametrize("verdict", ["NO", "BAD"])
async def test_a_refused_command_is_tried_again(
    peer: Peer, desk: Desk, step: str, verdict: str
) -> None:
    peer.add()
    peer.fail(step, says(f"{{tag}} {verdict} not now"))
    async with reading(desk.reader(options(peer.port, poll_seconds=0.05))):
        await desk.until(lambda: (7, 1) in desk.settled)
        await peer.until(lambda: peer.left() == [])
        peer.add()
        await desk.until(lambda: (7, 2) in desk.settled)
    assert desk.uids() == [1, 2]


async def test_idle_refused_by_hanging_up_is_given_up_for_polling(peer: Peer, desk: Desk) -> None:
    peer.fail("IDLE", bye, bye)
    async with reading(desk.reader(options(peer.port, poll_seconds=0.05))):
        await peer.until(lambda: len(peer.commands("NOOP")) > 2)
        peer.add()
        await desk.until(lambda: desk.uids() == [1])
    assert len(peer.commands("IDLE")) == 2


async def test_a_message_that_ends_every_session_is_handed_over_at_last_without_content(
    peer: Peer, desk: Desk
) -> None:
    for _ in range(3):
        peer.add()

    async def poison(connection: imap_peer.Connection, tag: str) -> bool:
        if 2 in imap_peer.numbers(peer.heard[-1].split()[3]):
            raise imap_peer.Cut
        return False

    peer.fail(
        "BODY", *[poison] * 5
    )  # 1-3 together, 1 alone, 2 alone, 1-3 remembered: 2 alone again
    peer.fail("HEADER", *[poison] * 3)
    async with reading(desk.reader(options(peer.port))):
        await desk.until(lambda: (7, 3) in desk.settled)
    assert [(message.uid, message.complete, message.raw) for message in desk.taken] == [
        (1, True, b"Subject: hello\r\n\r\nbody\r\n"),
        (2, False, b""),
        (3, True, b"Subject: hello\r\n\r\nbody\r\n"),
    ]


async def test_a_server_that_lets_nobody_in_ends_sessions_for_no_messages_sake(
    peer: Peer, desk: Desk
) -> None:
    """An outage in the course of which a message is asked for again and again."""
    peer.add()
    peer.fail("BODY", drop, drop, drop, drop)
    peer.fail("SELECT", passes, passes, drop)
    async with reading(desk.reader(options(peer.port))):
        await desk.until(lambda: desk.uids() == [1])
    assert peer.left() == []
    assert [message.complete for message in desk.taken] == [True]


async def test_a_message_that_takes_the_server_down_each_time_is_handed_over_at_last(
    desk: Desk,
) -> None:
    """However long it stays down: a reader that is let in again knows what it asked for last."""
    port = free_port()
    asked = Counter[str]()
    went_down = asyncio.Event()

    async def poison(connection: imap_peer.Connection, tag: str) -> bool:
        if 2 in imap_peer.numbers(connection.peer.heard[-1].split()[3]):
            asked[connection.peer.heard[-1].split()[4]] += 1
            went_down.set()
            raise imap_peer.Cut
        return False

    done = asyncio.ensure_future(desk.until(lambda: (7, 3) in desk.settled))
    async with reading(desk.reader(options(port))):
        while not done.done():
            async with imap_peer.running(port) as peer:
                for _ in range(3):
                    peer.add()
                for _, uid in desk.settled:
                    peer.messages.pop(uid, None)
                peer.always("BODY", poison)
                peer.always("HEADER", poison)
                went_down.clear()
                down = asyncio.ensure_future(went_down.wait())
                await asyncio.wait({done, down}, return_when=asyncio.FIRST_COMPLETED)
                down.cancel()
            await found_nobody(desk, done)
    assert [(message.uid, message.complete, message.raw) for message in desk.taken] == [
        (1, True, b"Subject: hello\r\n\r\nbody\r\n"),
        (2, False, b""),
        (3, True, b"Subject: hello\r\n\r\nbody\r\n"),
    ]
    assert sum(asked.values()) == fetching.EXCUSED + 2 * fetching.TRIES


async def found_nobody(desk: Desk, done: asyncio.Future[None]) -> None:
    """The reader has told that the server is gone, and twice that nobody is there."""
    told = len(desk.states)
    await waiting.until(lambda: done.done() or len(desk.states) >= told + 3)


async def passes(_connection: imap_peer.Connection, _tag: str) -> bool:
    """Nothing is wrong this time."""
    return False


async def test_failures_of_a_message_say_nothing_of_its_successor_under_another_uidvalidity(
    peer: Peer, desk: Desk
) -> None:
    peer.add()
    peer.fail("BODY", drop, drop, drop)
    subject = desk.reader(options(peer.port))
    for _ in range(3):
        with pytest.raises(imap_wire.MailboxError):
            await once(subject)
    peer.uidvalidity = 8
    await once(subject)
    assert [(message.uidvalidity, message.complete) for message in desk.taken] == [(8, True)]


async def test_a_server_that_keeps_hanging_up_is_still_looked_at_once_per_poll_interval(
    peer: Peer, desk: Desk
) -> None:
    peer.fail("IDLING", drop, drop, drop)
    async with reading(
        desk.reader(
            options(peer.port, poll_seconds=0.05), pace=reader.Pace(first=3600, longest=3600)
        )
    ):
        await peer.until(lambda: peer.left() == [])
        peer.add()
        await desk.until(lambda: desk.uids() == [1])


# What the server withholds

PARTS = b"Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nJa.\r\n--b--\r\n"
TEXT = b"Subject: hello\r\n\r\nbody\r\n"


async def test_one_poison_message_keeps_none_of_fifty_waiting(peer: Peer, desk: Desk) -> None:
    for _ in range(50):
        peer.add()
    peer.always("BODY", imap_peer.refuses(30))
    peer.always("HEADER", imap_peer.refuses(30))
    subject = desk.reader(options(peer.port))
    assert await once(subject) == 49
    assert peer.signed_in == 1
    assert (desk.uids(), desk.left) == ([uid for uid in range(1, 51) if uid != 30], [30])


@pytest.mark.parametrize("says_no", [True, False])
async def test_what_is_withheld_is_tried_at_three_looks_and_then_handed_over(
    peer: Peer, desk: Desk, says_no: bool
) -> None:
    for _ in range(3):
        peer.add()
    if says_no:
        peer.always("BODY", imap_peer.refuses(2))
    else:
        peer.withheld = {2}
    subject = desk.reader(options(peer.port))
    for _ in range(3):
        await once(subject)
    assert [(one.uid, one.complete, one.raw) for one in desk.taken] == [
        (1, True, TEXT),
        (3, True, TEXT),
        (2, False, b"Subject: hello\r\n\r\n" if says_no else b""),
    ]
    assert (desk.left, list(peer.messages)) == ([], [])


async def test_what_is_withheld_and_comes_later_is_taken_whole(peer: Peer, desk: Desk) -> None:
    peer.add()
    peer.add()
    peer.fail("BODY", *[imap_peer.refuses(1)] * 3)  # both, each alone
    subject = desk.reader(options(peer.port))
    await once(subject)
    assert (desk.uids(), desk.left) == ([2], [1])
    await once(subject)
    assert [(one.uid, one.complete) for one in desk.taken] == [(2, True), (1, True)]


async def test_nil_is_no_message(peer: Peer, desk: Desk) -> None:
    peer.add()
    peer.add()
    peer.nil = {1}
    subject = desk.reader(options(peer.port))
    await once(subject)
    assert (desk.uids(), desk.left) == ([2], [1])
    peer.nil = set()
    await once(subject)
    assert [(one.uid, one.raw) for one in desk.taken] == [(2, TEXT), (1, TEXT)]


async def test_a_message_whose_size_cannot_be_told_keeps_none_waiting(
    peer: Peer, desk: Desk
) -> None:
    for _ in range(3):
        peer.add()
    peer.always("MEASURE", imap_peer.refuses(2))
    subject = desk.reader(options(peer.port))
    await once(subject)
    assert (desk.uids(), desk.left) == ([1, 3], [2])
    assert peer.signed_in == 1


async def test_a_server_that_delivers_nothing_is_left_alone_for_a_while(
    peer: Peer, desk: Desk
) -> None:
    """Its own trouble is none of the messages'."""
    peer.add()
    peer.add()
    no = says("{tag} NO [UNAVAILABLE] Server Unavailable. 15")
    peer.fail("BODY", no, no, no)
    peer.fail("HEADER", no, no)
    with pytest.raises(imap_wire.MailboxError, match="does not deliver message 1"):
        await once(desk.reader(options(peer.port)))
    assert (desk.taken, desk.left) == ([], [])


async def test_inexact_sizes_cost_one_more_question_and_no_message(peer: Peer, desk: Desk) -> None:
    """Exchange tells 19 189 octets of a mail that has 6 298."""
    for raw in (TEXT, PARTS, TEXT):
        peer.add(raw, size=3 * len(raw))
    subject = desk.reader(options(peer.port))
    assert await once(subject) == 3
    peer.add(PARTS, size=len(PARTS) + 100)
    assert await once(subject) == 1
    assert [(one.raw, one.complete, one.size) for one in desk.taken] == [
        (raw, True, len(raw)) for raw in (TEXT, PARTS, TEXT, PARTS)
    ]
    asked = [line.split()[2] for line in peer.commands("FETCH") if "BODY.PEEK[]" in line]
    assert asked == ["1:3", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    "raw",
    [PARTS[:-7], TEXT[:-3], b"Subject: only a header\r\n", PARTS.partition(b"--b--")[0], b""],
)
async def test_what_is_visibly_cut_is_withheld(peer: Peer, desk: Desk, raw: bytes) -> None:
    peer.add()
    peer.add(raw, size=500)
    subject = desk.reader(options(peer.port))
    await once(subject)
    assert (desk.uids(), desk.left) == ([1], [2])
    await once(subject)
    await once(subject)
    assert [(one.uid, one.complete) for one in desk.taken] == [(1, True), (2, False)]


async def test_a_body_that_was_cut_once_is_taken_whole(peer: Peer, desk: Desk) -> None:
    peer.add(PARTS)
    cut = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%s)\r\n" % (60, PARTS[:60])

    async def short(connection: imap_peer.Connection, tag: str) -> bool:
        connection.writer.write(cut)
        connection.send(f"{tag} OK done")
        return True

    peer.fail("BODY", short)
    assert await once(desk.reader(options(peer.port))) == 1
    assert [(one.raw, one.complete) for one in desk.taken] == [(PARTS, True)]


@pytest.mark.parametrize("uidvalidity", [0, None])
async def test_a_folder_without_uidvalidity_is_read_and_read_anew_when_its_numbers_begin_anew(
    peer: Peer, desk: Desk, uidvalidity: int | None
) -> None:
    peer.uidvalidity = uidvalidity
    for _ in range(3):
        peer.add()
    subject = desk.reader(options(peer.port))
    assert await once(subject) == 3
    peer.add()
    assert await once(subject) == 1
    assert [(one.uidvalidity, one.uid) for one in desk.taken] == [(1, 1), (1, 2), (1, 3), (1, 4)]
    peer.messages.clear()
    peer.next_uid = 1
    peer.add()
    assert await once(subject) == 1
    assert (desk.taken[-1].uidvalidity, desk.taken[-1].uid) == (2, 1)


# The first look at a folder


async def test_mail_from_before_the_first_invitation_is_left_alone(
    peer: Peer, desk: Desk, words: list[structlog.typing.EventDict]
) -> None:
    for _ in range(3_000):
        peer.add(date="01-Feb-2019 10:00:00 +0000")
    new = [peer.add(), peer.add(date="12-Jul-2026 10:00:00 +0000")]
    late = peer.add(date="01-Feb-2019 10:00:00 +0000")  # moved in, with its own date
    new.append(peer.add())
    desk.begun = datetime(2026, 7, 14, tzinfo=UTC)
    subject = desk.reader(options(peer.port))
    assert await once(subject) == 3
    assert desk.uids() == new
    assert len(peer.messages) == 3_001
    assert late in peer.messages
    told = [one for one in words if one["event"] == "mailbox.old_mail_left_alone"]
    assert [(one["messages"], one["before"]) for one in told] == [(3_001, "2026-07-12")]
    # Later whatever comes is new, also what somebody moves in.
    peer.add(date="01-Feb-2019 10:00:00 +0000")
    assert await once(subject) == 1


async def test_where_all_is_old_the_cursor_begins_behind_it(peer: Peer, desk: Desk) -> None:
    for _ in range(3):
        peer.add(date="17-Jul-2026 02:44:25 +0200")
    desk.begun = datetime(2026, 9, 1, tzinfo=UTC)
    subject = desk.reader(options(peer.port))
    assert await once(subject) == 0
    assert (desk.cursor, len(peer.messages)) == (Cursor(7, 3), 3)
    assert await once(subject) == 0
    assert len([line for line in peer.commands("SEARCH") if "BEFORE" in line]) == 1


async def test_a_folder_that_is_renumbered_is_read_from_the_first_invitation(
    peer: Peer, desk: Desk
) -> None:
    desk.begun, desk.cursor = datetime(2026, 7, 14, tzinfo=UTC), Cursor(6, 99)
    peer.add(date="01-Feb-2019 10:00:00 +0000")
    peer.add()
    assert await once(desk.reader(options(peer.port))) == 1
    assert (desk.uids(), list(peer.messages)) == ([2], [1])


# When a message came


@pytest.mark.parametrize(
    ("header", "arrived"),
    [
        (b"Received: by mx.crm.example; Thu, 16 Jul 2026 10:00:00 +0200\r\n", "2026-07-16T08:00"),
        (b"", None),
        (b"Received: by mx.crm.example; Thu, 16 Jul 2099 10:00:00 +0200\r\n", None),
        (b"Received: from nowhere\r\n", None),
    ],
)
async def test_a_date_in_the_future_is_not_believed(
    peer: Peer, desk: Desk, header: bytes, arrived: str | None
) -> None:
    peer.add(header + TEXT, date="17-Jul-2099 02:44:25 +0200")
    before = datetime.now(UTC)
    await once(desk.reader(options(peer.port)))
    told = desk.taken[0].arrived
    if arrived is not None:
        assert told == datetime.fromisoformat(arrived).replace(tzinfo=UTC)
    else:
        assert before <= told <= datetime.now(UTC)


async def test_an_endless_answer_is_cut_off(
    peer: Peer, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap, "CAPACITY", 100_000)
    peer.add()
    peer.fail(
        "BODY", imap_peer.blurts(b"* 1 FETCH (UID 1 BODY[] {999999999}\r\n" + b"x" * 1_000_000)
    )
    with pytest.raises(imap_wire.MailboxError, match="sent more than"):
        await once(desk.reader(options(peer.port)))
    assert desk.taken == []


# Signing in, and what the administrator reads


async def test_a_refused_sign_in_is_said_clearly_without_the_password(
    peer: Peer,
    desk: Desk,
    words: list[structlog.typing.EventDict],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    subject = desk.reader(options(peer.port), password="not-the-secret")
    async with reading(subject):
        await peer.until(lambda: len(peer.commands("LOGIN")) == 3)
        assert not subject.state.connected
        host = f"127.0.0.1:{peer.port}"
        assert subject.state.last_error.startswith(f"{host} refused the sign-in of 'invites' (")
        assert "[AUTHENTICATIONFAILED] wrong name or password" in subject.state.last_error
    assert {line["event"] for line in words} == {"mailbox.sign_in_refused"}
    assert "not-the-secret" not in str(words) + caplog.text


async def test_a_server_that_repeats_what_it_refuses_betrays_no_password(
    peer: Peer, desk: Desk
) -> None:
    sent = PASSWORD.replace("\\", r"\\").replace('"', r"\"")
    peer.fail("LOGIN", says(f'{{tag}} NO cannot parse: LOGIN "invites" "{sent}" or {PASSWORD}'))
    with pytest.raises(imap.SignInRefused, match=r'LOGIN "invites" "\*\*\*" or \*\*\*$'):
        await once(desk.reader(options(peer.port)))


async def test_a_wrong_tag_in_answer_to_login_does_not_put_the_password_into_the_log(
    peer: Peer, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    # aioimaplib's error for this quotes the whole LOGIN line.
    caplog.set_level(logging.DEBUG)
    peer.fail("LOGIN", says("ZZZ9 OK a tag nobody used"))
    with pytest.raises(imap_wire.MailboxError) as caught:
        await once(desk.reader(options(peer.port)))
    assert "ret" not in str(caught.value).replace("interpreted", "")
    assert "sec" not in caplog.text


async def test_mail_never_reaches_a_debug_log(
    peer: Peer, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    peer.add(b"Subject: confidential\r\n\r\nvery private\r\n")
    await once(desk.reader(options(peer.port)))
    assert desk.uids() == [1]
    assert "confidential" not in caplog.text
    assert "private" not in caplog.text


async def test_a_sign_in_that_is_only_not_possible_now_is_no_refusal(
    peer: Peer, desk: Desk
) -> None:
    peer.fail("LOGIN", says("{tag} NO [UNAVAILABLE] the directory is down"))
    with pytest.raises(imap_wire.MailboxError, match="directory is down") as caught:
        await once(desk.reader(options(peer.port)))
    assert not isinstance(caught.value, imap.SignInRefused)


async def test_a_server_that_forbids_passwords_never_sees_ours(peer: Peer, desk: Desk) -> None:
    peer.capabilities = (*EVERYTHING, "LOGINDISABLED")
    with pytest.raises(imap.SignInRefused, match="LOGINDISABLED"):
        await once(desk.reader(options(peer.port)))
    assert not peer.commands("LOGIN")


@pytest.mark.parametrize(
    ("step", "fault", "said"),
    [
        ("GREETING", says("* BYE too many connections"), "too many connections"),
        ("GREETING", says("SSH-2.0-OpenSSH_9.2"), "speaks SSH, not IMAP (imap.port?): 'SSH-2.0"),
        ("GREETING", says("220 mail ESMTP Postfix"), "speaks SMTP, not IMAP (imap.port?): '220 "),
        ("GREETING", says("+OK POP3 ready"), "speaks POP3, not IMAP (imap.port?)"),
        ("GREETING", says("hello"), "gives no IMAP greeting (imap.port?): 'hello'"),
        (
            "SELECT",
            says("{tag} NO no such folder"),
            "'INBOX' (imap.folder) cannot be opened: no such folder",
        ),
        ("SEARCH", bye, "going down for maintenance"),
        ("SEARCH", drop, "connection was lost"),
    ],
)
async def test_errors_repeat_what_the_server_said(
    peer: Peer, desk: Desk, step: str, fault: imap_peer.Fault, said: str
) -> None:
    peer.fail(step, fault)
    with pytest.raises(imap_wire.MailboxError) as caught:
        await once(desk.reader(options(peer.port)))
    assert said in str(caught.value)


async def test_nobody_there_is_an_error_that_names_host_and_port(desk: Desk) -> None:
    async with imap_peer.running() as gone:
        port = gone.port
    said = f"^cannot reach 127.0.0.1:{port}: Connection refused$"
    with pytest.raises(imap_wire.MailboxError, match=said):
        await once(desk.reader(options(port)))


async def test_a_silent_port_may_want_tls(desk: Desk) -> None:
    async def wait(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await quiet.wait()
        writer.close()

    quiet = asyncio.Event()
    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        said = rf'greeting \(imap.security = "tls" expected on port {port}\?\)$'
        with pytest.raises(imap_wire.MailboxError, match=said):
            await once(desk.reader(options(port, timeout_seconds=1)))
        quiet.set()


async def test_state_tells_when_it_changed_and_when_it_looked(peer: Peer, desk: Desk) -> None:
    subject = desk.reader(options(peer.port))
    before = subject.state
    assert not before.connected
    assert before.looked is None
    async with reading(subject):
        await peer.until(peer.idling)
        assert subject.state.connected
        assert subject.state.since >= before.since
        assert subject.state.looked is not None
        assert subject.state.last_error == ""


async def test_each_failure_in_a_row_is_told_and_reading_alone_ends_it(
    peer: Peer, desk: Desk
) -> None:
    """A server that lets us in and fails at the first search is not read."""
    peer.fail("SEARCH", *[drop] * 3)
    subject = desk.reader(options(peer.port))
    async with reading(subject):
        await peer.until(peer.idling)
    told = [(state.connected, state.tries, bool(state.again)) for state in desk.states]
    assert told == [
        (False, 1, True),
        (False, 2, True),
        (False, 3, True),
        (True, 0, False),
        (False, 0, False),
    ]
    assert len({state.since for state in desk.states[:3]}) == 1


async def test_stop_ends_a_wait_for_a_frozen_server(
    peer: Peer, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap, "STOP_SECONDS", 0.01)
    peer.fail("SELECT", freeze)
    async with reading(desk.reader(options(peer.port, timeout_seconds=600))):
        await peer.until(lambda: peer.commands("SELECT"))


async def test_a_refusal_after_an_outage_is_counted_as_the_first(
    peer: Peer, desk: Desk, words: list[structlog.typing.EventDict]
) -> None:
    peer.fail("GREETING", *[drop] * 6)
    peer.fail("LOGIN", says("{tag} NO the directory is still starting"))
    pace = reader.Pace(first=0.001, longest=0.01, refused_first=0.1, refused_longest=3600)
    async with reading(desk.reader(options(peer.port), pace=pace)):
        await peer.until(peer.idling)
    waits = [line["retry_in"] for line in words if line["event"] == "mailbox.sign_in_refused"]
    assert [wait <= 0.1 for wait in waits] == [True]


def test_waits_double_up_to_a_limit_and_refused_sign_ins_wait_minutes() -> None:
    pace = reader.Pace()
    assert [pace.wait(n, refused=False, chance=1.0) for n in (1, 2, 3, 9, 10, 1000)] == [
        1,
        2,
        4,
        256,
        300,
        300,
    ]
    assert [pace.wait(n, refused=True, chance=1.0) for n in (1, 2, 6, 1000)] == [
        60,
        120,
        1800,
        1800,
    ]
    assert pace.wait(3, refused=False, chance=0.0) == 2


# TLS


async def _tls_peer(
    directory: Path, name: str, **certificate: object
) -> tuple[asyncio.Server, Peer, str]:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name, **certificate).configure_cert(context)  # type: ignore[arg-type]
    file = directory / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    peer = Peer()
    server = await asyncio.start_server(peer._serve, "127.0.0.1", 0, ssl=context)
    peer.port = server.sockets[0].getsockname()[1]
    return server, peer, str(file)


async def test_tls_is_verified_against_the_given_authority(tmp_path: Path, desk: Desk) -> None:
    server, peer, authority = await _tls_peer(tmp_path, "127.0.0.1")
    async with server:
        peer.add()
        assert await once(desk.reader(options(peer.port, security="tls", ca_file=authority))) == 1
        with pytest.raises(
            imap_wire.MailboxError, match=r"certificate of 127\.0\.0\.1 is not accepted"
        ):
            await once(desk.reader(options(peer.port, security="tls")))


async def test_a_certificate_for_another_name_or_out_of_date_is_refused(
    tmp_path: Path, desk: Desk
) -> None:
    server, peer, authority = await _tls_peer(tmp_path, "elsewhere.example")
    async with server:
        with pytest.raises(
            imap_wire.MailboxError, match=r"certificate of 127\.0\.0\.1 is not accepted"
        ):
            await once(desk.reader(options(peer.port, security="tls", ca_file=authority)))
    server, peer, authority = await _tls_peer(
        tmp_path, "127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC)
    )
    async with server:
        with pytest.raises(imap_wire.MailboxError, match="expired"):
            await once(desk.reader(options(peer.port, security="tls", ca_file=authority)))
    assert not peer.heard


async def test_a_server_without_tls_is_no_reason_for_clear_text(peer: Peer, desk: Desk) -> None:
    with pytest.raises(imap_wire.MailboxError, match=r"\(no TLS on this port\? imap.port is 993"):
        await once(desk.reader(options(peer.port, security="tls", timeout_seconds=20)))
    assert not peer.commands("LOGIN")


async def test_an_unusable_authority_file_is_a_setting_that_is_wrong(
    tmp_path: Path, desk: Desk
) -> None:
    with pytest.raises(ConfigurationError, match=r"imap.ca_file"):
        desk.reader(options(993, security="tls", ca_file=str(tmp_path / "missing.pem")))


# The words of the protocol


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"17-Jul-2026 02:44:25 +0200", datetime(2026, 7, 17, 0, 44, 25, tzinfo=UTC)),
        (b" 7-dec-1999 23:59:60 -0130", datetime(1999, 12, 8, 1, 29, 59, tzinfo=UTC)),
        (b"31-Feb-2026 02:44:25 +0200", None),
        (b"01-Jan-0001 00:00:00 +1400", None),
        (b"yesterday", None),
    ],
)
def test_internal_dates(text: bytes, expected: datetime | None) -> None:
    assert imap_syntax.internal_date(text) == expected


@pytest.mark.parametrize(
    ("uids", "expected"),
    [
        ([1], "1"),
        ([3, 1, 2], "1:3"),
        ([1, 3, 4, 6, 7, 8, 10], "1,3:4,6:8,10"),
        ([4294967295], "4294967295"),
    ],
)
def test_message_sets_name_exactly_what_was_asked(uids: list[int], expected: str) -> None:
    assert imap_syntax.message_set(uids) == expected
    assert imap_peer.numbers(expected) == set(uids)


def test_bodies_may_be_quoted_or_nil_and_their_words_are_no_attributes() -> None:
    lines: list[bytes | bytearray] = [
        b'1 FETCH (BODY[] "UID 9 \\"RFC822.SIZE 1" UID 3 RFC822.SIZE 20)',
        b"2 FETCH (UID 4 BODY[] NIL)",
        b"3 FETCH (UID 5 BODY[HEADER]<0> {14}",
        bytearray(b"UID 7 FETCH (\r\n"),
        b" RFC822.SIZE 99)",
        b"done (UID 8)",
    ]
    assert imap_syntax.items(lines) == {
        3: imap_syntax.Item(size=20, body=b'UID 9 "RFC822.SIZE 1'),
        4: imap_syntax.Item(),
        5: imap_syntax.Item(size=99, body=b"UID 7 FETCH (\r\n"),
    }


# Servers that others wrote


@pytest.fixture
async def pymap_port() -> AsyncIterator[int]:
    arguments = argparse.Namespace(
        host=None,
        port="0",
        tls=False,
        cert=None,
        key=None,
        debug=False,
        demo_data=False,
        demo_user="invites",
        demo_password=PASSWORD,
        proxy_protocol=None,
        insecure_login=True,
        passlib_cfg=None,
        inherited_sockets=None,
    )
    backend, config = await DictBackend.init(arguments)
    config.apply_context()
    handler = ProxyProtocolReader(ProxyProtocolNoop()).get_callback(
        IMAPServer(backend.login, config)
    )
    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def _story(box: mailbox.Mailbox, desk: Desk) -> None:
    """Old mail, new mail while idling, and a person who reads and removes in between."""
    desk.place = lambda message: Folder.REVIEW if b"odd" in message.raw else Folder.PROCESSED
    await asyncio.to_thread(box.append, b"Subject: one\r\n\r\none\r\n")
    await asyncio.to_thread(box.append, b"Subject: odd\r\n\r\ntwo\r\n")
    options_ = options(box.port, username=box.username)
    async with reading(desk.reader(options_, password=box.password)):
        await desk.until(lambda: len(desk.settled) == 2)
        await asyncio.to_thread(box.append, b"Subject: three\r\n\r\nthree\r\n")
        await desk.until(lambda: len(desk.settled) == 3)
    assert [message.raw for message in desk.taken] == [
        b"Subject: one\r\n\r\none\r\n",
        b"Subject: odd\r\n\r\ntwo\r\n",
        b"Subject: three\r\n\r\nthree\r\n",
    ]
    assert await asyncio.to_thread(box.raw_messages) == []
    assert len(await asyncio.to_thread(box.raw_messages, "Processed")) == 2
    assert await asyncio.to_thread(box.raw_messages, "Review") == [b"Subject: odd\r\n\r\ntwo\r\n"]
    assert await asyncio.to_thread(_seen, box, "Processed") == b""


def _seen(box: mailbox.Mailbox, folder: str) -> bytes:
    with box.connect() as connection:
        connection.select(folder)
        _, [numbers] = connection.search(None, "SEEN")
        assert isinstance(numbers, bytes)
        return numbers


async def test_the_story_with_pymap(pymap_port: int, desk: Desk) -> None:
    box = mailbox.Mailbox(
        "127.0.0.1", pymap_port, "invites", PASSWORD, "invites@crm.example", "Invites"
    )
    await _story(box, desk)


@pytest.mark.real
async def test_the_story_with_dovecot(invites: mailbox.Mailbox, desk: Desk) -> None:
    await _story(invites, desk)


@pytest.mark.real
async def test_a_dovecot_that_is_restarted_is_found_again(desk: Desk) -> None:
    with dovecot_server.running() as server:
        box = server.new_mailbox("invites", "crm.example")
        subject = desk.reader(options(box.port, username=box.username), password=box.password)
        async with reading(subject):
            await asyncio.to_thread(box.append, b"Subject: one\r\n\r\n")
            await desk.until(lambda: len(desk.settled) == 1)
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            await asyncio.to_thread(box.append, b"Subject: two\r\n\r\n")
            await desk.until(lambda: len(desk.settled) == 2)
    assert len(desk.taken) == 2


def _fill(box: mailbox.Mailbox, wanted: int) -> None:
    with box.connect() as connection:
        connection.select("INBOX")
        connection.append("INBOX", "", "", b"Subject: seed\r\n\r\n%s" % (b"line (of text\r\n" * 30))
        count = 1
        while (
            count < wanted
        ):  # copies of copies: so many sign-ins or appends would take longer than the test
            connection.uid("COPY", f"1:{min(count, wanted - count)}", "INBOX")
            connection.noop()
            count += min(count, wanted - count)


@pytest.mark.real
async def test_a_person_who_flags_and_moves_mail_meanwhile_breaks_nothing(
    invites: mailbox.Mailbox, desk: Desk, words: list[structlog.typing.EventDict]
) -> None:
    _fill(invites, 1000)

    def person() -> None:
        with invites.connect() as connection:
            connection.create("Elsewhere")
            connection.select("INBOX")
            for uid in range(1000, 0, -10):
                connection.uid("STORE", f"{uid - 5}:{uid}", "+FLAGS", "(\\Seen \\Flagged)")
                connection.uid("MOVE", str(uid), "Elsewhere")

    async with reading(
        desk.reader(options(invites.port, username=invites.username), password=invites.password)
    ):
        await asyncio.to_thread(person)
        await asyncio.to_thread(invites.append, b"Subject: last\r\n\r\n")
        await desk.until(lambda: desk.owed == {} and desk.cursor and desk.cursor.uid == 1001)
    elsewhere, processed = [
        len(await asyncio.to_thread(invites.raw_messages, name))
        for name in ("Elsewhere", "Processed")
    ]
    # Dovecot leaves a copy in both folders when two programs move one message at the same moment;
    # none may be missing.
    assert elsewhere + processed >= 1001
    assert len(desk.uids()) == len(set(desk.uids())) >= 1001 - elsewhere
    assert processed <= len(desk.uids())
    assert elsewhere > 0
    assert await asyncio.to_thread(invites.raw_messages) == []
    assert {line["event"] for line in words} <= {
        "mailbox.connected",
        "mailbox.folder_created",
        "mailbox.not_moved",
    }


@pytest.mark.real
async def test_folders_in_a_dovecot_that_keeps_everything_below_inbox(desk: Desk) -> None:
    with dovecot_server.running(
        "namespace inbox {\n  separator = .\n  prefix = INBOX.\n}"
    ) as server:
        box = server.new_mailbox("invites", "crm.example")
        await asyncio.to_thread(box.append, b"Subject: one\r\n\r\n")
        box_options = options(box.port, username=box.username, processed="Gateway/Done")
        assert await once(desk.reader(box_options, password=box.password)) == 1
        assert len(await asyncio.to_thread(box.raw_messages, "INBOX.Gateway.Done")) == 1


@pytest.mark.real
async def test_3000_messages_in_dovecot(dovecot: dovecot_server.Server, desk: Desk) -> None:
    box = dovecot.new_mailbox("invites", "crm.example")
    _fill(box, 3000)
    assert (
        await once(desk.reader(options(box.port, username=box.username), password=box.password))
        == 3000
    )
    assert len(desk.uids()) == len(set(desk.uids())) == 3000
    with box.connect() as connection:
        assert connection.select("Processed") == ("OK", [b"3000"])
        assert connection.select("INBOX") == ("OK", [b"0"])
