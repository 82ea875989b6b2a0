"""`invite-gateway doctor`: what each check says where something is wrong, and that it says "ok" after
the cure that docs/operations.md names. What it says of sign-ins and probes is in test_probe.py.
"""

import base64
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from gateway import accounts, health, settings, zonedata
from gateway.doctor import domain, examination, servers, site
from gateway.doctor.patients import Mailbox, Patient, Servers
from gateway.health import Condition, State
from gateway.store.engine import Store
from tests import command
from tests.checkup import examined
from tests.rig import dovecot as dovecot_server
from tests.rig import postfix as postfix_server
from tests.rig import process
from tests.wire import dns_peer, gateway_process, imap_peer
from tests.wire.smtp_peer import Peer

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)


def state(line: Condition) -> tuple[str, State]:
    return line.subject, line.state


# What servers show


@contextlib.contextmanager
def secured(days: float) -> Iterator[tuple[dovecot_server.Server, Path]]:
    """A Dovecot whose certificate lasts so long, and in which nobody may make folders; and the
    authority.
    """
    authority = trustme.CA()
    ends = datetime.now(UTC) + timedelta(days=days)
    with process.private_directory("doctor") as folder:
        issued = authority.issue_cert("127.0.0.1", not_after=ends)
        issued.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        (folder / "acl").mkdir()
        (folder / "acl" / ".DEFAULT").write_text("owner lrwtie\n")
        (folder / "acl" / "INBOX").write_text("owner lrwstiexk\n")
        extra = (
            f"ssl = yes\nssl_cert = <{folder}/server.pem\nssl_key = <{folder}/server.pem\n"
            "mail_plugins = acl\nprotocol imap {\n  mail_plugins = acl imap_acl\n}\n"
            f"plugin {{\n  acl = vfile:{folder}/acl\n}}\n"
        )
        with dovecot_server.running(extra) as server:
            yield server, folder / "ca.pem"


@pytest.mark.real
def test_what_servers_show_is_told_and_cured(tmp_path: Path) -> None:
    with (
        secured(days=9) as (mail, authority),
        postfix_server.running(mail, settings={"message_size_limit": "400000"}) as small,
        postfix_server.running(mail) as usual,
    ):
        box = mail.mailbox("invites", postfix_server.OURS)
        over_tls = {"IMAP__SECURITY": "starttls", "IMAP__CA_FILE": str(authority)}
        wrong = gateway_process.environment(
            f"sqlite:///{tmp_path / 'store.db'}", box, small, **over_tls
        )
        assert command.run("db", "upgrade", environment=wrong).returncode == 0
        lines = examined(wrong, "--roundtrip")
        assert state(lines["size"]) == ("size", State.WARNING)
        assert "400 kB at most" in lines["size"].words
        assert state(lines["imap certificate"]) == ("imap certificate", State.WARNING)
        assert "is for 127.0.0.1 and ends" in lines["imap certificate"].words
        assert "in 8 days. Renew it" in lines["imap certificate"].words
        assert state(lines["folders"]) == ("folders", State.FAILED)
        assert "CREATE 'Review'" in lines["folders"].words
        assert lines["server clock"].state is State.OK
        # Cures: a larger limit, folders that may be written, a certificate that was renewed.
        (authority.parent / "acl" / ".DEFAULT").write_text("owner lrwstiekxa\n")
        good = gateway_process.environment(
            f"sqlite:///{tmp_path / 'store.db'}", box, usual, **over_tls
        )
        lines = examined(good, "--roundtrip")
        assert (lines["size"].state, lines["folders"].state) == (State.OK, State.OK)
        assert "each took a message, and gave it back" in lines["folders"].words
        assert lines["server clock"].words == "the mail server's clock and ours agree"
        for folder in ("Processed", "Review", "Ignored"):
            assert box.messages(folder) == []


