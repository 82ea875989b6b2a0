"""The other end of `tests.warm`: `python -I -S warm_client.py SOCKET ARGUMENTS…` is one command of
`invite-gateway`, run by who serves at SOCKET. Imports little, for that is its point.
"""

import json
import os
import socket
import sys

KILLED = 70
"""The exit code of a command that ended without a word."""


def ask(path: str, arguments: list[str]) -> int:
    """Have the command run with this process's environment, folder and streams; its exit code."""
    order = json.dumps([arguments, dict(os.environ), os.getcwd()]).encode()  # noqa: PTH109 pathlib costs
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        socket.send_fds(server, [b"%10d" % len(order)], [0, 1, 2])
        server.sendall(order)
        code = server.recv(1)
    return code[0] if code else KILLED


if __name__ == "__main__":
    sys.exit(ask(sys.argv[1], sys.argv[2:]))
