"""`invite-gateway` in processes that need not start: forked from one that has imported everything.

Most of what a command or the start of a daemon costs is Python reading modules, again for each of
the hundreds that a run of the tests needs. What is forked is a process of its own as ever, with its
own arguments, environment, folder, streams, session and exit code; it runs the installed script or
one of ours. Left out is what stands before a script: `setpriv`, `prlimit`, options of Python.

One server serves all workers of a run. It imports nothing before somebody asks. It ends when its
standard input does, which is when the run ends, even by kill -9; what it has forked ends with it.
That a cold start does the same is what tests/core/test_cli.py and tests/wire/test_boot.py show.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
CLIENT = Path(__file__).with_name("warm_client.py")
PLACE = "WARM_PROGRAM"
"""The variable that names the server's socket."""
LEFT_OUT = "gateway.store.migrations"
"""Alembic reads these itself."""
NUMBER = 10
"""Octets of each number that is sent."""
PR_SET_PDEATHSIG = 1


# What tests use


@contextlib.contextmanager
def serving() -> Iterator[subprocess.Popen[bytes]]:
    """A server for this process and all that it starts. Whoever asks one that is no more is turned
    away.
    """
    with tempfile.TemporaryDirectory(prefix="warm-") as folder:
        os.environ[PLACE] = f"{folder}/socket"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(os.environ[PLACE])
            listener.listen(64)
            server = subprocess.Popen(
                [sys.executable, "-m", "tests.warm", str(listener.fileno())],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        try:
            yield server
        finally:
            del os.environ[PLACE]
            server.communicate()


def is_serving() -> bool:
    return PLACE in os.environ


def command(script: str) -> list[str]:
    """The command line that stands for this script's, up to its arguments."""
    return [sys.executable, "-I", "-S", str(CLIENT), os.environ[PLACE], script]


class Process:
    """A script that runs, as `subprocess.Popen` has it; only its standard error is heard."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.args = command
        self.returncode: int | None = None
        self._lock = threading.Lock()
        reading, writing = os.pipe()
        self.stderr = os.fdopen(reading)
        nothing = os.open(os.devnull, os.O_RDWR)
        order = json.dumps([list(command), dict(environment), str(Path.cwd())]).encode()
        self._server = socket.socket(socket.AF_UNIX)
        self._server.connect(os.environ[PLACE])
        socket.send_fds(self._server, [b"%*d" % (NUMBER, len(order))], [nothing, nothing, writing])
        for passed in (nothing, writing):
            os.close(passed)
        self._server.sendall(order)
        self.pid = int(self._server.recv(NUMBER, socket.MSG_WAITALL))

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        with self._lock:
            if self.returncode is None:
                there, _, _ = select.select([self._server], [], [], timeout)
                if not there:
                    raise subprocess.TimeoutExpired(self.args, timeout or 0)
                self.returncode = int(self._server.recv(NUMBER, socket.MSG_WAITALL))
                self._server.close()
            return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)


# The server


def serve(listener: socket.socket) -> tuple[list[str], dict[str, str], str]:
    """Fork for every order, until standard input ends. Returns in the processes that shall be what
    was ordered.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries the children
    is_warm = False
    while True:
        readable, _, _ = select.select([listener.fileno(), 0], [], [])
        if 0 in readable:
            sys.exit()
        asking, _ = listener.accept()
        if not is_warm:
            _import()
            is_warm = True
        if os.fork() == 0:
            listener.close()
            return _order(asking)
        asking.close()


def _import() -> None:
    for module in pkgutil.walk_packages(importlib.import_module("gateway").__path__, "gateway."):
        if not module.name.startswith(LEFT_OUT):
            importlib.import_module(module.name)
    assert threading.active_count() == 1, "no thread would be there after a fork"
    gc.collect()
    gc.freeze()


def _order(asking: socket.socket) -> tuple[list[str], dict[str, str], str]:
    """Returns in another process, which has told who it is; this one tells how it ends."""
    _end_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, streams, _, _ = socket.recv_fds(asking, NUMBER, 3)
    order = asking.recv(int(length), socket.MSG_WAITALL)
    child = os.fork()
    if child:
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        _tell(asking, os.waitstatus_to_exitcode(status))
        os._exit(0)
    _end_with_parent()
    os.setsid()  # who knows its number may end the whole session
    _tell(asking, os.getpid())
    asking.close()
    for own, stream in enumerate(streams):
        os.dup2(stream, own)
        os.close(stream)
    command, environment, folder = json.loads(order)
    return command, environment, folder


def _tell(asking: socket.socket, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody wants to know any more
        asking.sendall(b"%*d" % (NUMBER, number))


def _end_with_parent() -> None:
    """As `setpriv --pdeathsig KILL` has it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _become(command: list[str], environment: dict[str, str], folder: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = command
    runpy.run_path(command[0], run_name="__main__")


if __name__ == "__main__":
    _become(*serve(socket.socket(fileno=int(sys.argv[1]))))
