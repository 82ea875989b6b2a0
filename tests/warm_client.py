"""The other end of `tests.warm`: `python -I -S warm_client.py SOCKET SCRIPT ARGUMENTS…` is one
command, run by the server at SOCKET. Imports little, for that is its point.
"""

import json
import os
import socket
import sys

NUMBER = 10
"""As `tests.warm` has it."""


def ask(path: str, command: list[str]) -> int:
    """Have the command run with this process's environment, folder and streams; its exit code."""
    order = json.dumps([command, dict(os.environ), os.getcwd()]).encode()  # noqa: PTH109 pathlib costs
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        socket.send_fds(server, [b"%*d" % (NUMBER, len(order))], [0, 1, 2])
        server.sendall(order)
        server.recv(NUMBER, socket.MSG_WAITALL)  # its process
        code = int(server.recv(NUMBER, socket.MSG_WAITALL))
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(ask(sys.argv[1], sys.argv[2:]))
