"""Whether answers can arrive at all: the probe and `doctor` against real servers that deliver
sub-addresses, refuse them, report them and lose them, and against one that keeps the letter back.
"""

import asyncio
import contextlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import health, settings
from gateway.actions import probing
from gateway.daemon import prober
from gateway.inbound import intake
from gateway.mail import probe
from gateway.store import conditions, inbox, probes
from gateway.store.engine import Store
from gateway.store.probes import End, Result
from tests import checkup, waiting, warm
from tests.rig import dovecot as dovecot_server
from tests.rig import mailbox
from tests.rig import postfix as postfix_server
from tests.wire import gateway_process, imap_peer, smtp_peer

DEADLINE_SECONDS = 60.0
NO_SUB_ADDRESSES = "no sub-addresses here"


def environment(
    tmp_path: Path, box: mailbox.Mailbox, via: postfix_server.Server, **more: str
) -> dict[str, str]:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    return gateway_process.environment(url, box, via, **{"INBOUND__PROBE": "true", **more})


@contextlib.contextmanager
def opened(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(f"sqlite:///{tmp_path / 'store.db'}")) as store:
        yield store


def wrong(tmp_path: Path) -> dict[str, str]:
    with opened(tmp_path) as store, store.read() as connection:
        now = datetime.now(UTC)
        return {one.subject: one.words for one in conditions.read(connection, now)}


def result(tmp_path: Path) -> probes.Result | None:
    with opened(tmp_path) as store:
        return probing.state(store, "default").result


def ended(gateway: gateway_process.Gateway, tmp_path: Path, end: End) -> probes.Result:
    found = gateway.wait_for(
        lambda: result(tmp_path), lambda one: one is not None and one.end is end, what=end
    )
    assert found is not None
    return found


