"""The rig itself: what the other real-server tests take for granted."""

from __future__ import annotations

import ctypes
import re
import smtplib
import threading
from email.message import EmailMessage
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import psycopg
import pytest
from playwright import sync_api

from tests import rig
from tests.core import libical
from tests.rig import aerc, chromium, gnus, horde, mailbox, process, terminal, thunderbird
from tests.rig import dovecot as dovecot_server
from tests.rig import postfix as postfix_server
from tests.rig import postgres as postgres_server

pytestmark = pytest.mark.real

REQUEST = Path(__file__).parent.parent / "corpus" / "request.eml"
CLIENTS = (aerc, gnus, horde, pytest.param(thunderbird, marks=pytest.mark.thunderbird))
PARTSTAT = {"accept": "ACCEPTED", "decline": "DECLINED", "tentative": "TENTATIVE"}


def anything(_: EmailMessage) -> bool:
    return True


def is_report(message: EmailMessage) -> bool:
    return message.get_content_type() == "multipart/report"


def invitation(invitee: mailbox.Mailbox, organizer: str, uid: str) -> bytes:
    """The request of the corpus, for this invitee, to be answered to this address."""
    raw = REQUEST.read_bytes().replace(b"\n", b"\r\n")
    for old, new in (
        ("kari@ext.example", invitee.address),
        ("invites+abc123@crm.example", organizer),
        ("rig-0001@crm.example", uid),
    ):
        raw = raw.replace(old.encode(), new.encode())
    return raw


def delivery_status(report: EmailMessage) -> str:
    """The per-message and per-recipient fields of a report (RFC 3464) as text."""
    (part,) = (
        part for part in report.walk() if part.get_content_type() == "message/delivery-status"
    )
    return "\n".join(str(fields) for fields in part.get_payload())


def note(sender: str, recipient: str, subject: str) -> bytes:
    return f"From: {sender}\r\nTo: {recipient}\r\nSubject: {subject}\r\n\r\nHello\r\n".encode()


def test_sub_address_lands_in_the_mailbox_and_is_kept_in_delivered_to(
    postfix: postfix_server.Server, invites: mailbox.Mailbox, invitee: mailbox.Mailbox
) -> None:
    first, second = invites.sub_address("Token-1"), invites.sub_address("token-2")
    postfix.send(invitee.address, [first, second], note(invitee.address, first, "to both"))
    found = invites.wait_for(anything, 2)
    assert sorted(message["Delivered-To"] for message in found) == sorted([first, second])
    assert {message["Return-Path"] for message in found} == {f"<{invitee.address}>"}
    assert invitee.messages() == []


def test_idle_wakes_a_waiting_reader(
    postfix: postfix_server.Server, invites: mailbox.Mailbox
) -> None:
    with invites.connect() as connection:
        connection.select("INBOX")
        sending = threading.Thread(
            target=postfix.send,
            args=(
                "eva@other.example",
                [invites.address],
                note("eva@other.example", invites.address, "news"),
            ),
        )
        sending.start()
        noticed = mailbox.idle(connection, mailbox.WAIT_SECONDS)
        sending.join()
        assert noticed
        assert connection.noop()[0] == "OK"
    assert [message["Subject"] for message in invites.messages()] == ["news"]


def test_waiting_in_vain_says_what_is_there(invites: mailbox.Mailbox) -> None:
    invites.append(note("eva@other.example", invites.address, "not this one"))
    with pytest.raises(mailbox.NotArrived, match=r"0 of 1 messages(.|\n)*not this one"):
        invites.wait_for(lambda message: message["Subject"] == "another", seconds=0.2)


def test_dovecot_offers_what_the_poller_relies_on(
    dovecot: dovecot_server.Server, invites: mailbox.Mailbox
) -> None:
    invites.append(note("eva@other.example", invites.address, "to be moved"))
    with invites.connect() as connection:
        capabilities = connection.capability()[1][-1]
        assert {b"IDLE", b"MOVE", b"UIDPLUS"} <= set(capabilities.split())
        connection.create("Processed")
        connection.select("INBOX")
        assert connection.uid("MOVE", "1", "Processed")[0] == "OK"
    assert invites.messages() == []
    assert [message["Subject"] for message in invites.messages("Processed")] == ["to be moved"]
    assert invites.folders() == ["INBOX", "Processed"]
    assert list((dovecot.home(invites.username) / "Maildir").glob(".Processed/*/*:*"))


