"""README's path from a fresh Debian 12 to the first answered invitation, typed as it stands there.

`python -m tests.newcomer [ROOT]`, as root, with debootstrap and the servers of tests/rig. ROOT: a
Debian that is there already, else one is made. What cannot be as written: questions are answered by
flags, a chroot has no systemd (the unit's own command is run instead), and the invitee is a robot.
Prints each step with its seconds; ends with 0 if the invitation was answered and `doctor` found
nothing wrong.
"""

from __future__ import annotations

import contextlib
import email.policy
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from gateway.sandbox import clients, reading
from tests.rig import dovecot as dovecot_server
from tests.rig import mailbox, process
from tests.rig import postfix as postfix_server

REPOSITORY = Path(__file__).parents[1]
PROGRAM = Path("/opt/invite-gateway")
UNIT = "etc/systemd/system/invite-gateway.service"
CHROOT = "/usr/sbin/chroot"
"""By its place: the PATH of those who are started is another."""
READY = 60.0


def steps() -> list[str]:
    """The commands of README, as they are typed, without remarks."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    block = readme.partition("## Install")[2].split("```")[1]
    lines = [re.sub(r"\s{2,}#.*", "", line).strip() for line in block.splitlines()]
    return [line for line in lines if line]


class Machine:
    """A fresh Debian in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.daemon: subprocess.Popen[bytes] | None = None
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        self.environment = {
            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
            **pip,
        }

    def type(self, line: str, **more: str) -> None:
        began = time.monotonic()
        print(f"$ {line}", flush=True)
        subprocess.run(
            [CHROOT, str(self.root), "/bin/sh", "-c", f"umask 022; {line}"],
            env=self.environment | more,
            stdin=subprocess.DEVNULL,
            check=True,
        )
        print(f"  {time.monotonic() - began:.0f} s", flush=True)

    def start(self) -> None:
        """What systemd would: the unit's command in its environment, with its credentials."""
        unit = (self.root / UNIT).read_text(encoding="utf-8")
        said = dict(re.findall(r"(?m)^Environment=(\w+)=(.*)$", unit))
        [command] = re.findall(r"(?m)^ExecStart=(.*)$", unit)
        state = self.root / "var/lib/invite-gateway"
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        given = {
            "CREDENTIALS_DIRECTORY": "/etc/invite-gateway",
            "STATE_DIRECTORY": "/var/lib/invite-gateway",
            "GATEWAY_WEB__LISTEN": f"127.0.0.1:{process.free_port()}",
        }
        self.daemon = subprocess.Popen(
            [CHROOT, str(self.root), *shlex.split(command)],
            env=self.environment | said | given,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self.daemon.stderr is not None
        for line in self.daemon.stderr:
            if b'"ready"' in line:
                threading.Thread(target=self.daemon.stderr.read, daemon=True).start()
                return
        raise SystemExit("the gateway ended before it was ready")

    def end(self) -> None:
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(READY)


@contextlib.contextmanager
def machine(given: str) -> Iterator[Machine]:
    """A Debian with what a chroot needs of the machine around it."""
    root = Path(given or tempfile.mkdtemp(prefix="newcomer-"))
    if not (root / "bin").exists():
        subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(root)], check=True)
    for name in ("etc/resolv.conf", "etc/ssl/certs/ca-certificates.crt", "etc/pip.conf"):
        if Path("/", name).exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path("/", name), root / name)
    shared = [(REPOSITORY, root / "repository"), (Path("/dev"), root / "dev")]
    for source, target in shared:
        target.mkdir(exist_ok=True)
        subprocess.run(["mount", "--bind", str(source), str(target)], check=True)
    subprocess.run(["mount", "-t", "proc", "proc", str(root / "proc")], check=True)
    made = Machine(root)
    try:
        yield made
    finally:
        made.end()
        for target in (root / "proc", *(target for _, target in shared)):
            subprocess.run(["umount", str(target)], check=False)
        if not given:
            shutil.rmtree(root)


def answer(box: mailbox.Mailbox, via: postfix_server.Server) -> None:
    """As the administrator's calendar program does."""
    [letter] = box.wait_for(lambda one: "METHOD:REQUEST" in mailbox.calendar_of(one))
    invitation = reading.read(letter.as_bytes(policy=email.policy.SMTP))
    who = clients.Invitee(box.name, box.address)
    made = clients.outlook(invitation, who, clients.Word.ACCEPTED, "Fine", datetime.now(UTC))
    via.send(made.sender, [made.recipient], made.content)


def written(line: str, flags: str, address: str) -> str:
    """The line as it can be typed here."""
    changes = {
        "git clone THIS-REPOSITORY": "git -c safe.directory='*' clone --quiet /repository",
        "invite-gateway setup": f"invite-gateway setup {flags}",
        "your.own@address": address,
        "apt-get install": "apt-get install -y",
    }
    for before, after in changes.items():
        line = line.replace(before, after)
    return line


def main() -> None:
    began = time.monotonic()
    with (
        dovecot_server.running() as mail,
        postfix_server.running(mail) as via,
        machine(sys.argv[1] if len(sys.argv) > 1 else "") as fresh,
    ):
        box = mail.new_mailbox("admin", "ext.example", "Admin")
        (fresh.root / "tmp/password").write_text(f"{dovecot_server.PASSWORD}\n")
        flags = (
            "--address invites@crm.example --username invites --password-file /tmp/password"
            f" --organisation 'Acme AS' --smtp-host 127.0.0.1 --imap-host 127.0.0.1"
            f" --set smtp.port={via.submission_port} --set smtp.security=none"
            f" --set imap.port={mail.imap_port} --set imap.security=none"
        )
        for line in steps():
            if line.startswith("systemctl"):
                print(f"$ {line}\n  (its ExecStart instead)", flush=True)
                fresh.start()
                continue
            if "send-test" in line:
                threading.Thread(target=answer, args=(box, via), daemon=True).start()
            fresh.type(written(line, flags, box.address))
    print(f"all of it: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
