"""A Postfix of its own: what we send goes through it, and it produces what the world's mail servers
produce.

Domains (everything else is refused at RCPT with 550, nothing ever leaves the machine):

* `crm.example` (ours), `ext.example`, `other.example` (invitees): delivered by LMTP to Dovecot, or where `routes` says
* `refused.example`: refused at RCPT, 550 5.1.1
* `greylist.example`: put off at RCPT, 450 4.7.1
* `bounce.example`: accepted, then refused by the next server: a bounce (RFC 3464) goes to the envelope sender
* `slow.example`: accepted, put off by the next server each time: after `DELAY_SECONDS` a report `Action: delayed`, and
  a bounce after maximal_queue_lifetime (an hour; a test that waits for it sets some seconds)

`port` takes mail from anybody on loopback, `submission_port` only after signing in (any user,
Dovecot's password), which fails while Dovecot is away. Needs root: Postfix drops privileges itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import smtplib
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests import rig
from tests.rig import dovecot, process

OURS = "crm.example"
INVITEES = ("ext.example", "other.example")
DELAY_SECONDS = 2
"""Age at which a letter to slow.example is reported as delayed."""

_SETTINGS = {
    "compatibility_level": "3.6",
    "queue_directory": "{directory}/queue",
    "data_directory": "{directory}/data",
    "command_directory": "/usr/sbin",
    "daemon_directory": "/usr/lib/postfix/sbin",
    "meta_directory": "/etc/postfix",
    "shlib_directory": "/usr/lib/postfix",
    "maillog_file": "{directory}/postfix.log",
    "maillog_file_prefixes": "{directory}",
    "mail_owner": "postfix",
    "setgid_group": "postdrop",
    "myhostname": "mx.crm.example",
    "mydestination": "",
    "local_recipient_maps": "",
    "alias_maps": "",
    "alias_database": "",
    "inet_interfaces": "127.0.0.1",
    "inet_protocols": "ipv4",
    "mynetworks": "127.0.0.0/8",
    "smtp_dns_support_level": "disabled",
    "smtp_host_lookup": "native",
    "smtpd_peername_lookup": "no",
    "recipient_delimiter": "+",
    "default_transport": "error:5.1.2 no-outside",
    "relay_transport": "error:5.1.2 no-outside",
    "transport_maps": "texthash:{directory}/etc/transport",
    "smtpd_relay_restrictions": "permit_mynetworks, reject",
    "smtpd_recipient_restrictions": "check_recipient_access texthash:{directory}/etc/refused, permit_mynetworks, reject",
    # One copy per recipient: Dovecot then names each in Delivered-To.
    "lmtp_destination_recipient_limit": "1",
    "smtpd_sasl_type": "dovecot",
    "smtpd_sasl_path": "inet:127.0.0.1:{sasl_port}",
    "smtpd_tls_security_level": "none",
    "smtp_tls_security_level": "none",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_error_sleep_time": "0",
    "smtpd_junk_command_limit": "10000",
    "in_flow_delay": "0",
    # Minutes and days in the world; here a test waits for it.
    "queue_run_delay": "1s",
    "minimal_backoff_time": "1s",
    "maximal_backoff_time": "2s",
    "delay_warning_time": f"{DELAY_SECONDS}s",
    "maximal_queue_lifetime": "1h",
    "bounce_queue_lifetime": "1h",
}

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{submission_port} inet n - n - - smtpd
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_relay_restrictions=permit_sasl_authenticated,reject
127.0.0.1:{elsewhere_port} inet n - n - - smtpd
  -o myhostname=mx.elsewhere.example
  -o smtpd_recipient_restrictions=check_recipient_access,texthash:{directory}/etc/elsewhere,reject
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

# Postfix changes its user to and fro, at which the kernel forgets to signal it when the test run
# dies; a shell does not.
_KEEPER = """trap 'kill $!' TERM; "$@" & wait $!; wait $!"""


@dataclass
class Server:
    """A running Postfix."""

    directory: Path
    port: int
    submission_port: int
    daemon: process.Daemon
    _sending: threading.Lock = field(default_factory=threading.Lock)

    @property
    def log(self) -> str:
        """What Postfix wrote about every message until now."""
        log = self.directory / "postfix.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def send(self, sender: str, recipients: list[str], message: bytes) -> None:
        """Hand over a message. Raises smtplib's errors if Postfix refuses it."""
        with (
            self._sending,
            smtplib.SMTP(
                "127.0.0.1", self.port, local_hostname="localhost", timeout=30
            ) as connection,
        ):
            connection.sendmail(sender, recipients, message, mail_options=["BODY=8BITMIME"])

    def queued(self) -> int:
        """Number of messages Postfix holds at this moment."""
        return sum(
            _is_taken(path)
            for name in ("maildrop", "incoming", "active", "deferred", "hold")
            for path in (self.directory / "queue" / name).rglob("*")
        )

    def start(self) -> None:
        """Start after `stop` or `daemon.kill`, on the same port with the same queue."""
        self.daemon.start(lambda: process.listening(self.port) and self._has_queue_manager())

    def _has_queue_manager(self) -> bool:
        """Whether it can be told to try what is queued; it comes after the port."""
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self.directory / "queue" / "public" / "qmgr")) == 0

    def restart(self) -> None:
        """Start anew and try at once whatever is queued; who sends meanwhile waits."""
        with self._sending:
            self.stop()
            self.start()
            self.flush()

    def flush(self) -> None:
        """Try at once whatever is queued."""
        queue = [rig.need("postqueue", "postfix"), "-c", str(self.directory / "etc"), "-f"]
        process.run(queue, what="postqueue", cwd=self.directory)

    def stop(self) -> None:
        """Stop; what is queued stays queued."""
        self.daemon.stop()


