"""README's path from a fresh Debian 12 to the first answered invitation, typed as it stands there,
its demonstration, and where it is asked for its tests.

`python -m tests.newcomer [--tests] [ROOT]`, as root, with debootstrap, systemd-nspawn
(systemd-container) and the servers of tests/rig. ROOT: a Debian with systemd that is there already,
else one is made. It is booted, so the unit is started by systemd itself, with its user, its
credentials and all that it may not do; killed, it must be back. What cannot be as written:
questions are answered by flags, and the invitee is a robot. `--tests`: also `make test-fast` with
nothing but Python, and `make test` with the packages that it names, half an hour on two cores.
Prints each step with its seconds; ends with 0 if the invitation was answered, `doctor` found
nothing wrong, systemd did what the unit asks for, and the demonstration showed everything.
"""

from __future__ import annotations

import argparse
import contextlib
import email.policy
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from gateway.sandbox import clients, reading
from tests.rig import dovecot as dovecot_server
from tests.rig import mailbox
from tests.rig import postfix as postfix_server

T = TypeVar("T")
REPOSITORY = Path(__file__).parents[1]
CONTRIBUTING = REPOSITORY / "CONTRIBUTING.md"
UNIT = "invite-gateway.service"
READY = 120.0
PAUSE = threading.Event()
"""Never set: to wait for what tells nobody that it came."""
CORPUS = Path(os.environ.get("GATEWAY_CORPUS") or REPOSITORY.parent / "shared").resolve()
CERTIFICATES = "etc/certificates-around.crt"
FILES = {
    "etc/resolv.conf": "etc/resolv.conf",
    "etc/pip.conf": "etc/pip.conf",
    "etc/ssl/certs/ca-certificates.crt": CERTIFICATES,
}
"""What it takes over from the machine around it, and where it lies then: Debian's ca-certificates
writes over a bundle in its own place.
"""