@pytest.mark.parametrize("action", PARTSTAT)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__.rsplit(".", 1)[1])
def test_client_answers_the_newest_invitation(
    client: ModuleType,
    action: str,
    postfix: postfix_server.Server,
    invites: mailbox.Mailbox,
    invitee: mailbox.Mailbox,
) -> None:
    older, newer = invites.sub_address("older"), invites.sub_address("abc123")
    invitee.append(invitation(invitee, older, "rig-older@crm.example"))
    postfix.send(newer, [invitee.address], invitation(invitee, newer, "rig-newer@crm.example"))
    invitee.wait_for(anything, 2)
    # What is newer still and no invitation does not disturb.
    cancelled = invitation(invitee, invites.sub_address("other"), "rig-other@crm.example")
    invitee.append(
        cancelled.replace(b"METHOD:REQUEST", b"METHOD:CANCEL").replace(
            b"method=REQUEST", b"method=CANCEL"
        )
    )
    invitee.append(note("eva@other.example", invitee.address, "lunch?"))

    client.answer(invitee, postfix, action)

    (reply,) = invites.wait_for(anything)
    calendar = mailbox.calendar_of(reply)
    assert reply["Delivered-To"] == newer
    assert invitee.address in reply["From"]
    assert "\nMETHOD:REPLY\n" in calendar
    assert "\nUID:rig-newer@crm.example\n" in calendar
    (attendee,) = re.findall(r"^ATTENDEE.*$", calendar, re.MULTILINE)
    assert f"PARTSTAT={PARTSTAT[action]}" in attendee
    assert attendee.lower().endswith(f"mailto:{invitee.address}")


@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.__name__.rsplit(".", 1)[1])
def test_client_without_invitation_fails(
    client: ModuleType, postfix: postfix_server.Server, invitee: mailbox.Mailbox
) -> None:
    invitee.append(note("eva@other.example", invitee.address, "lunch?"))
    with pytest.raises(process.StartError, match=r"(?i)no invitation"):
        client.answer(invitee, postfix, "accept")


def test_a_terminal_shows_what_a_program_drew_and_takes_keys(tmp_path: Path) -> None:
    script = r"printf 'first\033[2;3Hsec\033[1mond\033[4;1Hgone\033[4;1H\033[Kline'; read answer; printf '\033[2J\033[Hgot %s' $answer; exit 3"
    with terminal.running(["sh", "-c", script], what="a script", env={}, cwd=tmp_path) as screen:
        screen.wait("line")
        assert str(screen.screen) == "first\n  second\n\nline"
        with pytest.raises(process.StartError, match=r"'never' did not show(.|\n)*second"):
            screen.wait("never", seconds=0.05)
        with pytest.raises(process.StartError, match=r"a script complains(.|\n)*second"):
            screen.wait("never", failing="second")
        screen.press("yes\r")
        assert screen.ended() == 3
        assert str(screen.screen).startswith("got yes")
        with pytest.raises(process.StartError, match="a script ended"):
            screen.wait("never")


def test_a_recipient_refused_later_makes_a_bounce(
    postfix: postfix_server.Server, invites: mailbox.Mailbox
) -> None:
    sender = invites.sub_address("abc123")
    postfix.send(
        sender, ["nobody@bounce.example"], note(invites.address, "nobody@bounce.example", "hello")
    )
    (bounce,) = invites.wait_for(is_report)
    assert (bounce["Delivered-To"], bounce["Return-Path"]) == (sender, "<>")
    status = delivery_status(bounce)
    assert "Action: failed" in status
    assert "Status: 5.1.1" in status
    assert "Final-Recipient: rfc822; nobody@bounce.example" in status


def test_a_recipient_put_off_makes_a_report_of_delay(
    postfix: postfix_server.Server, invites: mailbox.Mailbox
) -> None:
    sender = invites.sub_address("abc123")
    postfix.send(sender, ["busy@slow.example"], note(invites.address, "busy@slow.example", "hello"))
    (report,) = invites.wait_for(is_report)
    assert "Action: delayed" in delivery_status(report)
    assert postfix.queued() >= 1


