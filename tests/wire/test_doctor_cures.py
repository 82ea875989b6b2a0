"""`invite-gateway doctor` on servers whose certificates do not hold, whose clocks are wrong, that
nobody reads, or from which no probe comes back, and with old time zone data: what it says, and that
it says "ok" after the cure it names.
"""

import os
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import trustme
import tzdata

from gateway import settings
from gateway.actions import probing
from gateway.doctor import examination
from gateway.health import Condition, State
from gateway.mail import probe
from gateway.store.engine import Store
from gateway.store.probes import End
from tests import checkup, command, stores
from tests.rig import dovecot as dovecot_server
from tests.rig import mailbox, process
from tests.rig import postfix as postfix_server
from tests.wire import gateway_process, imap_peer
from tests.wire.smtp_peer import Peer

AUTHORITY = trustme.CA()
CREDENTIALS = {"username": "invites", "password": 'sec"ret'}
LISTEN = "127.0.0.1:8024"


def shown(days: float = 60, name: str = "127.0.0.1") -> ssl.SSLContext:
    """What servers show that have this certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    now = datetime.now(UTC)
    issued = AUTHORITY.issue_cert(
        name, not_before=now - timedelta(days=90), not_after=now + timedelta(days=days)
    )
    issued.configure_cert(context)
    return context


@dataclass
class Office:
    """A gateway with its servers. `given`: its settings."""

    imap: imap_peer.Peer
    given: dict[str, Any]
    store: Store

    async def examined(self, *, roundtrip: bool = False) -> dict[str, Condition]:
        """By what a line is about, the worst one."""
        looked = examination.examine(self.settings(), None, roundtrip=roundtrip)
        found = dict[str, Condition]()
        async for line in looked:
            before = found.get(line.subject, line)
            found[line.subject] = max(before, line, key=lambda one: list(State).index(one.state))
        return found

    def settings(self) -> settings.Settings:
        return settings.load(None, self.given)


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    stores.upgraded(url)
    return url


@asynccontextmanager
async def office(url: str, shows: ssl.SSLContext | None = None) -> AsyncIterator[Office]:
    smtp = Peer(users={"invites": CREDENTIALS["password"]}, tls=shows, implicit_tls=bool(shows))
    security = "tls" if shows else "none"
    async with smtp.serving(), imap_peer.running(tls=shows) as imap:
        ours = {"host": "127.0.0.1", "security": security} | CREDENTIALS
        given = {
            "store": {"url": url},
            "mail": {"address": "invites@crm.example", "name": "Acme AS"},
            "smtp": ours | {"port": smtp.port},
            "imap": ours | {"port": imap.port},
        }
        with closing(Store(url)) as store:
            yield Office(imap, given, store)


@pytest.mark.parametrize(
    ("bad", "subject", "state", "says"),
    [
        (shown(days=-1), "", State.FAILED, "is not accepted: certificate has expired"),
        (shown(name="elsewhere.example"), "", State.FAILED, "is not accepted: IP address mismatch"),
        (shown(days=8.5), " certificate", State.WARNING, "in 8 days. Renew it on the server"),
    ],
    ids=["expired", "of another name", "ends soon"],
)
async def test_a_certificate_is_told_until_it_is_renewed(
    url: str, tmp_path: Path, bad: ssl.SSLContext, subject: str, state: State, says: str
) -> None:
    authority = str(tmp_path / "authority.pem")
    AUTHORITY.cert_pem.write_to_path(authority)
    for context, expected in ((bad, state), (shown(), State.OK)):
        async with office(url, context) as there:
            there.given["smtp"]["ca_file"] = there.given["imap"]["ca_file"] = authority
            lines = await there.examined()
        for server in ("smtp", "imap"):
            assert lines[f"{server}{subject}"].state is expected, lines
            assert (says in lines[f"{server}{subject}"].words) == (context is bad), lines


async def test_an_authority_of_ones_own_is_told_until_it_is_named(url: str, tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    async with office(url, shown()) as there:
        lines = await there.examined()
        for server in ("smtp", "imap"):
            assert lines[server].state is State.FAILED
            assert "is not known here" in lines[server].words
            assert f"{server}.ca_file" in lines[server].words
            there.given[server]["ca_file"] = str(authority)
        lines = await there.examined()
        assert lines["secrets"].state is State.FAILED
        assert str(authority) in lines["secrets"].words
        AUTHORITY.cert_pem.write_to_path(str(authority))
        lines = await there.examined()
        assert {lines[one].state for one in ("secrets", "smtp", "imap")} == {State.OK}


async def test_a_key_that_cannot_be_used_is_told_until_it_can(url: str, tmp_path: Path) -> None:
    key = tmp_path / "dkim.pem"
    key.write_text("no key\n")
    async with office(url) as there:
        there.given["mail"] |= {"dkim_selector": "s1", "dkim_key_file": str(key)}
        line = (await there.examined())["secrets"]
        assert line.state is State.FAILED
        assert "mail.dkim_key_file" in line.words
        issued = AUTHORITY.issue_cert("crm.example", key_type=trustme.KeyType.RSA)
        issued.private_key_pem.write_to_path(str(key))
        assert (await there.examined())["secrets"].state is State.OK


async def test_a_mailbox_that_nobody_reads_is_told_until_somebody_does(url: str) -> None:
    async with office(url) as there:
        read = there.given.pop("imap")
        lines = await there.examined(roundtrip=True)
        assert lines["imap"].state is State.WARNING
        assert "imap.host is not set: letters leave, and no answer is read" in lines["imap"].words
        assert lines["probe"].state is State.WARNING
        assert "not tried: it needs both smtp.host and imap.host" in lines["probe"].words
        # The one cure, and the other.
        there.given["lmtp"] = {"listen": LISTEN}
        lines = await there.examined()
        assert lines["imap"].state is State.OK
        assert f"the mail server delivers to {LISTEN} (LMTP)" in lines["imap"].words
        del there.given["lmtp"]
        there.given["imap"] = read
        lines = await there.examined()
        assert lines["imap"].state is State.OK
        assert "not tried" not in lines["probe"].words


async def test_a_clock_that_is_ahead_is_told_until_it_is_set(url: str) -> None:
    async with office(url) as there:
        ahead = datetime.now(UTC) + timedelta(minutes=30)
        there.imap.add(date=f"{ahead:%d-%b-%Y %H:%M:%S} +0000")
        line = (await there.examined())["server clock"]
        assert line.state is State.WARNING
        assert re.search(r"is 1[78]\d\d s ahead of ours.*timedatectl set-ntp true", line.words)
        there.imap.add()
        assert (await there.examined())["server clock"].state is State.OK


@pytest.mark.real
def test_a_clock_that_is_behind_is_told_until_it_is_set(tmp_path: Path) -> None:
    """Nothing that lies in the mailbox tells of it: only a message of our own does."""
    late = {
        "LD_PRELOAD": str(process.faketime()),
        "FAKETIME": "-5m",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    kept = f"import_environment = TZ {' '.join(late)}\n"
    with (
        dovecot_server.running(kept, late) as mail,
        postfix_server.running(mail) as postfix,
    ):
        box = mail.mailbox("invites", postfix_server.OURS)
        environment = gateway_process.environment(
            f"sqlite:///{tmp_path / 'store.db'}", box, postfix
        )
        assert command.run("db", "upgrade", environment=environment).returncode == 0
        box.append(b"From: ola@ext.example\r\nSubject: Hei\r\n\r\nHei\r\n")
        line = checkup.examined(environment)["server clock"]
        assert (line.state, line.words) == (State.OK, "not compared; doctor --roundtrip does")
        line = checkup.examined(environment, "--roundtrip")["server clock"]
        assert line.state is State.WARNING
        assert re.search(r"is (29|30)\d s behind ours.*timedatectl set-ntp true", line.words)
        # The cure: it keeps its time.
        mail.stop()
        mail.daemon.env = None
        mail.start()
        line = checkup.examined(environment, "--roundtrip")["server clock"]
        assert line == Condition("server clock", State.OK, "the mail server's clock and ours agree")


def test_old_zone_data_is_told_until_the_system_or_the_gateway_is_updated(tmp_path: Path) -> None:
    """Two folders: the package tzdata that the gateway brings along, and the system's."""
    packaged, system = tmp_path / "packaged", tmp_path / "zoneinfo"
    (packaged / "tzdata").mkdir(parents=True)
    (packaged / "tzdata" / "__init__.py").write_text('IANA_VERSION = "2020a"\n')
    zones = Path(str(resources.files("tzdata"))) / "zoneinfo"
    (packaged / "tzdata" / "zoneinfo").symlink_to(zones)
    shutil.copytree(zones, system)
    (system / "tzdata.zi").write_text("# version 2021b\n")
    config = tmp_path / "gateway.toml"
    config.write_text("[mail]\naddress = 'invites@crm.example'\n")
    outdated = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")},
        "GATEWAY_CONFIG": str(config),
        "PYTHONPATH": str(packaged),
        "PYTHONTZPATH": str(system),
    }
    line = zone_data(outdated)
    assert line.state is State.WARNING
    assert "2021b of the system: where a government changed its clocks since" in line.words
    assert line.words.endswith("Update the system's package tzdata")
    # The one cure, and the other.
    newest = f"{datetime.now(UTC):%Y}a"
    (system / "tzdata.zi").write_text(f"# version {newest}\n")
    assert zone_data(outdated) == Condition("time zones", State.OK, f"{newest} of the system")
    (system / "tzdata.zi").write_text("# version 2021b\n")
    updated = {name: value for name, value in outdated.items() if name != "PYTHONPATH"}
    words = f"{tzdata.IANA_VERSION} of the package tzdata, the system has 2021b"
    assert zone_data(updated) == Condition("time zones", State.OK, words)


