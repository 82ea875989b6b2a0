"""Access tokens from a real authorisation server, and signing in with them to servers
that accept and refuse them.
"""

import asyncio
import base64
from pathlib import Path

import pytest

from gateway import accounts, sections
from gateway.errors import ConfigurationError
from gateway.inbound import imap, imap_wire
from gateway.outbound import retry, smtp
from gateway.outbound.retry import Verdict
from gateway.outbound.smtp import Step
from gateway.sections import OAuth
from tests.wire import auth_server, imap_peer, smtp_peer
from tests.wire.auth_server import CLIENT, REFRESH, SECRET, AuthServer
from tests.wire.smtp_peer import Say

LETTER = smtp.Submission("invites@crm.example", "ola@ext.example", b"Subject: x\r\n\r\nbody\r\n")


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def oauth(server: AuthServer, **more: object) -> OAuth:
    return OAuth.model_validate(
        {
            "token_url": server.url,
            "client_id": CLIENT,
            "client_secret": SECRET,
            "scope": "mail",
            **more,
        }
    )


# Tokens


async def test_a_token_is_asked_for_once_and_again_shortly_before_its_end() -> None:
    async with AuthServer(lasts=3600).serving() as server:
        clock = Clock()
        tokens = accounts.Tokens(oauth(server), clock=clock)
        assert await asyncio.gather(*(tokens.current() for _ in range(10))) == ["access-1"] * 10
        clock.seconds += 3600 - accounts.EARLY_SECONDS - 1
        assert await tokens.current() == "access-1"
        clock.seconds += 1
        assert await tokens.current() == "access-2"
    assert (
        server.asked
        == [
            {
                "grant_type": "client_credentials",
                "client_id": CLIENT,
                "client_secret": SECRET,
                "scope": "mail",
            }
        ]
        * 2
    )


async def test_a_refresh_token_is_used_where_there_is_one() -> None:
    async with AuthServer().serving() as server:
        assert await accounts.Tokens(oauth(server, refresh_token=REFRESH)).current() == "access-1"
    [form] = server.asked
    assert (form["grant_type"], form["refresh_token"], form["scope"]) == (
        "refresh_token",
        REFRESH,
        "mail",
    )


async def test_a_new_refresh_token_takes_the_old_ones_place_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "refresh"
    file.write_text(f"{REFRESH}\n", encoding="utf-8")
    async with AuthServer(rotates=True).serving() as server:
        tokens = accounts.Tokens(oauth(server, refresh_token_file=str(file)))
        assert await tokens.current() == "access-1"
        assert await tokens.renewed("access-1") == "access-2"
        # What the file holds now is what a process that starts later needs.
        assert (
            await accounts.Tokens(oauth(server, refresh_token_file=str(file))).current()
            == "access-3"
        )
    assert file.read_text(encoding="utf-8") == f"{server.refresh}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["refresh"]


async def test_a_refused_token_is_replaced_once_for_all_who_had_it() -> None:
    async with AuthServer().serving() as server:
        tokens = accounts.Tokens(oauth(server))
        old = await tokens.current()
        assert await asyncio.gather(*(tokens.renewed(old) for _ in range(5))) == ["access-2"] * 5
    assert len(server.asked) == 2


async def test_a_token_without_an_end_is_not_used_for_ever() -> None:
    async with AuthServer(lasts=None).serving() as server:
        clock = Clock()
        tokens = accounts.Tokens(oauth(server), clock=clock)
        await tokens.current()
        clock.seconds += accounts.UNTOLD_SECONDS
        assert await tokens.current() == "access-2"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"client_secret": "wrong secret"}, "invalid_client: the secret is wrong"),
        ({"refresh_token": "wrong token"}, "invalid_grant: the refresh token was revoked"),
    ],
)
async def test_a_refusal_says_why_and_keeps_the_secrets(more: dict[str, str], words: str) -> None:
    async with AuthServer().serving() as server:
        with pytest.raises(accounts.TokenRefused) as caught:
            await accounts.Tokens(oauth(server, **more)).current()
    assert str(caught.value) == f"127.0.0.1 gives no token: {words}"


