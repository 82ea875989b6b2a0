"""IMAP with STARTTLS: against a real Dovecot, and against servers between which and us somebody
stands. Nothing but CAPABILITY and STARTTLS may leave in clear text.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from gateway import sections
from gateway.inbound import imap, imap_wire
from tests.rig import dovecot as dovecot_server
from tests.rig import process
from tests.wire import imap_peer


def options(port: int, **more: object) -> sections.Imap:
    given = {"host": "127.0.0.1", "port": port, "security": "starttls", "username": "invites"}
    return sections.Imap.model_validate({**given, "timeout_seconds": 30, **more})


@contextlib.asynccontextmanager
async def session(account: sections.Imap, password: str) -> AsyncIterator[imap.Session]:
    async with imap.session(
        account,
        password=password,
        context=imap.tls(account),
        max_bytes=100_000,
        stop=asyncio.Event(),
    ) as opened:
        yield opened


@pytest.mark.real
async def test_a_real_server_is_read_over_tls_that_began_in_clear_text() -> None:
    authority = trustme.CA()
    with process.private_directory("certificate") as folder:
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        secured = f"ssl = yes\nssl_cert = <{folder}/server.pem\nssl_key = <{folder}/server.pem"
        with dovecot_server.running(secured) as server:
            good = options(server.imap_port, ca_file=str(folder / "ca.pem"))
            async with session(good, dovecot_server.PASSWORD) as opened:
                assert opened.uidvalidity
                assert opened.certificate["subjectAltName"] == (("IP Address", "127.0.0.1"),)
            with pytest.raises(
                imap_wire.MailboxError, match=r"certificate of 127\.0\.0\.1 is not acc"
            ):
                async with session(options(server.imap_port), dovecot_server.PASSWORD):
                    pass


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (None, "refused STARTTLS: what"),
        (imap_peer.says("{tag} NO not today"), "refused STARTTLS: not today"),
        (
            imap_peer.says("{tag} OK go on\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN"),
            "said more in clear text",
        ),
        (imap_peer.says("{tag} OK go on\r\n* PREAU"), "said more in clear text"),
        (imap_peer.drop, "connection was lost"),
        (imap_peer.bye, "ended the session"),
    ],
)
async def test_without_tls_nothing_is_said(answer: imap_peer.Fault | None, says: str) -> None:
    async with imap_peer.running() as peer:
        peer.capabilities = (*imap_peer.EVERYTHING, "STARTTLS")
        if answer is not None:
            peer.fail("STARTTLS", answer)
        with pytest.raises(imap_wire.MailboxError, match=says):
            async with session(options(peer.port), 'sec"ret'):
                pass
        assert {line.split()[1] for line in peer.heard} <= {"CAPABILITY", "STARTTLS", "LOGOUT"}


async def test_a_server_that_does_not_offer_it_is_told_nothing() -> None:
    async with imap_peer.running() as peer:
        with pytest.raises(
            imap_wire.MailboxError, match="does not offer STARTTLS; nothing is said"
        ):
            async with session(options(peer.port), 'sec"ret'):
                pass
        assert not peer.commands("LOGIN")
        # Signed in by the greeting, a server takes no STARTTLS any more (RFC 3501 §6.2.1).
        peer.capabilities = (*imap_peer.EVERYTHING, "STARTTLS")
        peer.fail("GREETING", imap_peer.says("* PREAUTH welcome"))
        with pytest.raises(imap_wire.MailboxError, match="does not offer STARTTLS"):
            async with session(options(peer.port), 'sec"ret'):
                pass
        assert not peer.commands("SELECT")


async def test_a_handshake_that_fails_is_told_as_one(tmp_path: Path) -> None:
    """The words are those of the same fault on a port that begins with TLS."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("elsewhere.example").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        while line := await reader.readline():
            tag, command = line.split()[:2]
            if command == b"CAPABILITY":
                writer.write(b"* CAPABILITY IMAP4rev1 STARTTLS\r\n")
            writer.write(tag + b" OK done\r\n")
            if command == b"STARTTLS":
                with contextlib.suppress(OSError):
                    await writer.start_tls(context)
                return

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        for given in ({}, {"ca_file": str(tmp_path / "ca.pem")}):
            with pytest.raises(
                imap_wire.MailboxError, match=r"certificate of 127.* is not accepted"
            ):
                async with session(options(port, **given), 'sec"ret'):
                    pass
