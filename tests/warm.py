"""`invite-gateway` in processes that need not start: forked from one that has imported everything.

For a program that runs it hundreds of times and is not ours to change (the corpora's runner): most
of the second that a command takes is Python reading modules. A command is a process of its own as
ever, with its own arguments, environment, folder, standard streams and exit code. That the
installed program does the same is what tests/core/test_cli.py shows.
"""

import contextlib
import importlib
import json
import os
import pkgutil
import shlex
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import gateway
from gateway.cli import main
from tests import rig

ROOT = Path(__file__).parents[1]
CLIENT = Path(__file__).with_name("warm_client.py")
LEFT_OUT = "gateway.store.migrations"
"""Alembic reads these itself."""


@contextlib.contextmanager
def program(folder: Path) -> Iterator[str]:
    """The command line that stands for `invite-gateway` inside; `folder` is for our socket."""
    path = folder / "warm"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        server = subprocess.Popen(
            [
                rig.need("setpriv", "util-linux"),
                *("--pdeathsig", "KILL"),
                *(sys.executable, "-m", "tests.warm", str(listener.fileno())),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            start_new_session=True,
        )
    try:
        yield shlex.join([sys.executable, "-I", "-S", str(CLIENT), str(path)])
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def serve(listener: socket.socket) -> NoReturn:
    """Fork for every order, until killed."""
    for module in pkgutil.walk_packages(gateway.__path__, "gateway."):
        if not module.name.startswith(LEFT_OUT):
            importlib.import_module(module.name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries the children
    while True:
        asking, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            _obey(asking)
        asking.close()


def _obey(asking: socket.socket) -> NoReturn:
    """Become the command that is asked for, in a process that is nothing else."""
    code = 1
    try:
        length, streams, _, _ = socket.recv_fds(asking, 10, 3)
        order = asking.recv(int(length), socket.MSG_WAITALL)
        arguments, environment, folder = json.loads(order)
        for own, stream in enumerate(streams):
            os.dup2(stream, own)
            os.close(stream)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        main.main(arguments)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        asking.sendall(bytes([code]))
        os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