@pytest.mark.parametrize(
    ("days", "expected"), [(61, State.OK), (15, State.OK), (13, State.WARNING)]
)
def test_a_certificate_is_renewed_in_time(days: int, expected: State) -> None:
    ends = NOW + timedelta(days=days, hours=1)
    shown = {
        "notAfter": f"{ends:%b %d %H:%M:%S %Y} GMT",
        "subjectAltName": (("DNS", "mail.crm.example"), ("DNS", "imap.crm.example")),
    }
    told, words = servers.lasting(shown, NOW)
    assert told is expected
    assert f"is for mail.crm.example, imap.crm.example and ends {ends:%Y-%m-%d}, in {days}" in words


@pytest.mark.parametrize(
    ("seen", "expected", "says"),
    [
        (Mailbox(), State.OK, "not compared"),
        (Mailbox(newest=NOW - timedelta(days=9)), State.OK, "not compared"),
        (Mailbox(newest=NOW + timedelta(minutes=3)), State.WARNING, "is 180 s ahead of ours"),
        (Mailbox(offset=-90), State.WARNING, "is 90 s behind ours"),
        (Mailbox(offset=4, newest=NOW), State.OK, "agree"),
    ],
)
def test_clocks_that_differ_are_told(seen: Mailbox, expected: State, says: str) -> None:
    told, words = servers.astray(seen, NOW)
    assert told is expected
    assert says in words


@pytest.mark.parametrize(
    ("release", "expected"), [("2026c", State.OK), ("2025a", State.OK), ("2024b", State.WARNING)]
)
def test_old_time_zones_are_told(release: str, expected: State) -> None:
    assert site.zones(zonedata.ZoneData("2021a", release), NOW).state is expected


# Files and their rights


def test_secrets_that_everybody_can_read_are_told_and_closed() -> None:
    with process.private_directory("rights") as folder:
        folder.chmod(0o755)
        file, password = folder / "gateway.toml", folder / "smtp-password"
        store = folder / "store.db"
        file.write_text(
            f"[store]\nurl = 'sqlite:///{store}'\n[imap]\npassword = 'secret'\n"
            f"[smtp]\npassword_file = '{password}'\n"
        )
        password.write_text("secret\n")
        for path in (file, password):
            path.chmod(0o644)
        environment = {"GATEWAY_CONFIG": str(file)}
        assert command.run("db", "upgrade", environment=environment).returncode == 0
        store.chmod(0o664)
        told = command.run("--json", "doctor", environment=environment).stdout
        assert told.count('"check": "rights"') == 3
        assert f"imap.password stands in {file}" in told
        assert f"chmod 600 {password}" in told
        assert f"chmod 660 {store}" in told
        assert '"secret' not in told
        # The cures as told.
        password.chmod(0o600)
        store.chmod(0o660)
        file.write_text(
            f"[store]\nurl = 'sqlite:///{store}'\n[imap]\npassword_file = '{password}'\n"
            f"[smtp]\npassword_file = '{password}'\n"
        )
        lines = examined(environment)
        assert lines["rights"].state is State.OK
        assert lines["integrity"].state is State.OK


def test_what_the_service_cannot_read_is_told_and_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit's user is nobody's, so a folder of mode 700 is closed to it."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with process.private_directory("etc") as folder:
        monkeypatch.setattr(site, "ETC", folder)
        folder.chmod(0o700)
        file = folder / "gateway.toml"
        file.write_text("")
        file.chmod(0o600)
        environment = {
            "GATEWAY_CONFIG": str(file),
            "GATEWAY_STORE__URL": f"sqlite:///{folder}/s.db",
        }
        told = command.run("--json", "doctor", environment=environment).stdout
        assert f"cannot read {folder}: chmod 755 {folder}" in told
        assert f"cannot read {file}: chmod 644 {file}" in told
        folder.chmod(0o755)
        file.chmod(0o644)
        assert examined(environment)["rights"].state is State.OK