def steps() -> list[str]:
    """The commands of README, as they are typed, without remarks."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    block = readme.partition("## Install")[2].split("```")[1]
    lines = [re.sub(r"\s{2,}#.*", "", line).strip() for line in block.splitlines()]
    return [line for line in lines if line]


class Machine:
    """A fresh Debian in a folder, booted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        self.environment = {
            "PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
            **pip,
            "PIP_CERT": f"/{CERTIFICATES}",
        }
        options = ["--register=no", "--keep-unit", "--quiet", "--console=pipe"]
        options += ["--resolv-conf=off"]
        if CORPUS.is_dir():
            options += [f"--bind-ro={CORPUS}:/opt/shared"]
        self._container = subprocess.Popen(
            ["systemd-nspawn", f"--directory={root}", *options, "--boot"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    def boot(self) -> None:
        """Wait until it is up."""
        self._first = _await(lambda: _first_process(self._container.pid), "a first process")
        _await(lambda: self.asked("systemctl is-system-running") in BOOTED, "the end of the boot")

    def type(self, line: str) -> None:
        began = time.monotonic()
        print(f"$ {line}", flush=True)
        subprocess.run(
            self._inside(f"umask 022; {line}"),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            check=True,
        )
        print(f"  {time.monotonic() - began:.0f} s", flush=True)

    def asked(self, line: str) -> str:
        """What a command prints, however it ends."""
        done = subprocess.run(
            self._inside(line), env=self.environment, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    def property(self, name: str) -> str:
        """What systemd says of the unit."""
        return self.asked(f"systemctl show --value --property={name} {UNIT}")

    def end(self) -> None:
        """As if the power were switched off: SIGTERM halts the container in order."""
        self._container.terminate()
        self._container.wait(READY)

    def _inside(self, line: str) -> list[str]:
        spaces = ["--mount", "--uts", "--ipc", "--pid", "--root", "--wd"]
        return ["nsenter", f"--target={self._first}", *spaces, "/bin/sh", "-c", line]


BOOTED = {"running", "degraded"}
"""Degraded: some unit of a whole machine finds nothing to do in a container."""


def _await(look: Callable[[], T], what: str) -> T:
    deadline = time.monotonic() + READY
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise SystemExit(f"never came: {what}")
        PAUSE.wait(0.1)
    return seen


def _first_process(parent: int) -> int:
    """The process that is number 1 within the container; 0 while there is none."""
    for child in map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()):
        status = Path(f"/proc/{child}/status").read_text(encoding="utf-8")
        if re.search(r"(?m)^NSpid:.*\t1$", status):
            return child
        if found := _first_process(child):
            return found
    return 0


@contextlib.contextmanager
def machine(given: str) -> Iterator[Machine]:
    """A Debian with what it needs of the machine around it."""
    root = Path(given or tempfile.mkdtemp(prefix="newcomer-"))
    root.chmod(0o755)  # who is not root in there walks through it, too
    if not (root / "bin").exists():
        packages = "--include=systemd-sysv,dbus"
        command = ["debootstrap", "--variant=minbase", packages, "bookworm", str(root)]
        subprocess.run(command, check=True)
    for around, within in FILES.items():
        if Path("/", around).exists():
            shutil.copyfile(Path("/", around), root / within)
    # What is committed: a working copy may be a worktree, whose history lies elsewhere.
    repository = root / "repository"
    shutil.rmtree(repository, ignore_errors=True)
    subprocess.run(
        ["git", "clone", "--quiet", "--bare", str(REPOSITORY), str(repository)], check=True
    )
    made = Machine(root)
    try:
        made.boot()
        yield made
    finally:
        made.end()
        if not given:
            shutil.rmtree(root)


def under_systemd(fresh: Machine) -> None:
    """The unit is what it says: another user with no rights, READY, the watchdog, and back after a
    crash.
    """
    assert fresh.property("ActiveState") == "active"
    assert fresh.property("StatusText").startswith("running")
    assert fresh.property("WatchdogUSec") == "1min"
    process = fresh.property("MainPID")
    status = fresh.asked(f"cat /proc/{process}/status")
    [user] = re.findall(r"(?m)^Uid:\t(\d+)", status)
    assert int(user) != 0, status
    assert re.findall(r"(?m)^Cap(?:Eff|Bnd):\t(\w+)", status) == ["0" * 16] * 2, status
    assert re.findall(r"(?m)^Seccomp:\t(\d)", status) == ["2"], status
    began = time.monotonic()
    fresh.type(f"kill -KILL {process}")
    _await(lambda: fresh.property("MainPID") not in ("0", process), "another process")
    _await(lambda: fresh.property("ActiveState") == "active", "it is back after a crash")
    assert fresh.property("NRestarts") == "1"
    print(f"  killed, and back after {time.monotonic() - began:.0f} s", flush=True)
    fresh.type("systemctl stop invite-gateway")
    ended = {name: fresh.property(name) for name in ("ExecMainCode", "ExecMainStatus", "Result")}
    assert ended == {"ExecMainCode": "1", "ExecMainStatus": "0", "Result": "success"}, ended
    print(fresh.asked(f"systemd-analyze security {UNIT} --no-pager | tail -n 1"), flush=True)


def demonstrated(fresh: Machine) -> None:
    """`make demo` in a working copy of its own ends with 0 if an answer of every kind counted."""
    fresh.type(written("git clone THIS-REPOSITORY /opt/demo", "", ""))
    fresh.type("DEMO_SECONDS=20 make -C /opt/demo demo")


def tested(fresh: Machine) -> None:
    """`make test-fast` needs nothing but Python; `make test` what CONTRIBUTING names, with the
    corpora beside the working copy.
    """
    fresh.type(written("git clone THIS-REPOSITORY /opt/tested", "", ""))
    fresh.type("make -C /opt/tested test-fast")
    [line] = re.findall(r"(?m)^ *`?(apt-get install .*packages\.txt\))", CONTRIBUTING.read_text())
    fresh.type(f"cd /opt/tested && {written(line, '', '')}")
    fresh.type("CI=1 make -C /opt/tested test")


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
    parser = argparse.ArgumentParser(prog="python -m tests.newcomer")
    parser.add_argument("root", nargs="?", default="", help="a Debian that is there already")
    parser.add_argument("--tests", action="store_true", help="also make test-fast and make test")
    given = parser.parse_args()
    began = time.monotonic()
    with (
        dovecot_server.running() as mail,
        postfix_server.running(mail) as via,
        machine(given.root) as fresh,
    ):
        box = mail.new_mailbox("admin", "ext.example", "Admin")
        (fresh.root / "etc/mail-password").write_text(f"{dovecot_server.PASSWORD}\n")
        flags = (
            "--address invites@crm.example --username invites --password-file /etc/mail-password"
            f" --organisation 'Acme AS' --smtp-host 127.0.0.1 --imap-host 127.0.0.1"
            f" --set smtp.port={via.submission_port} --set smtp.security=none"
            f" --set imap.port={mail.imap_port} --set imap.security=none"
        )
        for line in steps():
            if "send-test" in line:
                threading.Thread(target=answer, args=(box, via), daemon=True).start()
            fresh.type(written(line, flags, box.address))
        under_systemd(fresh)
        demonstrated(fresh)
        if given.tests:
            tested(fresh)
    print(f"all of it: {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
