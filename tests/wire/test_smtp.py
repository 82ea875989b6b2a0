"""The sending edge against servers that misbehave at every step, on real sockets with real TLS."""

import asyncio
import contextlib
import datetime
import gc
import socket
import ssl
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme

from gateway import sections
from gateway.errors import ConfigurationError
from gateway.outbound import connection, retry, smtp
from gateway.outbound.retry import Verdict
from gateway.outbound.smtp import Step
from tests.wire import smtp_peer
from tests.wire.smtp_peer import Drop, Hang, Letter, Peer, Say, Wait

PATIENT = 60.0
"""Seconds to wait for an answer; where none will come, the clock is put forward."""
NEVER = 10 * PATIENT

CONTENT = b"Subject: x\r\n\r\n.leading dot\r\n..two\r\n.\r\nlast\r\n"
LETTER = smtp.Submission("invites+bounce-x@crm.example", "ola@ext.example", CONTENT)


@pytest.fixture(autouse=True, params=[False, True], ids=["one-by-one", "together"])
def _together(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every server here offers PIPELINING (RFC 2920), and none."""
    if request.param:
        monkeypatch.setattr(smtp_peer, "OFFERS", (*smtp_peer.OFFERS, "PIPELINING"))


def _account(port: int, *, timeout: float = PATIENT, **values: object) -> sections.Smtp:
    return sections.Smtp.model_validate(
        {
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "timeout_seconds": timeout,
            **values,
        }
    )


@contextlib.asynccontextmanager
async def _served(
    peer: Peer, *, password: str = "", idle_seconds: float = 60.0, **values: object
) -> AsyncIterator[smtp.Pool]:
    async with peer.serving():
        _put_the_clock_forward_when_silent(peer)
        account = _account(peer.port, **values)  # type: ignore[arg-type]
        async with smtp.Pool(
            account, password=password, hostname="gateway.example", idle_seconds=idle_seconds
        ) as pool:
            yield pool


def _put_the_clock_forward_when_silent(peer: Peer) -> None:
    """The loop's clock jumps over what the client would wait for the answer: no test takes as long
    as that, and no slow machine is mistaken for a silent server.
    """
    loop = asyncio.get_running_loop()
    clock, skipped, tasks = loop.time, 0.0, set[asyncio.Task[None]]()

    async def skip(step: str) -> None:
        nonlocal skipped
        await asyncio.sleep(0.05)  # whoever is to wait has begun to
        # The answer to the letter may take four times as long as any other.
        skipped += (4 if step in ("content", "body") else 1) * PATIENT + 1

    loop.time = lambda: clock() + skipped  # type: ignore[method-assign]
    peer.on_silence = lambda step: tasks.add(asyncio.ensure_future(skip(step)))


async def _bounded(
    sending: "asyncio.Future[smtp.Receipt] | asyncio.Task[smtp.Receipt]",
) -> smtp.Receipt:
    async with asyncio.timeout(NEVER):
        return await sending


async def _send(pool: smtp.Pool, letter: smtp.Submission = LETTER) -> smtp.Receipt:
    return await _bounded(asyncio.ensure_future(pool.send(letter)))


# --- what goes well


async def test_a_letter_arrives_as_it_was_handed_over() -> None:
    peer = Peer()
    async with _served(peer) as pool:
        receipt = await _send(pool)
    assert (receipt.step, receipt.code, receipt.enhanced) == (Step.BODY, 250, "2.0.0")
    assert receipt.text == "2.0.0 Ok: queued as 4711"
    assert receipt.accepted
    assert retry.judge(receipt) is Verdict.SENT
    assert receipt.host == f"127.0.0.1[127.0.0.1]:{peer.port}"
    assert receipt.started.tzinfo is datetime.UTC
    assert receipt.started <= receipt.ended
    assert peer.letters == [
        Letter(
            b"MAIL FROM:<invites+bounce-x@crm.example> SIZE=%d" % len(CONTENT),
            b"RCPT TO:<ola@ext.example>",
            CONTENT,
        )
    ]
    assert peer.lines[0] == b"EHLO gateway.example"
    assert peer.lines[-1] == b"QUIT"


async def test_commands_leave_together_where_the_server_offers_it() -> None:
    announced = list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers MAIL when DATA has come."""
        writer.write(b"220 peer.example\r\n")
        await reader.readline()
        writer.write(b"250-peer.example\r\n250 PIPELINING\r\n")
        announced.extend([await reader.readline() for _ in range(3)])
        writer.write(b"250 ok\r\n250 ok\r\n354 go on\r\n")
        await reader.readuntil(b"\r\n.\r\n")
        writer.write(b"250 ok\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, smtp.Pool(_account(server.sockets[0].getsockname()[1])) as pool:
        assert (await _send(pool)).accepted
    assert [line.split(b" ")[0].strip() for line in announced] == [b"MAIL", b"RCPT", b"DATA"]


@pytest.mark.parametrize(
    "content", [b".\r\n", b".\r\n.\r\n", b"\r\n", b"a: b\r\n\r\n.\r\nQUIT\r\n..\r\n"]
)
async def test_dots_do_not_end_a_letter_early(content: bytes) -> None:
    peer = Peer()
    async with _served(peer) as pool:
        assert (await _send(pool, smtp.Submission("a@b.example", "c@d.example", content))).accepted
    assert [letter.content for letter in peer.letters] == [content]


@pytest.mark.parametrize(
    "content",
    [b"", b"a: b", b"a: b\n", b"a: b\r", b"a\n.\r\nMAIL FROM:<x>\r\n", b"a\r\r\n", b"\n\r\n"],
)
def test_other_line_ends_are_a_mistake_of_the_caller(content: bytes) -> None:
    with pytest.raises(ValueError, match="CRLF"):
        smtp.Submission("a@b.example", "c@d.example", content)


async def test_a_connection_is_reused_and_renewed_after_so_many_letters() -> None:
    peer = Peer()
    async with _served(peer, messages_per_connection=3) as pool:
        for _ in range(7):
            assert (await _send(pool)).accepted
    assert [len(session.letters) for session in peer.sessions] == [3, 3, 1]
    assert [session.lines[-1] for session in peer.sessions] == [b"QUIT"] * 3
    assert peer.most_open == 1


async def test_letters_leave_in_parallel_over_so_many_connections_at_most() -> None:
    peer = Peer()
    async with _served(peer, connections=3, messages_per_connection=4) as pool:
        receipts = await asyncio.gather(*(_send(pool) for _ in range(40)))
    assert all(receipt.accepted for receipt in receipts)
    assert len(peer.letters) == 40
    assert peer.most_open == 3


async def test_failures_do_not_raise_the_number_of_connections() -> None:
    peer = Peer({"rcpt": Say(b"550 5.1.1 unknown\r\n")})
    async with _served(peer, connections=2) as pool:
        receipts = await asyncio.gather(*(_send(pool) for _ in range(12)))
    assert {retry.judge(receipt) for receipt in receipts} == {Verdict.REFUSED}
    assert len(peer.sessions) == 12
    assert peer.most_open == 2


async def test_an_unused_connection_is_closed_politely() -> None:
    peer = Peer()
    async with _served(peer, idle_seconds=0.05) as pool:
        assert (await _send(pool)).accepted
        await peer.until(lambda peer: peer.open == 0)
        assert peer.lines[-1] == b"QUIT"
        assert (await _send(pool)).accepted
    assert len(peer.sessions) == 2


async def test_after_the_end_nothing_can_be_sent() -> None:
    peer = Peer()
    async with _served(peer) as pool:
        assert (await _send(pool)).accepted
        await pool.aclose()
        await peer.until(lambda peer: peer.open == 0)
        with pytest.raises(RuntimeError):
            await pool.send(LETTER)
    assert peer.lines[-1] == b"QUIT"


async def test_a_slow_greeting_is_waited_for() -> None:
    slow = Wait(drip=True)
    peer = Peer({"greeting": slow})
    async with _served(peer) as pool:
        sending = asyncio.create_task(pool.send(LETTER))
        await peer.until(lambda peer: peer.open == 1)
        assert not sending.done()
        slow.event.set()
        assert (await _bounded(sending)).accepted


# --- one refusal or accident at each step

STEPS = {
    "greeting": Step.GREETING,
    "ehlo": Step.EHLO,
    "auth": Step.AUTH,
    "mail": Step.MAIL,
    "rcpt": Step.RCPT,
    "data": Step.DATA,
    "body": Step.BODY,
}
EARLY = ("greeting", "ehlo", "auth")


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize(
    "answer",
    [
        "421 4.3.2 closing",
        "450 4.2.1 later",
        "451 4.7.1 greylisted",
        "452 4.3.1 full",
        "550 5.1.1 no such user",
        "552 5.2.2 over quota",
        "554 5.7.1 not you",
        "554 no",
        "535 5.7.8 no",
    ],
)
async def test_a_refusal_is_told_as_it_was_said(name: str, answer: str) -> None:
    peer = Peer({name: Say(answer.encode() + b"\r\n")}, users={"gw": "secret"})
    async with _served(peer, username="gw", password="secret") as pool:
        receipt = await _send(pool)
    code, text = int(answer[:3]), answer[4:]
    assert (receipt.step, receipt.code, receipt.text) == (STEPS[name], code, text)
    assert receipt.enhanced == (text.split()[0] if "." in text else "")
    assert retry.judge(receipt) is not Verdict.SENT
    if code < 500:
        assert retry.judge(receipt) is (Verdict.CONNECTION if name in EARLY else Verdict.RETRY)
    assert peer.letters == []
    assert peer.dots == (1 if name == "body" else 0)
    assert len(peer.sessions) == 1


@pytest.mark.parametrize("name", [*STEPS, "content"])
@pytest.mark.parametrize(
    "accident",
    [
        Drop(),
        Drop(reset=True),
        Hang(),
        Say(b"hello, this is no SMTP\r\n"),
        Say(b"\xff\xfe\x00\r\n"),
        Say(b"999 5.1.1 x\r\n"),
        Say(b"-25 x\r\n"),
        Say(b"x" * 100_000),
        Say(b"250-never\r\n" * 10_000),
        Say(b"250-broken off", hang_up=True),
        Say(b"25"),
        Say(b"\r\n"),
        Say(b"100 5.1.1 continue\r\n"),
    ],
    ids=lambda accident: repr(accident)[:40],
)
async def test_an_accident_is_nobodys_fault_and_never_hangs(
    name: str, accident: Drop | Hang | Say
) -> None:
    if name == "content" and isinstance(accident, Say):
        accident = Drop()
    peer = Peer({name: accident}, users={"gw": "secret"})
    async with _served(peer, username="gw", password="secret") as pool:
        receipt = await _send(pool)
    assert receipt.step is STEPS.get(name, Step.BODY)
    assert receipt.code is None
    assert receipt.text
    assert receipt.text.isprintable()
    assert len(receipt.text) <= 500
    assert retry.judge(receipt) is (Verdict.CONNECTION if name in EARLY else Verdict.RETRY)
    assert peer.letters == []
    assert (
        len(peer.sessions) == 1
    )  # a fresh connection is no second chance: that is the retry schedule's business


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("mail", b"354 go on\r\n"),
        ("mail", b"334 VXNlcg==\r\n"),
        ("rcpt", b"354 go on\r\n"),
        ("rcpt", b"334 VXNlcg==\r\n"),
        ("data", b"334 VXNlcg==\r\n"),
        ("data", b"220 what\r\n"),
        ("data", b"250 2.0.0 Ok: queued\r\n"),
        ("data", b"355 x\r\n"),
    ],
)
async def test_a_good_answer_in_the_wrong_place_is_no_success(
    name: str, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_QUIT_SECONDS", 0.1)  # it takes QUIT for the letter
    peer = Peer({name: Say(answer)})
    async with _served(peer) as pool:
        receipt = await _send(pool)
    assert (receipt.step, receipt.code) == (STEPS[name], int(answer[:3]))
    assert retry.judge(receipt) is Verdict.RETRY
    assert peer.dots == 0


@pytest.mark.parametrize("name", ["greeting", "ehlo", "mail", "rcpt", "data"])
async def test_a_surplus_answer_never_passes_for_the_one_to_the_letter(name: str) -> None:
    normal = {
        "greeting": b"220 hi\r\n",
        "ehlo": b"250 peer.example\r\n",
        "data": b"354 go\r\n",
    }.get(name, b"250 ok\r\n")
    peer = Peer(
        {name: Say(normal + b"250 2.0.0 Ok: queued\r\n"), "body": Say(b"554 5.6.0 refused\r\n")}
    )
    async with _served(peer) as pool:
        receipt = await _send(pool)
    assert not receipt.accepted
    assert peer.dots == 0
    if "PIPELINING" in smtp_peer.OFFERS and name in ("mail", "rcpt"):
        # Taken for the answer to RCPT, so that the answer to RCPT is none to DATA.
        assert (receipt.step, receipt.code) == (Step.DATA, 250)
        return
    assert (receipt.code, receipt.text) == (
        None,
        f"{receipt.host} answered more than it was asked at {name}",
    )


async def test_a_2xx_other_than_250_is_success_too() -> None:
    peer = Peer({"body": Say(b"251 2.1.5 will forward\r\n"), "rcpt": Say(b"251 will forward\r\n")})
    async with _served(peer) as pool:
        assert (await _send(pool)).accepted


async def test_an_answer_is_believed_though_the_server_leaves_with_it() -> None:
    peer = Peer({"body": Say(b"250 2.0.0 Ok\r\n", hang_up=True)})
    async with _served(peer) as pool:
        assert (await _send(pool)).accepted


async def test_after_an_error_the_connection_is_renewed() -> None:
    peer = Peer({"rcpt": Say(b"550 5.1.1 unknown\r\n")}, {})
    async with _served(peer) as pool:
        assert (await _send(pool)).code == 550
        assert (await _send(pool)).accepted
    # Of this server DATA is answered by 354 all the same, and there nothing but a letter can be said.
    last = b"DATA" if "PIPELINING" in smtp_peer.OFFERS else b"QUIT"
    assert [session.lines[-1] for session in peer.sessions] == [last, b"QUIT"]
    assert peer.most_open == 1
    assert peer.dots == 1


async def test_a_server_that_does_not_answer_quit_holds_nothing_up() -> None:
    peer = Peer({"rcpt": Say(b"550 5.1.1 unknown\r\n"), "quit": Hang()}, {"quit": Hang()})
    async with asyncio.timeout(NEVER), _served(peer) as pool:
        assert (await _send(pool)).code == 550
        assert (await _send(pool)).accepted


# --- reused connections


@pytest.mark.parametrize(
    "farewell",
    [
        Drop(),
        Drop(reset=True),
        Say(b"421 4.4.2 timeout\r\n", hang_up=True),
        Say(b"421 4.4.2 timeout\r\n"),
    ],
    ids=repr,
)
async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(
    farewell: Drop | Say,
) -> None:
    peer = Peer({"idle": farewell}, {})
    async with _served(peer) as pool:
        assert (await _send(pool)).accepted
        assert (await _send(pool)).accepted
    assert len(peer.letters) == 2
    assert peer.dots == 2


@pytest.mark.parametrize(
    "surprise",
    [
        {"mail": Drop()},
        {"mail": Drop(reset=True)},
        {"mail": Say(b"421 4.7.0 enough\r\n", hang_up=True)},
        {"mail": Hang()},
        {"mail": Say(b"452 4.5.3 too many letters in one session\r\n")},
        {"mail": Say(b"550 5.7.1 too many\r\n")},
        {"rcpt": Drop()},
        {"data": Drop()},
        {"data": Say(b"421 4.3.2 closing\r\n")},
    ],
    ids=repr,
)
async def test_a_reused_connection_that_fails_is_not_blamed_on_the_letter(
    surprise: dict[str, Drop | Say | Hang],
) -> None:
    gate = _SecondTime(surprise)
    peer = Peer(gate, {})
    async with _served(peer) as pool:
        assert (await _send(pool)).accepted
        receipt = await _send(pool)
    assert receipt.accepted
    assert len(peer.sessions) == 2
    assert peer.dots == 2


@pytest.mark.parametrize(
    "surprise",
    [{"body": Drop()}, {"content": Drop()}, {"body": Drop(reset=True)}, {"body": Hang()}],
    ids=repr,
)
async def test_a_letter_that_was_handed_over_is_never_sent_again_at_once(
    surprise: dict[str, Drop | Say | Hang],
) -> None:
    peer = Peer(_SecondTime(surprise), {})
    async with _served(peer) as pool:
        assert (await _send(pool)).accepted
        receipt = await _send(pool)
    assert (receipt.step, receipt.code) == (Step.BODY, None)
    assert retry.judge(receipt) is Verdict.RETRY
    assert len(peer.sessions) == 1
    assert len([line for line in peer.lines if line == b"DATA"]) == 2


async def test_a_recipient_refused_on_a_reused_connection_is_asked_once() -> None:
    peer = Peer(_SecondTime({"rcpt": Say(b"550 5.1.1 unknown\r\n")}), {})
    async with _served(peer) as pool:
        assert (await _send(pool)).accepted
        assert (await _send(pool)).code == 550
    assert len(peer.sessions) == 1


async def test_a_second_chance_is_given_once() -> None:
    peer = Peer(_SecondTime({"mail": Drop()}), {"mail": Drop()})
    async with _served(peer) as pool:
        assert (await _send(pool)).accepted
        receipt = await _send(pool)
    assert (receipt.step, receipt.code) == (Step.MAIL, None)
    assert len(peer.sessions) == 2


class _SecondTime(dict[str, Drop | Say | Hang | Wait]):
    """A script whose actions wait for the second letter of the connection."""

    def __init__(self, actions: dict[str, Drop | Say | Hang]) -> None:
        super().__init__(actions)
        self._seen: set[str] = set()

    def get(self, step: str, default: object = None) -> object:  # type: ignore[override]
        if step in self and step not in self._seen:
            self._seen.add(step)
            return None
        return super().get(step)


# --- being cancelled


@pytest.mark.parametrize("name", ["greeting", "mail", "data", "body"])
async def test_a_cancelled_send_cuts_its_connection(name: str) -> None:
    peer = Peer({name: Wait()}, {})
    async with _served(peer) as pool:
        sending = asyncio.create_task(pool.send(LETTER))
        waiting_at = {"greeting": lambda peer: peer.open == 1, "body": lambda peer: peer.dots == 1}
        await peer.until(
            waiting_at.get(
                name,
                lambda peer: any(line.startswith(name.upper().encode()) for line in peer.lines),
            )
        )
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        peer._scripts[0][name].event.set()  # type: ignore[union-attr]
        await peer.until(lambda peer: peer.sessions[0].ended)
        assert (await _send(pool)).accepted
    assert len(peer.sessions) == 2
    assert len(peer.letters) == (2 if name == "body" else 1)


async def test_nothing_more_of_a_cancelled_letter_leaves() -> None:
    """A big letter of which most is still in our buffers when the send is cancelled: it must not
    trickle on to its dot.
    """
    peer = Peer({"content": Wait()}, offers=())
    big = smtp.Submission(
        "a@b.example", "c@d.example", b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * 300_000
    )
    async with _served(peer) as pool:
        sending = asyncio.create_task(pool.send(big))
        await peer.until(lambda peer: peer.sessions[:1] != [] and peer.sessions[0].begun == 1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        peer._scripts[0]["content"].event.set()  # type: ignore[union-attr]
        await peer.until(lambda peer: peer.sessions[0].ended)
    assert peer.dots == 0


# --- the way there


async def test_a_refused_connection_says_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with smtp.Pool(_account(unused.getsockname()[1])) as pool:
            receipt = await _send(pool)
    assert (receipt.step, receipt.code) == (Step.CONNECT, None)
    assert "Connection refused" in receipt.text
    assert retry.judge(receipt) is Verdict.CONNECTION


async def test_a_name_that_does_not_resolve_says_so() -> None:
    async with smtp.Pool(_account(25, host="no-such-host.invalid", security="starttls")) as pool:
        receipt = await _send(pool)
    assert (receipt.step, receipt.code) == (Step.CONNECT, None)
    assert "no-such-host.invalid cannot be resolved" in receipt.text
    assert retry.judge(receipt) is Verdict.CONNECTION


async def test_a_host_name_that_is_none_is_no_exception() -> None:
    async with smtp.Pool(_account(25, host="x" * 70 + ".example", security="starttls")) as pool:
        receipt = await _send(pool)
    assert (receipt.step, receipt.code) == (Step.CONNECT, None)
    assert retry.judge(receipt) is Verdict.CONNECTION


async def test_the_next_address_of_a_host_is_tried() -> None:
    """localhost is ::1 and 127.0.0.1 on most machines; the peer listens on the latter only."""
    peer = Peer()
    async with _served(peer, host="localhost") as pool:
        receipt = await _send(pool)
    assert receipt.accepted
    assert receipt.host == f"localhost[127.0.0.1]:{peer.port}"


async def test_our_name_is_one_that_servers_accept() -> None:
    peer = Peer()
    async with peer.serving(), smtp.Pool(_account(peer.port)) as pool:
        assert (await _send(pool)).accepted
    name = peer.lines[0].removeprefix(b"EHLO ")
    assert name == b"[127.0.0.1]" or b"." in name


# --- signing in


@pytest.mark.parametrize(
    "offer", ["AUTH PLAIN LOGIN", "AUTH PLAIN", "AUTH LOGIN", "AUTH=LOGIN", "AUTH CRAM-MD5 PLAIN"]
)
async def test_sign_in(offer: str) -> None:
    peer = Peer(offers=(offer,), users={"gw": "pass wörd"})
    async with _served(peer, username="gw", password="pass wörd") as pool:
        assert (await _send(pool)).accepted
        assert (await _send(pool)).accepted
    assert len([line for line in peer.lines if line.startswith(b"AUTH")]) == 1


async def test_a_wrong_password_is_tried_once() -> None:
    peer = Peer(users={"gw": "secret"})
    async with _served(peer, username="gw", password="wrong") as pool:
        receipt = await _send(pool)
    assert (receipt.step, receipt.code, receipt.enhanced) == (Step.AUTH, 535, "5.7.8")
    assert retry.judge(receipt) is Verdict.ACCOUNT
    assert len([line for line in peer.lines if line.startswith(b"AUTH")]) == 1


async def test_login_after_plain_was_offered_but_is_not_supported() -> None:
    peer = Peer({"auth": Say(b"504 5.5.4 mechanism not supported\r\n")}, users={"gw": "secret"})
    async with _served(peer, username="gw", password="secret") as pool:
        assert (await _send(pool)).accepted


@pytest.mark.parametrize("offers", [("AUTH CRAM-MD5 XOAUTH2",), ()])
async def test_no_way_to_sign_in_is_the_accounts_fault(offers: tuple[str, ...]) -> None:
    peer = Peer(offers=offers)
    async with _served(peer, username="gw", password="secret") as pool:
        receipt = await _send(pool)
    assert (receipt.step, receipt.code) == (Step.AUTH, None)
    assert "offers neither AUTH PLAIN nor LOGIN" in receipt.text
    assert retry.judge(receipt) is Verdict.ACCOUNT
    assert b"MAIL" not in b" ".join(peer.lines)


async def test_a_password_that_the_server_repeats_is_not_passed_on() -> None:
    encoded = b"AGd3AHNlY3JldA=="
    peer = Peer(
        {"auth": Say(b"501 5.5.2 cannot decode " + encoded + b" (secret)\r\n")},
        users={"gw": "secret"},
    )
    async with _served(peer, username="gw", password="secret") as pool:
        receipt = await _send(pool)
    assert receipt.text == "5.5.2 cannot decode *** (***)"
    assert any(encoded in line for line in peer.lines)


# --- what a server can take


@pytest.mark.parametrize(
    ("offers", "letter", "step", "enhanced", "verdict"),
    [
        (("SIZE 20",), LETTER, Step.MAIL, "5.3.4", Verdict.REFUSED),
        (
            (),
            smtp.Submission("a@b.example", "c@d.example", "ø\r\n".encode()),
            Step.MAIL,
            "5.6.3",
            Verdict.REFUSED,
        ),
        (
            (),
            smtp.Submission("a@b.example", "bjørn@d.example", CONTENT),
            Step.RCPT,
            "5.6.7",
            Verdict.REFUSED,
        ),
        (
            (),
            smtp.Submission("a@b.example", "no address", CONTENT),
            Step.RCPT,
            "5.1.3",
            Verdict.REFUSED,
        ),
        (
            (),
            smtp.Submission("a@b.example", "x@y.example>\r\nRCPT TO:<z@y.example", CONTENT),
            Step.RCPT,
            "5.1.3",
            Verdict.REFUSED,
        ),
        (
            (),
            smtp.Submission("a@b.example", "x@y.example> NOTIFY=NEVER", CONTENT),
            Step.RCPT,
            "5.1.3",
            Verdict.REFUSED,
        ),
        (
            (),
            smtp.Submission("a@b.example", "Ola <x@y.example>", CONTENT),
            Step.RCPT,
            "5.1.3",
            Verdict.REFUSED,
        ),
        ((), smtp.Submission("a@b.example", "", CONTENT), Step.RCPT, "5.1.3", Verdict.REFUSED),
        (
            (),
            smtp.Submission("a@b.example", "x@-.ø..example", CONTENT),
            Step.RCPT,
            "5.1.3",
            Verdict.REFUSED,
        ),
        (
            (),
            smtp.Submission("a@b.example", "x\udc80@y.example", CONTENT),
            Step.RCPT,
            "5.1.3",
            Verdict.REFUSED,
        ),
        (
            (),
            smtp.Submission("nobody", "c@d.example", CONTENT),
            Step.MAIL,
            "5.1.7",
            Verdict.ACCOUNT,
        ),
    ],
)
async def test_a_letter_that_cannot_go_costs_no_connection(
    offers: tuple[str, ...], letter: smtp.Submission, step: Step, enhanced: str, verdict: Verdict
) -> None:
    peer = Peer(offers=offers)
    good = smtp.Submission("a@b.example", "c@d.example", b"a: b\r\n")
    async with _served(peer) as pool:
        assert (await _send(pool, good)).accepted
        receipt = await _send(pool, letter)
        assert (await _send(pool, good)).accepted
    assert (receipt.step, receipt.code, receipt.enhanced) == (step, None, enhanced)
    assert receipt.text.isprintable()
    assert retry.judge(receipt) is verdict
    assert len(peer.sessions) == 1
    assert len([line for line in peer.lines if line.startswith(b"MAIL")]) == 2


@pytest.mark.parametrize(
    ("offers", "letter", "mail", "rcpt"),
    [
        (
            ("SIZE",),
            LETTER,
            b"MAIL FROM:<%b> SIZE=%d" % (LETTER.sender.encode(), len(CONTENT)),
            b"RCPT TO:<ola@ext.example>",
        ),
        (
            ("SIZE 0",),
            LETTER,
            b"MAIL FROM:<%b> SIZE=%d" % (LETTER.sender.encode(), len(CONTENT)),
            b"RCPT TO:<ola@ext.example>",
        ),
        (
            ("SIZE lots",),
            LETTER,
            b"MAIL FROM:<%b> SIZE=%d" % (LETTER.sender.encode(), len(CONTENT)),
            b"RCPT TO:<ola@ext.example>",
        ),
        (
            ("8BITMIME",),
            smtp.Submission("", "c@d.example", "ø\r\n".encode()),
            b"MAIL FROM:<> BODY=8BITMIME",
            b"RCPT TO:<c@d.example>",
        ),
        (
            ("SMTPUTF8", "8BITMIME"),
            smtp.Submission("a@b.example", "bjørn@blåbær.example", CONTENT),
            b"MAIL FROM:<a@b.example> SMTPUTF8",
            "RCPT TO:<bjørn@xn--blbr-roah.example>".encode(),
        ),
        (
            (),
            smtp.Submission("a@b.example", "ola@Blåbær.example", CONTENT),
            b"MAIL FROM:<a@b.example>",
            b"RCPT TO:<ola@xn--blbr-roah.example>",
        ),
        (
            (),
            smtp.Submission("a@b.example", '"ola > n"@d.example', CONTENT),
            b"MAIL FROM:<a@b.example>",
            b'RCPT TO:<"ola > n"@d.example>',
        ),
        (
            (),
            smtp.Submission("a@b.example", "o'hara+x=y@[127.0.0.1]", CONTENT),
            b"MAIL FROM:<a@b.example>",
            b"RCPT TO:<o'hara+x=y@[127.0.0.1]>",
        ),
    ],
)
async def test_the_envelope_is_put_as_the_server_can_take_it(
    offers: tuple[str, ...], letter: smtp.Submission, mail: bytes, rcpt: bytes
) -> None:
    peer = Peer(offers=offers)
    async with _served(peer) as pool:
        assert (await _send(pool, letter)).accepted
    assert peer.letters == [Letter(mail, rcpt, letter.content)]


# --- the server's words


@pytest.mark.parametrize(
    ("said", "text", "enhanced"),
    [
        (
            b"550-5.1.1 The account\r\n550-5.1.1 does not exist.\r\n550 5.1.1 Bye",
            "5.1.1 The account does not exist. Bye",
            "5.1.1",
        ),
        (
            b"550 sorry, no mailbox here by that name. (#5.1.1)",
            "sorry, no mailbox here by that name. (#5.1.1)",
            "5.1.1",
        ),
        (b"550 #5.1.0 Address rejected.", "#5.1.0 Address rejected.", "5.1.0"),
        (b"550 see 5.1.2.3 for more", "see 5.1.2.3 for more", ""),
        (b"550 5.1.10.1 is blocked", "5.1.10.1 is blocked", ""),
        (b"550", "", ""),
        (b"550 \x1b[31mred\x07\x00\xff\xe2\x80\xae!", "\\x1b[31mred\\x07\\x00\\udcff\\u202e!", ""),
        (b"550 " + b"x" * 2000, "x" * 499 + "…", ""),
        ("550 5.1.1 finnes ikke på serveren".encode(), "5.1.1 finnes ikke på serveren", "5.1.1"),
    ],
)
async def test_words_are_one_printable_line(said: bytes, text: str, enhanced: str) -> None:
    peer = Peer({"rcpt": Say(said + b"\r\n")})
    async with _served(peer) as pool:
        receipt = await _send(pool)
    assert (receipt.code, receipt.text, receipt.enhanced) == (550, text, enhanced)


# --- TLS


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def _server_tls(
    authority: trustme.CA, *names: str, expires: datetime.datetime | None = None
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names, not_after=expires).configure_cert(context)
    return context


@pytest.fixture(params=["starttls", "tls"])
def security(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_tls_with_a_good_certificate(
    authority: trustme.CA, ca_file: Path, security: str
) -> None:
    peer = Peer(
        tls=_server_tls(authority, "localhost"),
        implicit_tls=security == "tls",
        users={"gw": "secret"},
    )
    async with _served(
        peer,
        host="localhost",
        security=security,
        ca_file=str(ca_file),
        username="gw",
        password="secret",
    ) as pool:
        for _ in range(3):
            assert (await _send(pool)).accepted
    assert len(peer.letters) == 3
    assert len(peer.sessions) == 1
    assert peer.sessions[0].encrypted
    if security == "starttls":
        assert [line.split()[0] for line in peer.lines[:4]] == [
            b"EHLO",
            b"STARTTLS",
            b"EHLO",
            b"AUTH",
        ]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("name", "Hostname mismatch"),
        ("expired", "certificate has expired"),
        ("untrusted", "local issuer"),
    ],
)
async def test_a_bad_certificate_ends_it_with_the_reason(
    authority: trustme.CA, ca_file: Path, security: str, fault: str, words: str
) -> None:
    tls = {
        "name": lambda: _server_tls(authority, "other.example"),
        "expired": lambda: _server_tls(
            authority, "localhost", expires=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        ),
        "untrusted": lambda: _server_tls(trustme.CA(), "localhost"),
    }[fault]()
    peer = Peer(tls=tls, implicit_tls=security == "tls", users={"gw": "secret"})
    async with _served(
        peer,
        host="localhost",
        security=security,
        ca_file=str(ca_file),
        username="gw",
        password="secret",
    ) as pool:
        receipt = await _send(pool)
    assert (receipt.step, receipt.code) == (
        Step.STARTTLS if security == "starttls" else Step.CONNECT,
        None,
    )
    assert words in receipt.text
    assert f"localhost[127.0.0.1]:{peer.port}" in receipt.text
    assert retry.judge(receipt) is Verdict.CONNECTION
    assert [line for line in peer.lines if not line.startswith((b"EHLO", b"STARTTLS"))] == []


async def test_old_tls_is_refused(authority: trustme.CA, ca_file: Path, security: str) -> None:
    tls = _server_tls(authority, "localhost")
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    peer = Peer(tls=tls, implicit_tls=security == "tls")
    async with _served(peer, host="localhost", security=security, ca_file=str(ca_file)) as pool:
        receipt = await _send(pool)
    assert receipt.code is None
    assert "TLS" in receipt.text
    assert peer.dots == 0


@pytest.mark.parametrize(
    "answer",
    [
        None,
        Say(b"454 4.7.0 TLS not available\r\n"),
        Say(b"500 5.5.1 what?\r\n"),
        Drop(),
        Hang(),
        Say(b"220 go\r\n220 go\r\n"),
        Say(b"250 Ok\r\n"),
    ],
    ids=repr,
)
async def test_without_tls_nothing_leaves_in_clear(
    authority: trustme.CA, answer: Say | Drop | Hang | None
) -> None:
    """Also: not offered at all (None), and words injected behind the server's agreement (RFC 3207
    §6, CVE-2011-0411).
    """
    script = {} if answer is None else {"starttls": answer}
    peer = Peer(
        script,
        tls=_server_tls(authority, "other.example") if answer else None,
        users={"gw": "secret"},
    )
    async with _served(peer, security="starttls", username="gw", password="secret") as pool:
        receipt = await _send(pool)
    assert receipt.step is Step.STARTTLS
    assert not receipt.accepted
    assert retry.judge(receipt) in (Verdict.CONNECTION, Verdict.ACCOUNT)
    assert [
        line for line in peer.lines if not line.startswith((b"EHLO", b"STARTTLS", b"QUIT"))
    ] == []
    if answer is None:
        assert "does not offer STARTTLS" in receipt.text


async def test_what_was_offered_before_tls_does_not_count(
    authority: trustme.CA, ca_file: Path
) -> None:
    """An attacker may add or remove offers in clear;
    only those inside TLS are believed (RFC 3207 §4.2).
    """
    peer = Peer(
        {"ehlo": Say(b"250-peer.example\r\n250-STARTTLS\r\n250-SIZE 1\r\n250 AUTH CRAM-MD5\r\n")},
        tls=_server_tls(authority, "localhost"),
        users={"gw": "secret"},
    )
    async with _served(
        peer,
        host="localhost",
        security="starttls",
        ca_file=str(ca_file),
        username="gw",
        password="secret",
    ) as pool:
        assert (await _send(pool)).accepted


async def test_tls_to_a_port_without_it_says_so() -> None:
    async with _served(Peer(), security="tls") as pool:
        receipt = await _send(pool)
    assert (receipt.step, receipt.code) == (Step.CONNECT, None)
    assert "no TLS on this port?" in receipt.text


async def test_a_port_that_expects_tls_first_says_so(authority: trustme.CA) -> None:
    peer = Peer(tls=_server_tls(authority, "localhost"), implicit_tls=True)
    async with _served(peer, security="starttls", timeout=1.5) as pool:
        receipt = await _send(pool)
    assert (receipt.step, receipt.code) == (Step.GREETING, None)
    assert "TLS from the first byte expected there?" in receipt.text


@pytest.mark.parametrize("name", ["greeting", "ehlo after tls", "mail", "body"])
@pytest.mark.parametrize("accident", [Drop(), Drop(reset=True), Hang()], ids=repr)
async def test_accidents_inside_tls(
    authority: trustme.CA, ca_file: Path, name: str, accident: Drop | Hang
) -> None:
    implicit = name == "greeting"
    peer = Peer({name: accident}, tls=_server_tls(authority, "localhost"), implicit_tls=implicit)
    async with _served(
        peer,
        host="localhost",
        security="tls" if implicit else "starttls",
        ca_file=str(ca_file),
    ) as pool:
        receipt = await _send(pool)
    assert receipt.step is {"ehlo after tls": Step.EHLO, **STEPS}[name]
    assert receipt.code is None
    assert peer.letters == []


@pytest.mark.parametrize("content", [None, b"no certificate", b""])
def test_unreadable_authorities_are_a_mistake_in_the_configuration(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"smtp\.ca_file.*ca\.pem"):
        smtp.Pool(_account(25, security="tls", ca_file=str(path)))


# --- nothing is left behind


@pytest.fixture(autouse=True)
def _no_leaks(small_heap: None) -> Iterator[None]:
    """A transport or socket that was not closed is found by the garbage collector; the test run
    turns that into an error.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        yield
        gc.collect()


async def test_silence_twice_in_one_send_ends_too() -> None:
    """A connection that has to be replaced, then a server that is silent where we wait longest."""
    peer = Peer(_SecondTime({"mail": Hang()}), {"body": Hang()})
    async with _served(peer) as pool:
        assert (await _send(pool)).accepted
        receipt = await _send(pool)
    assert (receipt.step, receipt.code) == (Step.BODY, None)
    assert len(peer.sessions) == 2