async def test_what_is_missing_and_what_is_seldom_meant_is_told_and_mended(tmp_path: Path) -> None:
    async with imap_peer.running() as peer:
        peer.capabilities = tuple(one for one in imap_peer.EVERYTHING if one != "IDLE")
        url = f"sqlite:///{tmp_path / 'store.db'}"
        imap = {"host": "127.0.0.1", "port": peer.port, "security": "none", "username": "invites"}
        mail = {"address": "invites+x@crm.example"}

        async def lines() -> dict[str, Condition]:
            given = {"store": {"url": url}, "mail": mail, "imap": imap}
            effective = settings.load(None, given)
            looked = examination.examine(effective, None, roundtrip=False)
            return {line.subject: line async for line in looked}

        told = await lines()
        assert told["configuration"].state is State.WARNING
        assert told["organisation"].state is State.WARNING
        assert "refused the sign-in" in told["imap"].words
        mail |= {"address": "invites@crm.example", "name": "Acme AS"}
        imap["password"] = 'sec"ret'
        told = await lines()
        assert (told["imap"].state, told["organisation"].state) == (State.OK, State.OK)
        assert told["configuration"].state is State.OK
        assert (told["idle"].state, "has no IDLE" in told["idle"].words) == (State.WARNING, True)
        peer.capabilities = imap_peer.EVERYTHING
        assert (await lines())["idle"].state is State.OK


async def test_what_a_gateway_cannot_begin_with_is_told_and_mended(tmp_path: Path) -> None:
    """No address, no store, a password that is not there, nobody who takes letters."""
    url, password = f"sqlite:///{tmp_path / 'store.db'}", tmp_path / "smtp-password"
    peer = Peer(users={"invites": "secret"})
    port = process.free_port()
    smtp = {"host": "127.0.0.1", "port": port, "security": "none", "username": "invites"}
    smtp["password_file"] = str(password)
    mail = {"name": "Acme AS"}

    async def lines() -> dict[str, Condition]:
        given = {"store": {"url": url}, "mail": mail, "smtp": smtp}
        looked = examination.examine(settings.load(None, given), None, roundtrip=False)
        return {line.subject: line async for line in looked}

    told = await lines()
    assert state(told["accounts"]) == ("accounts", State.FAILED)
    assert "mail.address is not set" in told["accounts"].words
    assert state(told["store"]) == ("store", State.FAILED)
    assert "db upgrade" in told["store"].words
    mail["address"] = "invites@crm.example"
    told = await lines()
    assert told["accounts"].words == "default"
    assert state(told["secrets"]) == ("secrets", State.FAILED)
    assert f"{password}" in told["secrets"].words
    assert state(told["smtp"]) == ("smtp", State.FAILED)
    assert state(told["imap"]) == ("imap", State.WARNING)
    assert "imap.host is not set" in told["imap"].words
    assert command.run("db", "upgrade", environment={"GATEWAY_STORE__URL": url}).returncode == 0
    password.write_text("secret\n")
    async with peer.serving():
        smtp["port"] = peer.port
        told = await lines()
    assert {told[name].state for name in ("accounts", "store", "secrets", "smtp")} == {State.OK}
    assert "signed in as invites" in told["smtp"].words


def test_a_disk_without_room_is_told_until_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"GATEWAY_STORE__URL": f"sqlite:///{tmp_path / 'store.db'}"}
    usual = os.statvfs(tmp_path)
    # A block has 4096 bytes: 40 kB and 100 MB of a large disk.
    for blocks, expected in ((10, State.FAILED), (25_000, State.WARNING)):
        left = os.statvfs_result([4096, 4096, 10**8, blocks, blocks, *usual[5:]])
        monkeypatch.setattr(os, "statvfs", lambda _, left=left: left)
        assert examined(environment)["disk of the store"].state is expected
    monkeypatch.undo()
    assert examined(environment)["disk of the store"].state is State.OK


@pytest.mark.real
def test_a_disk_that_is_full_is_named_where_the_store_cannot_be_used() -> None:
    """SQLite says "disk I/O error" where it cannot make the files beside its own."""
    with process.private_directory("disk") as folder, process.small_disk(folder, 16_000_000):
        environment = {"GATEWAY_STORE__URL": f"sqlite:///{folder / 'store.db'}"}
        assert command.run("db", "upgrade", environment=environment).returncode == 0
        rest = folder / "rest"
        with contextlib.suppress(OSError), rest.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        told = command.run("status", environment=environment)
        assert told.returncode == 1
        assert told.stderr.count("\n") == 1
        assert f"the disk of {folder} is full: make room there" in told.stderr
        rest.unlink()
        assert command.run("status", environment=environment).returncode == 0