def _is_taken(path: Path) -> bool:
    """Whether this is a message that Postfix has answered for. What a session left that ended
    before is a file, too, for which there will be no letter; the owner's x bit is set in the end.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:  # just delivered
        return False
    return stat.S_ISREG(mode) and bool(mode & stat.S_IXUSR)


@contextlib.contextmanager
def running(
    mail: dovecot.Server,
    routes: Mapping[str, str] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """A new Postfix that delivers to `mail`, started; stopped and removed at the end.

    `routes` adds or replaces transports per domain (`{"crm.example":
    "lmtp:inet:127.0.0.1:24024"}`), `settings` adds to or replaces what is in main.cf.
    """
    master = rig.need("/usr/lib/postfix/sbin/master", "postfix")
    if not process.is_root():
        rig.unavailable("Postfix for an ordinary user", "run the tests as root")
    with process.private_directory("postfix") as directory:
        configuration = directory / "etc"
        for name in ("etc", "queue", "data"):
            (directory / name).mkdir(mode=0o755)
        process.give(directory / "data", "postfix")
        port, submission_port, elsewhere_port = (process.free_port() for _ in range(3))
        to_dovecot = f"lmtp:inet:127.0.0.1:{mail.lmtp_port}"
        elsewhere = f"smtp:[127.0.0.1]:{elsewhere_port}"
        transports = {
            OURS: to_dovecot,
            **dict.fromkeys(INVITEES, to_dovecot),
            "bounce.example": elsewhere,
            "slow.example": elsewhere,
            **(routes or {}),
        }
        _write_table(configuration / "transport", transports)
        _write_table(
            configuration / "refused",
            {
                "refused.example": "550 5.1.1 User unknown",
                "greylist.example": "450 4.7.1 Greylisted, try again later",
            },
        )
        _write_table(
            configuration / "elsewhere",
            {
                "bounce.example": "550 5.1.1 User unknown",
                "slow.example": "451 4.3.0 Mailbox temporarily unavailable",
            },
        )
        main = {
            key: value.format(directory=directory, sasl_port=mail.sasl_port)
            for key, value in _SETTINGS.items()
        }
        (configuration / "main.cf").write_text(
            "".join(f"{key} = {value}\n" for key, value in {**main, **(settings or {})}.items())
        )
        (configuration / "master.cf").write_text(
            _MASTER.format(
                directory=directory,
                port=port,
                submission_port=submission_port,
                elsewhere_port=elsewhere_port,
            )
        )
        # Postfix waits until a file just written is two seconds old, lest somebody is still writing
        # it.
        for path in configuration.iterdir():
            os.utime(path, (0, 0))
        _make_queue(directory / "queue")
        daemon = process.Daemon(
            "postfix",
            ["sh", "-c", _KEEPER, "postfix", master, "-c", str(configuration), "-d"],
            log=directory / "output.log",
            logs=[directory / "postfix.log"],
            env={**os.environ, "MAIL_CONFIG": str(configuration)},
        )
        server = Server(directory, port, submission_port, daemon)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _make_queue(queue: Path) -> None:
    # What `postfix check` makes of Debian's postfix-files; it takes two seconds, this none.
    for name in (
        "active",
        "bounce",
        "corrupt",
        "defer",
        "deferred",
        "flush",
        "hold",
        "incoming",
        "private",
        "saved",
        "trace",
        "maildrop",
        "public",
        "pid",
    ):
        (queue / name).mkdir()
        if name != "pid":
            shutil.chown(
                queue / name, "postfix", "postdrop" if name in ("maildrop", "public") else "root"
            )
        (queue / name).chmod({"maildrop": 0o730, "public": 0o710, "pid": 0o755}.get(name, 0o700))


def _write_table(path: Path, entries: Mapping[str, str]) -> None:
    path.write_text("".join(f"{key} {value}\n" for key, value in entries.items()))
