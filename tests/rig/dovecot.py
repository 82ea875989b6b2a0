"""A Dovecot of its own: IMAP for reading, LMTP for delivery, SASL for Postfix.

Every user name exists, with the password `PASSWORD`; a mailbox comes into being at first use. The
domain is no part of the name: `invites`, `invites@crm.example` and `Invites+token@crm.example` are
the mailbox `invites`. Mail is kept as Maildir under `home(user)`. IDLE, MOVE and UIDPLUS are on, as
in Debian's own configuration.

Runs as Debian's system users when started by root, as ourselves otherwise.
"""

from __future__ import annotations

import contextlib
import grp
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests import rig
from tests.rig import process
from tests.rig.mailbox import Mailbox

PASSWORD = "in-the-rig"

_CONFIGURATION = """\
base_dir = {directory}/run
state_dir = {directory}/run
log_path = {directory}/dovecot.log
protocols = imap lmtp
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_internal_user = {internal_user}
default_internal_group = {internal_group}
default_login_user = {login_user}
auth_mechanisms = plain login
auth_username_format = %Ln
auth_failure_delay = 0
# A test signs in wrongly on purpose, and others sign in often.
mail_max_userip_connections = 1000
service stats {{
  client_limit = 10000
}}
service anvil {{
  client_limit = 10000
  # No penalty of seconds for an address that signed in wrongly: all tests come from the same.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}

recipient_delimiter = +
# The address as our customers' servers hand it on: with the sub-address.
lmtp_hdr_delivery_address = final
lmtp_save_to_detail_mailbox = no

mail_location = maildir:~/Maildir
mail_uid = {mail_user}
mail_gid = {mail_group}
first_valid_uid = 1
first_valid_gid = 1
# Speed; nobody pulls the plug of this server.
mail_fsync = never

passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={mail_user} gid={mail_group} home={directory}/mail/%n allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = /
}}

service imap-login {{
  inet_listener imap {{
    port = {imap_port}
  }}
  inet_listener imaps {{
    port = 0
  }}
  # One process for all sign-ins, started at once: a fork per sign-in is slow.
  service_count = 0
  process_min_avail = 1
  {chroot}
}}
service imap {{
  process_limit = 2000
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp_port}
  }}
  {user}
}}
service auth {{
  client_limit = 10000
  inet_listener sasl {{
    port = {sasl_port}
  }}
}}
{extra}
"""

# What Debian's packages chroot needs root; an ordinary user's server runs without.
_ORDINARY_USER = "\n".join(
    f"service {name} {{\n  chroot =\n}}" for name in ("anvil", "stats", "imap-urlauth-login")
)


@dataclass
class Server:
    """A running Dovecot."""

    directory: Path
    imap_port: int
    lmtp_port: int
    sasl_port: int
    daemon: process.Daemon
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def home(self, user: str) -> Path:
        """Where a user's mail lies (`Maildir/` in it)."""
        return self.directory / "mail" / user

    def mailbox(self, user: str, domain: str, name: str = "") -> Mailbox:
        """The mailbox of this user; `name` is the display name of its owner."""
        address = f"{user}@{domain}"
        return Mailbox(
            "127.0.0.1", self.imap_port, user, PASSWORD, address, name or user.capitalize()
        )

    def new_mailbox(self, user: str, domain: str, name: str = "") -> Mailbox:
        """A mailbox no other test uses: `user` with a number behind."""
        return self.mailbox(f"{user}-{next(self._numbers)}", domain, name)

    def start(self) -> None:
        """Start after `stop` or `daemon.kill`, on the same ports with the same mail."""
        self.daemon.start(
            lambda: all(map(process.listening, (self.imap_port, self.lmtp_port, self.sasl_port)))
        )

    def stop(self) -> None:
        """Stop; open connections are ended with BYE."""
        self.daemon.stop()


@contextlib.contextmanager
def running(extra: str = "", env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A new Dovecot, started; stopped and removed at the end.

    `extra` is put at the end of the configuration and overrides what stands before it
    (`mail_plugins = …`, `ssl = …`). `env` stands in for our environment, until `daemon.env` is
    another one.
    """
    program = rig.need("dovecot", "dovecot-core")
    rig.need("/usr/lib/dovecot/imap", "dovecot-imapd")
    rig.need("/usr/lib/dovecot/lmtp", "dovecot-lmtpd")
    ours = process.own_user()
    our_group = grp.getgrgid(ours.pw_gid).gr_name
    root = process.is_root()
    with process.private_directory("dovecot") as directory:
        mail = directory / "mail"
        mail.mkdir()
        process.give(mail, "mail" if root else None)
        imap_port, lmtp_port, sasl_port = (process.free_port() for _ in range(3))
        configuration = directory / "dovecot.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                directory=directory,
                password=PASSWORD,
                imap_port=imap_port,
                lmtp_port=lmtp_port,
                sasl_port=sasl_port,
                internal_user="dovecot" if root else ours.pw_name,
                internal_group="dovecot" if root else our_group,
                login_user="dovenull" if root else ours.pw_name,
                mail_user="mail" if root else ours.pw_name,
                mail_group="mail" if root else our_group,
                chroot="" if root else "chroot =",
                user="user = mail" if root else "",
                extra=extra if root else _ORDINARY_USER + "\n" + extra,
            )
        )
        daemon = process.Daemon(
            "dovecot",
            [program, "-F", "-c", str(configuration)],
            log=directory / "output.log",
            logs=[directory / "dovecot.log"],
            env=env,
        )
        server = Server(directory, imap_port, lmtp_port, sasl_port, daemon)
        server.start()
        try:
            yield server
        finally:
            server.stop()
