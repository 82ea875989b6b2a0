"""A program in a terminal of its own: what its screen shows, and keys pressed when it shows what
they are for.

The screen knows what a plain terminal (TERM=vt100) does: text, moving the cursor, erasing.
Attributes are read over. The program dies with the test run even if that is killed (setpriv
--pdeathsig).
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests import rig
from tests.rig import process

ROWS, COLUMNS = 40, 150
_SEQUENCE = re.compile(r"\x1b\[([?\d;]*)([@-~])|\x1b[()*+].|\x1b[^\[()*+]|\x0e|\x0f")
_UNFINISHED = re.compile(r"\x1b(?:\[[?\d;]*|[()*+])?$")


class Screen:
    """What a terminal would show of the characters that it was sent."""

    def __init__(self) -> None:
        self.lines = [[" "] * COLUMNS for _ in range(ROWS)]
        self.row = self.column = 0
        self._rest = ""

    def feed(self, text: str) -> None:
        text = self._rest + text
        self._rest = ""
        at = 0
        while at < len(text):
            if match := _SEQUENCE.match(text, at):
                if match[2]:
                    self._control(match[1], match[2])
                at = match.end()
            elif _UNFINISHED.match(text, at):
                self._rest = text[at:]
                return
            else:
                self._character(text[at])
                at += 1

    def __str__(self) -> str:
        return "\n".join("".join(line).rstrip() for line in self.lines).rstrip()

    def _control(self, parameters: str, final: str) -> None:
        numbers = [int(one or 0) for one in parameters.lstrip("?").split(";")]
        if final == "H":
            self.row = min(max(numbers[0], 1), ROWS) - 1
            self.column = min(max(numbers[1] if len(numbers) > 1 else 1, 1), COLUMNS) - 1
        elif final == "J":
            first = 0 if numbers[0] == 2 else self.row
            self.lines[first:] = [[" "] * COLUMNS for _ in range(ROWS - first)]
        elif final == "K":
            self.lines[self.row][self.column :] = [" "] * (COLUMNS - self.column)

    def _character(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row = min(self.row + 1, ROWS - 1)
        elif character == "\b":
            self.column = max(self.column - 1, 0)
        elif character >= " ":
            if self.column < COLUMNS:
                self.lines[self.row][self.column] = character
            self.column += 1


class Terminal:
    """A running program. `what` names it in errors,
    all of which are process.StartError and quote the screen.
    """

    def __init__(self, what: str, program: subprocess.Popen[bytes], master: int) -> None:
        self.what = what
        self.screen = Screen()
        self._program = program
        self._master = master
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def wait(self, pattern: str, *, failing: str = r"(?!)", seconds: float = 60.0) -> None:
        """Return when the screen shows `pattern`.
        Raises at once when it shows `failing` or the program ends.
        """
        deadline = time.monotonic() + seconds
        while not re.search(pattern, str(self.screen)):
            if re.search(failing, str(self.screen)):
                raise process.StartError(f"{self.what} complains; its screen:\n{self.screen}")
            left = deadline - time.monotonic()
            if left <= 0:
                raise process.StartError(
                    f"{self.what}: {pattern!r} did not show within {seconds:g} s; its screen:\n{self.screen}"
                )
            self._read(left)

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def ended(self, seconds: float = 60.0) -> int:
        """The exit code, as soon as the program has ended."""
        deadline = time.monotonic() + seconds
        with contextlib.suppress(process.StartError):
            while (left := deadline - time.monotonic()) > 0:
                self._read(left)
        try:
            return self._program.wait(1)
        except subprocess.TimeoutExpired:
            raise process.StartError(
                f"{self.what} did not end within {seconds:g} s; its screen:\n{self.screen}"
            ) from None

    def _read(self, seconds: float) -> None:
        if not select.select([self._master], [], [], seconds)[0]:
            return
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # EIO: nobody holds the other end any more
            data = b""
        if not data:
            raise process.StartError(f"{self.what} ended; its last screen:\n{self.screen}")
        self.screen.feed(self._decoder.decode(data))


@contextlib.contextmanager
def running(
    command: Sequence[str], *, what: str, env: Mapping[str, str], cwd: Path
) -> Iterator[Terminal]:
    """Start a program in a terminal;
    it is ended with whatever it started when the block is left.
    """
    master, slave = os.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        try:
            # setsid makes the session itself, and no second process for it, as long as it leads no
            # group yet.
            program = subprocess.Popen(
                [
                    rig.need("setsid", "util-linux"),
                    "--ctty",
                    rig.need("setpriv", "util-linux"),
                    "--pdeathsig",
                    "KILL",
                    *command,
                ],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**env, "TERM": "vt100"},
                cwd=cwd,
            )
        finally:
            os.close(slave)
        try:
            yield Terminal(what, program, master)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait(15)
    finally:
        os.close(master)
