"""Foreground server processes: private directories, free ports, readiness, a clear error, a certain
end.

On failure `StartError` carries the end of the server's own log. A server dies with the test run
even if that is killed: the kernel signals it when its parent ends (setpriv --pdeathsig).
"""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests import rig

START_SECONDS = 60.0
"""How long a server may take to start; a loaded machine needs ten times what an idle one needs."""

# Below Linux's ephemeral range (32768 and up): no outgoing connection takes a port between picking
# and listening.
_PORTS = range(20_000, 32_000)
_LOG_TAIL_BYTES = 4_000


class StartError(RuntimeError):
    """A server did not come up; the message holds the end of its log."""


def free_port() -> int:
    """A TCP port on 127.0.0.1 on which nobody listens at this moment."""
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            # As servers do: a port with connections in TIME_WAIT is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise StartError(f"no free port found between {_PORTS.start} and {_PORTS.stop}")


def listening(port: int) -> bool:
    """Whether somebody accepts connections on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def private_directory(name: str) -> Iterator[Path]:
    """A fresh directory for one server, removed at the end.

    Not pytest's tmp_path: that is closed to the unprivileged users the servers run as when root
    starts them, and its long names do not fit into a Unix socket's 108 bytes.
    """
    directory = Path(tempfile.mkdtemp(prefix=f"rig-{name}-"))
    try:
        if is_root():
            directory.chmod(0o711)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def is_root() -> bool:
    return os.geteuid() == 0


def own_user() -> pwd.struct_passwd:
    """The passwd entry this test run works as."""
    return pwd.getpwuid(os.geteuid())


def as_user(user: str | None) -> list[str]:
    """The start of a command line that runs the rest as `user`; nothing if that is None."""
    if user is None:
        return []
    return [
        rig.need("setpriv", "util-linux"),
        f"--reuid={user}",
        f"--regid={user}",
        "--init-groups",
    ]


def within_rights() -> list[str]:
    """The start of a command line whose rest is bound by the rights of files, even for root.

    Not another user: he may not even enter the folder of the working copy.
    """
    if not is_root():
        return []
    taken = "-dac_override,-dac_read_search"
    return [rig.need("setpriv", "util-linux"), f"--inh-caps={taken}", f"--bounding-set={taken}"]


@contextlib.contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """A disk of its own in this folder, of so many octets. Needs root."""
    if not is_root():
        rig.unavailable("a disk for an ordinary user", "run the tests as root")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "small", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def faketime() -> Path:
    """Debian's libfaketime."""
    return Path(rig.need("/usr/lib/*/faketime/libfaketime.so.1", "libfaketime"))


def give(path: Path, user: str | None) -> None:
    """Make `user` and his group the owner of a file or directory; nothing if that is None."""
    if user is not None:
        entry = pwd.getpwnam(user)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def run(
    command: Sequence[str],
    *,
    what: str,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    seconds: float = 60.0,
    cwd: Path | None = None,
) -> str:
    """Run a short-lived program and return what it printed, both streams together.

    Raises StartError with that text if the program fails or takes longer than `seconds`.
    """
    try:
        done = subprocess.run(
            command,
            env=env,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
            cwd=cwd,
        )
    except subprocess.TimeoutExpired as stuck:
        printed = (stuck.stdout or b"").decode(errors="replace")
        raise StartError(
            f"{what}: no end within {seconds:g} s\n{printed[-_LOG_TAIL_BYTES:]}"
        ) from stuck
    printed = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        raise StartError(f"{what}: exit code {done.returncode}\n{printed[-_LOG_TAIL_BYTES:]}")
    return printed


@dataclass
class Daemon:
    """A server running in the foreground as a child of the test run.

    `log` is the file its output goes to, and `logs` are files of its own to quote when it fails.
    """

    name: str
    command: Sequence[str]
    log: Path
    logs: Sequence[Path] = ()
    user: str | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    env: Mapping[str, str] | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """Id of the running server's process, which is also its process group. Raises StartError if
        it does not run.
        """
        if self._process is None or self._process.poll() is not None:
            raise StartError(f"{self.name} is not running\n{self.log_tail()}")
        return self._process.pid

    def start(self, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Start and return as soon as `ready()`. Raises StartError if the server ends before, or
        the time is over.
        """
        setpriv = as_user(self.user) or [rig.need("setpriv", "util-linux")]
        setpriv += ["--pdeathsig", self.stop_signal.name.removeprefix("SIG")]
        with self.log.open("ab") as output:
            # A session of its own: Ctrl-C in the terminal ends the tests, which then end the server
            # in order.
            self._process = subprocess.Popen(
                [*setpriv, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=self.env,
            )
        deadline = time.monotonic() + seconds
        while not ready():
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self._process.wait(timeout=0.02)
                raise StartError(
                    f"{self.name} ended with exit code {code} while starting\n{self.log_tail()}"
                )
            if time.monotonic() > deadline:
                self.stop()
                raise StartError(
                    f"{self.name} was not ready within {seconds:g} s\n{self.log_tail()}"
                )

    def stop(self, seconds: float = 60.0) -> None:
        """End the server in order, or with SIGKILL to its whole process group if that takes longer
        than `seconds`.
        """
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self.stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=seconds)
        # Whatever is left of the group, now that nobody looks after it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=seconds)

    def kill(self) -> None:
        """End the server and its children the hard way, as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=60)

    def log_tail(self) -> str:
        """The last lines of the server's logs."""
        tails = [
            f"--- {path}\n{path.read_bytes()[-_LOG_TAIL_BYTES:].decode(errors='replace')}"
            for path in (self.log, *self.logs)
            if path.exists()
        ]
        return "\n".join(tails)