def zone_data(environment: Mapping[str, str]) -> Condition:
    """The line of a new process: the data are chosen at its start."""
    done = subprocess.run(
        [gateway_process.PROGRAM, "--json", "doctor"],
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return checkup.told(done)["time zones"]


async def test_a_probe_is_asked_for_until_one_has_ended(tmp_path: Path) -> None:
    """`tests/wire/test_probe.py` has the letter that comes back."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    async with office(url) as there:
        line = (await there.examined(roundtrip=True))["probe"]
        assert (line.state, line.words) == (State.WARNING, "not tried: it needs the store")
        stores.upgraded(url)
        line = (await there.examined())["probe"]
        assert line.state is State.WARNING
        assert "Try one: invite-gateway doctor --roundtrip" in line.words
        came_back(there)
        assert (await there.examined())["probe"].state is State.OK


async def test_a_probe_that_is_not_taken_or_cannot_be_looked_for_is_told(url: str) -> None:
    async with office(url) as there:
        password = there.given["smtp"].pop("password")
        there.given["smtp"]["password"] = "wrong"
        line = (await there.examined(roundtrip=True))["probe"]
        assert line.state is State.WARNING
        assert "did not take the probe: 535" in line.words
        there.given["smtp"]["password"] = password
        there.given["imap"]["password"] = "wrong"
        line = (await there.examined(roundtrip=True))["probe"]
        assert line.state is State.FAILED
        assert "sent, but it cannot be looked for: " in line.words
        there.given["imap"]["password"] = password
        came_back(there)
        assert (await there.examined())["probe"].state is State.OK


async def test_another_authserv_id_is_told_until_it_is_the_one_that_the_server_writes(
    url: str,
) -> None:
    async with office(url) as there:
        came_back(there, "mx.crm.example")
        there.given["policy"] = {"authserv_id": "mail.crm.example"}
        line = (await there.examined())["authserv_id"]
        assert line.state is State.WARNING
        assert 'Set policy.authserv_id = "mx.crm.example"' in line.words
        there.given["policy"] = {"authserv_id": "mx.crm.example"}
        assert (await there.examined())["authserv_id"].state is State.OK


@pytest.mark.real
def test_a_server_that_writes_no_results_is_told_until_it_does(
    tmp_path: Path, dovecot: dovecot_server.Server, invites: mailbox.Mailbox
) -> None:
    """A server that checks what comes from outside only, and writes nothing into our own mail."""
    written = "Authentication-Results: mx.crm.example; auth=pass"
    everybody = f"check_sender_access regexp:{{{{/^/ PREPEND {written}}}}}, permit_mynetworks"
    outsiders = f"check_sender_access regexp:{{{{/@ext/ PREPEND {written}}}}}, permit_mynetworks"
    rules = "smtpd_recipient_restrictions"
    with (
        postfix_server.running(dovecot, settings={rules: f"{outsiders}, reject"}) as some,
        postfix_server.running(dovecot, settings={rules: f"{everybody}, reject"}) as all_mail,
    ):
        url = f"sqlite:///{tmp_path / 'store.db'}"
        name = {"POLICY__AUTHSERV_ID": "mx.crm.example"}
        environment = gateway_process.environment(url, invites, some, **name)
        assert command.run("db", "upgrade", environment=environment).returncode == 0
        line = checkup.examined(environment, "--roundtrip")["authserv_id"]
        assert line.state is State.WARNING
        assert "our server wrote no such Authentication-Results into the probe" in line.words
        assert line.words == checkup.examined(environment)["authserv_id"].words
        # The one cure: into all mail, what we send included.
        cured = gateway_process.environment(url, invites, all_mail, **name)
        line = checkup.examined(cured, "--roundtrip")["authserv_id"]
        assert line == Condition(
            "authserv_id",
            State.OK,
            "our server writes Authentication-Results of mx.crm.example",
        )
        # The other: without the setting the service has nothing to complain of.
        left_out = gateway_process.environment(url, invites, some)
        line = checkup.examined(left_out, "--roundtrip")["authserv_id"]
        assert "policy.authserv_id is not set: answers without a token are held" in line.words
        assert "no such" not in line.words


def came_back(there: Office, *writers: str) -> None:
    """A probe left and was found in the mailbox, with fields of these servers."""
    now, effective = datetime.now(UTC), there.settings()
    one = probing.begin(there.store, effective, "default", now, starting=False, asked=True)
    assert one is not None
    probing.sent(there.store, "default", one, now)
    with there.store.write() as connection:
        probing.came(connection, effective, probe.Sighting(one.mark, writers=writers), now)
    result = probing.state(there.store, "default").result
    assert result is not None
    assert result.end is End.RETURNED