@pytest.mark.parametrize(
    ("recipient", "code"),
    [
        ("nobody@refused.example", 550),
        ("somebody@greylist.example", 450),
        ("real@outside.invalid", 550),
    ],
)
def test_recipients_refused_at_once(
    recipient: str, code: int, postfix: postfix_server.Server, invites: mailbox.Mailbox
) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        postfix.send(invites.address, [recipient], note(invites.address, recipient, "hello"))
    assert refused.value.recipients[recipient][0] == code


def test_signing_in_to_postfix(postfix: postfix_server.Server, invites: mailbox.Mailbox) -> None:
    with smtplib.SMTP(
        "127.0.0.1", postfix.submission_port, local_hostname="localhost", timeout=30
    ) as connection:
        assert connection.docmd("MAIL", f"FROM:<{invites.address}>")[0] == 250
        assert connection.docmd("RCPT", "TO:<kari@ext.example>")[0] == 554
        connection.rset()
        with pytest.raises(smtplib.SMTPAuthenticationError):
            connection.login(invites.username, "wrong")
        assert connection.login(invites.username, invites.password)[0] == 235


def test_postfix_keeps_mail_while_dovecot_is_away() -> None:
    with dovecot_server.running() as mail, postfix_server.running(mail) as relay:
        box = mail.new_mailbox("kari", "ext.example")
        mail.daemon.kill()
        relay.send(
            "eva@other.example", [box.address], note("eva@other.example", box.address, "patience")
        )
        assert relay.queued() == 1
        relay.stop()
        mail.start()
        relay.start()
        (message,) = box.wait_for(anything)
        assert message["Subject"] == "patience"


def test_postgres_gives_each_test_a_database_of_its_own(
    postgres: postgres_server.Cluster, postgres_url: str
) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.info.server_version >= 130000
        connection.execute("CREATE TABLE thing (name text)")
    with postgres.database() as other, psycopg.connect(other) as connection:
        assert connection.execute("SELECT to_regclass('thing')").fetchone() == (None,)


def test_postgres_copies_a_template(postgres: postgres_server.Cluster) -> None:
    prepared: list[str] = []

    def prepare(url: str) -> None:
        prepared.append(url)
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE thing AS SELECT 'filled' AS name")

    for _ in range(2):
        with (
            postgres.database(postgres.template("rig_template", prepare)) as url,
            psycopg.connect(url) as connection,
        ):
            assert connection.execute("DELETE FROM thing RETURNING name").fetchall() == [
                ("filled",)
            ]
    assert len(prepared) == 1


def test_postgres_keeps_its_data_over_a_crash() -> None:
    with postgres_server.running() as cluster:
        url = cluster.create_database()
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE thing AS SELECT 1 AS n")
        cluster.daemon.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        cluster.start()
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT n FROM thing").fetchall() == [(1,)]


def test_a_server_that_does_not_start_shows_its_log() -> None:
    with (
        pytest.raises(process.StartError, match="no_such_setting"),
        dovecot_server.running("no_such_setting = yes"),
    ):
        pytest.fail("started with a wrong configuration")


@pytest.mark.browser
def test_chromium_shows_a_page() -> None:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(**chromium.launch_options())
        try:
            page = browser.new_page(viewport={"width": 320, "height": 480})
            page.set_content(
                "<p id=p>waiting</p><script>p.textContent = 'width ' + innerWidth</script>"
            )
            assert page.text_content("#p") == "width 320"
        finally:
            browser.close()


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_a_missing_program_fails_in_ci_and_is_skipped_elsewhere(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(rig, "missing", {})
    with pytest.raises(
        outcome, match="no-such-program is missing here; apt-get install no-such-package"
    ):
        rig.need("no-such-program", "no-such-package")
    assert rig.missing == {"no-such-program": "apt-get install no-such-package"}


@pytest.mark.parametrize(
    ("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)]
)
def test_a_missing_library_is_told_as_a_missing_program(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> NoReturn:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(rig, "missing", {})
    monkeypatch.setattr(ctypes, "CDLL", absent)
    libical.opened.cache_clear()
    with pytest.raises(outcome, match="libical is missing here; apt-get install libical3"):
        libical.problems(b"")
    assert rig.missing == {"libical": "apt-get install libical3"}