def test_a_store_that_lost_a_trigger_is_mended_by_the_upgrade(tmp_path: Path) -> None:
    environment = {"GATEWAY_STORE__URL": f"sqlite:///{tmp_path / 'store.db'}"}
    assert command.run("db", "upgrade", environment=environment).returncode == 0
    with (
        contextlib.closing(Store(environment["GATEWAY_STORE__URL"])) as store,
        store.write() as connection,
    ):
        [name] = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' LIMIT 1"
        ).scalars()
        connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
    told = examined(environment)["integrity"]
    assert told.state is State.FAILED
    assert name in told.words
    assert command.run("db", "upgrade", environment=environment).returncode == 0
    assert examined(environment)["integrity"].state is State.OK


# The domain

KEY = ed25519.Ed25519PrivateKey.generate()
PEM = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
PUBLISHED = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
NAME = "s1._domainkey.mail.firma.no"
SPF, DMARC = '"v=spf1 mx -all"', '"v=DMARC1; p=none"'

Change = Callable[[dns_peer.Zone], object]


def made(zone: dns_peer.Zone, store: Store, *, signed: bool) -> Servers:
    mail = {"address": "invites@mail.firma.no"}
    mail |= {"dkim_selector": "s1", "dkim_key": PEM} if signed else {}
    effective = settings.load(None, {"mail": mail})
    patient = Patient(effective, None, store, roundtrip=False, name_server=zone.address)
    return Servers(patient, accounts.DEFAULT, accounts.configured(effective)[accounts.DEFAULT])


async def asked(zone: dns_peer.Zone, *, signed: bool = True) -> Sequence[Condition]:
    with contextlib.closing(Store("sqlite:////nowhere.db")) as store:
        patient = made(zone, store, signed=signed)
        return [
            line
            for check in (domain.spf, domain.dkim, domain.dmarc)
            for line in await check(patient)
        ]


async def test_what_the_domain_lacks_is_told_until_it_is_published() -> None:
    async with dns_peer.running() as zone:
        lines = await asked(zone)
        assert [state(line) for line in lines] == [
            ("spf", State.WARNING),
            ("dkim", State.FAILED),
            ("dmarc", State.WARNING),
        ]
        zone.texts["mail.firma.no"] = ['"google-site-verification=x"', SPF, '"v=spf1 a -all"']
        zone.texts[NAME] = ['"v=DKIM1; k=ed25519; p=AAAA"']
        spf, dkim, _ = await asked(zone)
        assert "2 SPF records" in spf.words
        assert "is not ours" in dkim.words
        zone.texts["mail.firma.no"] = ['"v=spf1 " "mx -all"']
        zone.texts[NAME] = [f'"v=DKIM1; k=ed25519; " "p= {PUBLISHED[:9]} {PUBLISHED[9:]}"']
        zone.texts["_dmarc.firma.no"] = [DMARC]  # above it counts, too
        lines = await asked(zone)
        assert {line.state for line in lines} == {State.OK}
        assert lines[0].words == "mail.firma.no says v=spf1 mx -all"
        [_, unsigned, _] = await asked(zone, signed=False)
        assert "not signed here" in unsigned.words


async def test_a_name_server_that_says_nothing_is_a_warning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(domain, "SECONDS", 0.3)
    async with dns_peer.running() as zone:
        zone.is_silent = True
        lines = await asked(zone)
        assert {line.state for line in lines} == {State.WARNING}
        assert all("no name server answers" in line.words for line in lines)
        zone.is_silent = False
        zone.texts = {"mail.firma.no": [SPF], "_dmarc.mail.firma.no": [DMARC]}
        lines = await asked(zone, signed=False)
        assert health.worst(lines) is State.OK