@pytest.mark.parametrize(
    "answer",
    [
        None,
        b"",
        b"hello\r\n",
        auth_server.http(200, "no json"),
        auth_server.http(200, "[]"),
        auth_server.http(200, "{}"),
        auth_server.http(200, '{"access_token": 7}'),
        auth_server.http(200, '{"access_token": "a\\r\\nb", "token_type": "Bearer"}'),
        auth_server.http(404, "not here"),
        auth_server.http(302, "", "Location: http://127.0.0.1:1/"),
        auth_server.http(503, "later"),
        auth_server.refusal("temporarily_unavailable", "later", 503),
        auth_server.refusal("slow_down", "later", 429),
        auth_server.http(200, '{"access_token": "x", "expires_in": "soon"}'),
    ],
    ids=repr,
)
async def test_an_answer_that_is_none_passes_by_itself(answer: bytes | None) -> None:
    async with AuthServer().serving() as server:
        tokens = accounts.Tokens(oauth(server))
        server.answers.append(answer)
        with pytest.raises(accounts.TokenMissing, match=r"^127\.0\.0\.1 "):
            await tokens.current()
        assert await tokens.current() == "access-1"


async def test_nobody_there_is_no_refusal() -> None:
    server = AuthServer()
    async with server.serving():
        pass
    with pytest.raises(accounts.TokenMissing, match="cannot be asked for a token"):
        await accounts.Tokens(oauth(server)).current()


@pytest.mark.parametrize(
    ("facts", "url", "scope"),
    [
        (
            {"provider": "google", "refresh_token": "x"},
            "https://oauth2.googleapis.com/token",
            "https://mail.google.com/",
        ),
        (
            {"provider": "microsoft365", "tenant": "crm.example"},
            "https://login.microsoftonline.com/crm.example/oauth2/v2.0/token",
            "https://outlook.office365.com/.default",
        ),
        (
            {"provider": "microsoft365", "refresh_token": "x"},
            "https://login.microsoftonline.com/common/oauth2/v2.0/token",
            "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access",
        ),
        (
            {
                "provider": "microsoft365",
                "tenant": "t",
                "token_url": "https://login.microsoftonline.us/t/token",
                "scope": "s",
            },
            "https://login.microsoftonline.us/t/token",
            "s",
        ),
    ],
)
def test_providers_are_known(facts: dict[str, str], url: str, scope: str) -> None:
    tokens = accounts.Tokens(OAuth.model_validate({"client_id": CLIENT, **facts}))
    assert (tokens.url, tokens.scope) == (url, scope)


def test_a_secret_that_cannot_be_read_is_a_mistake_in_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^accounts\.sales\.oauth\.client_secret_file: cannot read "
    ):
        accounts.Tokens(
            OAuth(client_id=CLIENT, client_secret_file=str(tmp_path / "absent")),
            "accounts.sales.oauth",
        )


# SMTP


def smtp_account(port: int) -> sections.Smtp:
    return sections.Smtp(
        host="127.0.0.1",
        port=port,
        security="none",
        sign_in="xoauth2",
        username="invites@crm.example",
        timeout_seconds=20,
    )


def initial(token: str) -> bytes:
    return base64.b64encode(accounts.bearer("invites@crm.example", token))


async def sent(peer: smtp_peer.Peer, server: AuthServer, **more: object) -> smtp.Receipt:
    async with (
        peer.serving(),
        smtp.Pool(
            smtp_account(peer.port),
            tokens=accounts.Tokens(oauth(server, **more)),
            hostname="g.example",
        ) as pool,
    ):
        async with asyncio.timeout(30):
            return await pool.send(LETTER)


async def test_a_letter_leaves_with_a_token() -> None:
    async with AuthServer().serving() as server:
        peer = smtp_peer.Peer(tokens={"access-1"})
        assert (await sent(peer, server)).accepted
    assert peer.lines[1] == b"AUTH XOAUTH2 " + initial("access-1")


async def test_a_token_that_ended_early_is_replaced_on_the_same_connection() -> None:
    async with AuthServer().serving() as server:
        peer = smtp_peer.Peer(tokens={"access-2"})
        assert (await sent(peer, server)).accepted
    assert [line for line in peer.lines if line.startswith(b"AUTH")] == [
        b"AUTH XOAUTH2 " + initial(f"access-{n}") for n in (1, 2)
    ]
    assert len(peer.sessions) == 1


async def test_two_refused_tokens_are_the_accounts_fault_and_no_third_is_tried() -> None:
    async with AuthServer().serving() as server:
        peer = smtp_peer.Peer(tokens=set())
        receipt = await sent(peer, server)
    assert (receipt.step, receipt.code, retry.judge(receipt)) == (Step.AUTH, 535, Verdict.ACCOUNT)
    assert len(server.asked) == 2
    assert not peer.letters


async def test_a_token_that_the_server_repeats_is_not_passed_on() -> None:
    async with AuthServer().serving() as server:
        peer = smtp_peer.Peer(
            {"auth": Say(b"501 5.5.2 cannot decode " + initial("access-1") + b" (access-1)\r\n")},
            tokens={"x"},
        )
        receipt = await sent(peer, server)
    assert receipt.text == "5.5.2 cannot decode *** (***)"