def doctor(
    environment: Mapping[str, str], *options: str
) -> tuple[int, dict[str, health.Condition]]:
    """The exit code, and the lines by what they are about."""
    done = subprocess.run(
        [*warm.command(gateway_process.PROGRAM), "--json", "doctor", *options],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done.returncode, checkup.told(done)


@pytest.mark.real
def test_a_probe_comes_back_and_leaves_nothing_behind(
    tmp_path: Path, postfix: postfix_server.Server, invites: mailbox.Mailbox
) -> None:
    foreign = b"From: ola@ext.example\r\nTo: x\r\nSubject: Hei\r\n\r\nHei\r\n"
    with gateway_process.running(environment(tmp_path, invites, postfix)) as gateway:
        assert ended(gateway, tmp_path, End.RETURNED).writers == ()
        invites.append(foreign)
        invites.wait_for(lambda _: True, folder="Ignored")
        gateway.wait_for(lambda: invites.messages(), lambda found: not found, what="empty INBOX")
        assert gateway.stop() == 0
        assert gateway.complaints() == []
    folders = {name: len(invites.messages(name)) for name in ("Processed", "Review", "Ignored")}
    assert folders == {"Processed": 0, "Review": 0, "Ignored": 1}
    assert wrong(tmp_path) == {}


@pytest.fixture
def refusing(dovecot: dovecot_server.Server) -> Iterator[postfix_server.Server]:
    """Takes mail to bare mailboxes only."""
    rules = f"check_recipient_access regexp:{{{{/[+]/ 550 5.1.1 {NO_SUB_ADDRESSES}}}}}, permit_mynetworks, reject"
    with postfix_server.running(
        dovecot, settings={"smtpd_recipient_restrictions": rules}
    ) as server:
        yield server


@pytest.mark.real
def test_refused_sub_addresses_are_said_until_they_are_delivered(
    tmp_path: Path,
    refusing: postfix_server.Server,
    postfix: postfix_server.Server,
    invites: mailbox.Mailbox,
) -> None:
    refused = environment(tmp_path, invites, refusing)
    with gateway_process.running(refused) as gateway:
        ended(gateway, tmp_path, End.REFUSED)
        assert gateway.stop() == 0
    told = wrong(tmp_path)["probe"]
    assert NO_SUB_ADDRESSES in told
    assert "+…@crm.example" in told
    assert probe.PREFIX not in told
    assert 'mail.organizer_address = "plain"' in told
    code, lines = doctor(refused)
    assert (code, lines["probe"].state, lines["probe"].words) == (1, "failed", told)
    # One cure: answers to the bare mailbox.
    code, lines = doctor(refused | {"GATEWAY_MAIL__ORGANIZER_ADDRESS": "plain"}, "--roundtrip")
    assert (code, lines["probe"].state) == (0, "ok")
    assert wrong(tmp_path) == {}
    # The other: a server that delivers sub-addresses.
    code, lines = doctor(refused, "--roundtrip")
    assert (code, lines["probe"].state) == (1, "failed")
    assert list(wrong(tmp_path)) == ["probe"]
    code, lines = doctor(environment(tmp_path, invites, postfix), "--roundtrip")
    assert (code, lines["probe"].state) == (0, "ok")
    assert wrong(tmp_path) == {}


@pytest.mark.real
def test_a_report_that_sub_addresses_are_unknown_is_understood(
    tmp_path: Path,
    dovecot: dovecot_server.Server,
    postfix: postfix_server.Server,
    invites: mailbox.Mailbox,
) -> None:
    """The server takes the letter and finds out later; its report comes to the bare mailbox."""
    routes = {
        invites.address: f"lmtp:inet:127.0.0.1:{dovecot.lmtp_port}",
        postfix_server.OURS: "error:5.1.1 no such user",
    }
    changes = {"recipient_delimiter": "", "smtpd_reject_unlisted_recipient": "no"}
    with (
        postfix_server.running(dovecot, routes, changes) as bouncing,
        gateway_process.running(environment(tmp_path, invites, bouncing)) as gateway,
    ):
        ended(gateway, tmp_path, End.BOUNCED)
        invites.wait_for(lambda _: True, folder="Processed")
        assert gateway.stop() == 0
    assert "no such user" in wrong(tmp_path)["probe"]
    with opened(tmp_path) as store, store.read() as connection:
        assert inbox.cursor(connection, "default", "INBOX") is not None
    is_cured(tmp_path, invites, postfix)


def is_cured(tmp_path: Path, box: mailbox.Mailbox, via: postfix_server.Server) -> None:
    """By a server that delivers sub-addresses."""
    failed = doctor(environment(tmp_path, box, via))[1]["probe"]
    assert (failed.state, failed.words) == ("failed", wrong(tmp_path)["probe"])
    code, lines = doctor(environment(tmp_path, box, via), "--roundtrip")
    assert (code, lines["probe"].state) == (0, "ok")
    assert wrong(tmp_path) == {}


@pytest.mark.real
def test_sub_addresses_that_go_elsewhere_are_silence(
    tmp_path: Path, postfix: postfix_server.Server, invites: mailbox.Mailbox
) -> None:
    """With another delimiter Dovecot files them in a mailbox that nobody reads."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.-_@+"
    other = f"recipient_delimiter = -\nauth_username_chars = {letters}"
    with (
        dovecot_server.running(other) as elsewhere,
        postfix_server.running(elsewhere) as server,
    ):
        box = elsewhere.mailbox("invites", postfix_server.OURS)
        late = environment(tmp_path, box, server, INBOUND__PROBE_SECONDS="2")
        with gateway_process.running(late) as gateway:
            ended(gateway, tmp_path, End.SILENT)
            assert gateway.stop() == 0
    assert "never reaches the mailbox" in wrong(tmp_path)["probe"]
    is_cured(tmp_path, invites, postfix)


@pytest.mark.real
def test_doctor_says_what_is_right_and_what_to_do(
    tmp_path: Path, postfix: postfix_server.Server, invites: mailbox.Mailbox
) -> None:
    good = environment(tmp_path, invites, postfix)
    code, lines = doctor(good)
    assert (code, lines["store"].state) == (1, "failed")
    assert "invite-gateway db upgrade" in lines["store"].words
    gateway_process.Gateway(good).command("db", "upgrade")
    code, lines = doctor(good, "--roundtrip")
    assert code == 0
    assert {check: line.state for check, line in lines.items()} == {
        "configuration": "ok",
        "rights": "ok",
        "accounts": "ok",
        "store": "ok",
        "integrity": "ok",
        "disk of the store": "ok",
        "clock": "ok",
        "time zones": "ok",
        "secrets": "ok",
        "organisation": "ok",
        "smtp": "ok",
        "size": "ok",
        "imap": "ok",
        "folders": "ok",
        "idle": "ok",
        "server clock": "ok",
        "probe": "ok",
        "authserv_id": "warning",
    }
    assert "answers without a token are held" in lines["authserv_id"].words
    # The daemon that reads it later sees a probe that has had its end.
    assert len(invites.messages()) == 1
    named = good | {"GATEWAY_POLICY__AUTHSERV_ID": "mx.crm.example"}
    with gateway_process.running(named) as gateway:
        gateway.wait_for(lambda: invites.messages(), lambda found: not found, what="empty INBOX")
        gateway.wait_for(lambda: list(wrong(tmp_path)), lambda one: one == ["authserv_id"], what="")
        assert gateway.stop() == 0
    assert "leave policy.authserv_id out" in wrong(tmp_path)["authserv_id"]


@pytest.mark.real
@pytest.mark.parametrize(
    ("change", "check", "says"),
    [
        ({"IMAP__PASSWORD": "wrong"}, "imap", "refused the sign-in"),
        ({"IMAP__PORT": "9"}, "imap", "cannot reach"),
        ({"IMAP__FOLDER": "No such"}, "imap", "cannot be opened"),
        ({"SMTP__PORT": "9"}, "smtp", "no letter can leave"),
        ({"SMTP__SECURITY": "starttls"}, "smtp", "does not offer STARTTLS"),
        ({"IMAP__PASSWORD_FILE": "/no/such/file"}, "secrets", "imap.password_file"),
        ({"SMTP__CA_FILE": "/no/such/ca", "SMTP__SECURITY": "tls"}, "secrets", "smtp.ca_file"),
        ({"MAIL__ADDRESS": ""}, "accounts", "mail.address is not set"),
    ],
)
def test_doctor_names_what_is_wrong_until_it_is_set_right(
    tmp_path: Path,
    postfix: postfix_server.Server,
    invites: mailbox.Mailbox,
    change: dict[str, str],
    check: str,
    says: str,
) -> None:
    right = environment(tmp_path, invites, postfix)
    gateway_process.Gateway(right).command("db", "upgrade")
    code, lines = doctor(environment(tmp_path, invites, postfix, **change))
    assert (code, lines[check].state) == (1, "failed")
    assert says in lines[check].words
    code, lines = doctor(right)
    assert (code, lines[check].state) == (0, "ok")


async def test_silence_is_said_and_taken_back_when_the_letter_comes_late(store: Store) -> None:
    async with smtp_peer.Peer().serving() as smtp, imap_peer.running() as imap:
        effective = settings.load(
            None,
            {
                "mail": {"address": "invites@crm.example"},
                "smtp": {"host": "127.0.0.1", "port": smtp.port, "security": "none"},
                "imap": {
                    "host": "127.0.0.1",
                    "port": imap.port,
                    "security": "none",
                    "username": "invites",
                    "password": 'sec"ret',
                },
                "inbound": {"probe_seconds": 1},
            },
        )

        def told() -> list[str]:
            with store.read() as connection:
                found = conditions.read(connection, datetime.now(UTC))
            return [one.subject for one in health.troubles(found)]

        stop = asyncio.Event()
        reader = intake.Intake(store, effective, "one", asyncio.Event())
        async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(prober.Prober(store, effective, "default").run(stop))
            # A second process with the same store sends no second letter.
            group.create_task(prober.Prober(store, effective, "default").run(stop))
            await waiting.until(lambda: told() == ["probe"])
            [letter] = smtp.letters
            # The envelope sender must be able to hear of it.
            assert letter.sender.startswith(b"MAIL FROM:<invites@crm.example>")
            group.create_task(reader.run(stop))
            await imap.until(imap.idling)
            imap.add(letter.content)
            await waiting.until(lambda: not told())
            await imap.until(lambda: not imap.messages)
            stop.set()
        assert imap.folders.keys() == {"INBOX"}
        assert len(smtp.letters) == 1


async def test_without_uidplus_a_probe_goes_to_the_processed_folder(store: Store) -> None:
    """Nothing else that is marked deleted may go with it."""
    async with imap_peer.running() as imap:
        imap.capabilities = ("IMAP4rev1", "IDLE", "MOVE", "NAMESPACE")
        effective = settings.load(
            None,
            {
                "mail": {"address": "invites@crm.example"},
                "imap": {
                    "host": "127.0.0.1",
                    "port": imap.port,
                    "security": "none",
                    "username": "invites",
                    "password": 'sec"ret',
                },
            },
        )
        one = probing.begin(
            store, effective, "default", datetime.now(UTC), starting=True, asked=False
        )
        assert one is not None
        deleted = imap.add()
        imap.messages[deleted].flags.add("\\Deleted")
        stop = asyncio.Event()
        reader = intake.Intake(store, effective, "one", asyncio.Event())
        async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(reader.run(stop))
            await imap.until(lambda: imap.folders.get("Ignored"))
            content = probe.letter(one.mailbox, one.address, one.mark, one.begun)
            uid = imap.add(content)
            await imap.until(lambda: imap.folders.get("Processed") == [uid])
            stop.set()
        assert imap.commands("EXPUNGE") == []


def away(imap: imap_peer.Peer, password: str = 'sec"ret') -> settings.Settings:
    return settings.load(
        None,
        {
            "mail": {"address": "invites@crm.example"},
            "smtp": {"host": "127.0.0.1", "security": "none"},
            "imap": {
                "host": "127.0.0.1",
                "port": imap.port,
                "security": "none",
                "username": "invites",
                "password": password,
                "move": False,
            },
        },
    )


def on_its_way(store: Store, effective: settings.Settings, since: datetime) -> probes.Probe:
    one = probing.begin(store, effective, "default", since, starting=True, asked=False)
    assert one is not None
    probing.sent(store, "default", one, since)
    return one


LATE = """\
From: MAILER-DAEMON@crm.example
To: invites@crm.example
Subject: Delayed Mail
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

Your message is late.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; crm.example

Final-Recipient: rfc822; {address}
Action: delayed
Status: 4.4.1

--b--
"""


async def test_a_report_that_a_probe_is_late_does_not_end_the_wait(store: Store) -> None:
    """It stays in the mailbox, where it would be found instead of an answer for ever."""
    async with imap_peer.running() as imap:
        effective = away(imap)
        now = datetime.now(UTC)
        one = on_its_way(store, effective, now - timedelta(hours=1))
        imap.add(LATE.format(address=one.address).replace("\n", "\r\n").encode())
        async with asyncio.timeout(DEADLINE_SECONDS):
            await prober.Prober(store, effective, "default")._turn(now)
        state = probing.state(store, "default")
        assert state.result is not None
        assert (state.result.probe, state.result.end) == (replace(one, sent=one.begun), End.SILENT)


async def test_a_round_trip_that_cannot_begin_says_so_beside_what_is_known(store: Store) -> None:
    async with smtp_peer.Peer(
        {"greeting": smtp_peer.Say(b"421 4.3.2 not now\r\n")}
    ).serving() as relay:
        effective = settings.load(
            None,
            {
                "mail": {"address": "invites@crm.example"},
                "smtp": {"host": "127.0.0.1", "port": relay.port, "security": "none"},
                "imap": {"host": "127.0.0.1", "port": 1, "security": "none"},
            },
        )
        one = on_its_way(store, effective, datetime.now(UTC) - timedelta(hours=1))
        probing.ended(store, effective, "default", Result(one, End.SILENT, datetime.now(UTC)))
        lines = await prober.roundtrip(store, effective, "default")
    assert [(line.subject, line.state) for line in lines] == [
        ("probe", health.State.WARNING),
        ("probe", health.State.FAILED),
    ]
    assert "did not take the probe: 421 4.3.2 not now" in lines[0].words
    assert "never reaches the mailbox" in lines[1].words


async def test_a_probe_adds_no_sign_ins_where_they_are_refused(store: Store) -> None:
    """The reader's own tries are as many as a server may take for an attack."""
    async with imap_peer.running() as imap:
        effective = away(imap, password="wrong")
        now = datetime.now(UTC)
        on_its_way(store, effective, now - timedelta(hours=1))
        role = prober.Prober(store, effective, "default")
        async with asyncio.timeout(DEADLINE_SECONDS):
            for minutes in range(0, 60, 5):
                await role._turn(now + timedelta(minutes=minutes))
        assert len(imap.commands("LOGIN")) == 2
        assert probing.state(store, "default").under_way is not None