async def test_without_a_token_the_account_rests_and_the_server_is_told_nothing() -> None:
    async with AuthServer().serving() as server:
        peer = smtp_peer.Peer(tokens={"access-1"})
        receipt = await sent(peer, server, client_secret="wrong")
        assert (receipt.step, receipt.code, retry.judge(receipt)) == (
            Step.AUTH,
            None,
            Verdict.ACCOUNT,
        )
        assert receipt.text == "127.0.0.1 gives no token: invalid_client: the secret is wrong"
        server.answers.append(auth_server.http(503, "later"))
        later = smtp_peer.Peer(tokens={"access-1"})
        assert retry.judge(await sent(later, server)) is Verdict.CONNECTION
    assert not [line for line in [*peer.lines, *later.lines] if line.startswith((b"AUTH", b"MAIL"))]


async def test_a_server_without_xoauth2_never_sees_a_token() -> None:
    async with AuthServer().serving() as server:
        peer = smtp_peer.Peer(users={"invites@crm.example": "x"})
        receipt = await sent(peer, server)
    assert (receipt.step, retry.judge(receipt)) == (Step.AUTH, Verdict.ACCOUNT)
    assert "does not offer AUTH XOAUTH2" in receipt.text
    assert not server.asked


# IMAP


def imap_account(port: int, **more: object) -> sections.Imap:
    return sections.Imap.model_validate(
        {
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
            "sign_in": "xoauth2",
            "username": "invites@crm.example",
            "timeout_seconds": 20,
            **more,
        }
    )


async def opened(peer: imap_peer.Peer, server: AuthServer, **more: object) -> None:
    """Sign in, look, and leave."""
    tokens = accounts.Tokens(oauth(server, **more))
    async with imap.session(
        imap_account(peer.port),
        password="",
        context=None,
        max_bytes=10_000,
        stop=asyncio.Event(),
        tokens=tokens,
    ) as session:
        await session.search(0)


@pytest.fixture
def tokened() -> tuple[str, ...]:
    return (*imap_peer.EVERYTHING, "SASL-IR", "AUTH=XOAUTH2")


async def test_a_mailbox_is_opened_with_a_token(tokened: tuple[str, ...]) -> None:
    async with AuthServer().serving() as server, imap_peer.running() as peer:
        peer.capabilities, peer.tokens = tokened, {"access-1"}
        await opened(peer, server)
    assert peer.commands("AUTHENTICATE") == [f"AUTHENTICATE XOAUTH2 {initial('access-1').decode()}"]


async def test_a_refused_token_is_answered_and_replaced_without_waiting_for_a_timeout(
    tokened: tuple[str, ...],
) -> None:
    """The server puts its reason into a challenge and says NO only after our
    empty response to it.
    """
    async with AuthServer().serving() as server, imap_peer.running() as peer:
        peer.capabilities, peer.tokens = tokened, {"access-2"}
        await opened(peer, server)
    assert len(peer.commands("AUTHENTICATE")) == 2
    assert peer.heard.count("") == 1, "one challenge, one empty response"


async def test_two_refused_tokens_are_a_refusal_with_the_servers_words(
    tokened: tuple[str, ...],
) -> None:
    async with AuthServer().serving() as server, imap_peer.running() as peer:
        peer.capabilities = tokened
        with pytest.raises(
            imap.SignInRefused, match=r"AUTHENTICATIONFAILED.*wrong token"
        ) as caught:
            await opened(peer, server)
    assert "access" not in str(caught.value)
    assert len(server.asked) == 2


async def test_no_token_wants_the_pace_of_its_cause(tokened: tuple[str, ...]) -> None:
    async with AuthServer().serving() as server, imap_peer.running() as peer:
        peer.capabilities = tokened
        with pytest.raises(imap.SignInRefused, match="the secret is wrong"):
            await opened(peer, server, client_secret="wrong")
        server.answers.append(auth_server.http(503, "later"))
        with pytest.raises(imap_wire.MailboxError, match="status 503") as caught:
            await opened(peer, server)
    assert not isinstance(caught.value, imap.SignInRefused)
    assert not peer.commands("AUTHENTICATE")


async def test_a_mail_server_without_xoauth2_is_told_nothing() -> None:
    async with AuthServer().serving() as server, imap_peer.running() as peer:
        with pytest.raises(imap.SignInRefused, match="offers no sign-in by token"):
            await opened(peer, server)
    assert not server.asked
