"""The gateway as its administrator runs it: `invite-gateway run` in a process of its own, forked from
a warm one where there is one (`tests.warm`), and the other commands beside it (`tests.command`).

Settings go by environment, logs come as JSON lines and can be waited for. It dies with the test run
even if that is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tests import command, rig, stores, warm
from tests.rig import mailbox, postfix

PROGRAM = str(Path(sys.executable).with_name("invite-gateway"))
HURRIED = (sys.executable, "-P", str(Path(__file__).with_name("hurried.py")))
"""The same with short waits."""
WAIT_SECONDS = 60.0
"""Before giving up; a loaded machine needs many times what an idle one needs."""
GRACE_SECONDS = 60.0
"""What the daemon allows its roles after SIGTERM."""
LAST_LINES = 40

Object = dict[str, Any]
T = TypeVar("T")


class NeverCame(AssertionError):
    """What was waited for did not happen; the message holds what did."""


def environment(
    url: str, account: mailbox.Mailbox, via: postfix.Server, **more: str
) -> dict[str, str]:
    """Settings of a gateway with this store, reading `account` and sending through `via`; quick,
    for nobody wants to wait.

    `more` are further settings: `OUTBOUND__COALESCE_SECONDS="0"`.
    """
    settings = {
        "STORE__URL": url,
        "STORE__POLL_SECONDS": "0.2",
        "OUTBOUND__COALESCE_SECONDS": "0.3",
        "MAIL__ADDRESS": account.address,
        "MAIL__NAME": "Acme AS",
        "MAIL__LANGUAGE": "nb",
        "MAIL__TIMEZONE": "Europe/Oslo",
        "SMTP__HOST": "127.0.0.1",
        "SMTP__PORT": str(via.port),
        "SMTP__SECURITY": "none",
        "IMAP__HOST": account.host,
        "IMAP__PORT": str(account.port),
        "IMAP__SECURITY": "none",
        "IMAP__USERNAME": account.username,
        "IMAP__PASSWORD": account.password,
        # A letter more than a test expects; tests/wire/test_probe.py has it on.
        "INBOUND__PROBE": "false",
        "WEB__LISTEN": "127.0.0.1:0",
        "LOG__FORMAT": "json",
        **more,
    }
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GATEWAY_", "NOTIFY_", "WATCHDOG_", "JOURNAL_"))
    }
    return kept | {f"GATEWAY_{name}": value for name, value in settings.items()}


class Gateway:
    """A daemon that may be started, stopped and killed many times over the same store, and the
    commands beside it.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        program: Sequence[str] = (PROGRAM,),
        *,
        cold: bool = False,
    ) -> None:
        self.settings = dict(settings)
        self.program = program
        """Options of Python may stand before the script."""
        self.is_cold = cold or not warm.is_serving()
        """Whether every start is that of a new interpreter."""
        self.log: list[Object] = []
        """Log lines of all starts, oldest first."""
        self._news = threading.Condition()
        self._process: subprocess.Popen[str] | warm.Process | None = None
        self._reader: threading.Thread | None = None

    # The daemon

    @property
    def process(self) -> subprocess.Popen[str] | warm.Process:
        assert self._process is not None, "the gateway was not started"
        return self._process

    def start(self, only: str = "", *, wait: bool = True) -> int:
        """Start the daemon; with `wait`, return when all its roles serve. Returns the number of log
        lines before this start.
        """
        before = len(self.log)
        order = ["run", *(["--only", only] if only else [])]
        if self.is_cold:
            self._process = self._begun([*self.program, *order])
        else:
            self._process = warm.Process([self.program[-1], *order], self.settings)
        self._reader = threading.Thread(
            target=self._read, args=(self._process,), name="gateway log"
        )
        self._reader.start()
        if wait:
            self.wait_log("ready", since=before)
        return before

    def _begun(self, command: Sequence[str]) -> subprocess.Popen[str]:
        # A session of its own: Ctrl-C in the terminal ends the tests, which then end the gateway in
        # order.
        return subprocess.Popen(
            [rig.need("setpriv", "util-linux"), "--pdeathsig", "KILL", *command],
            env=self.settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def stop(self, seconds: float = GRACE_SECONDS + 10) -> int:
        """SIGTERM, and the exit code. Raises NeverCame if it takes longer."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self._ended(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise NeverCame(
                f"the gateway did not stop within {seconds:g} s\n{self.tail()}"
            ) from None

    def kill(self) -> None:
        """kill -9: nothing of it gets to do anything any more."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        # Until it is reaped, its number still seems to live.
        self._ended(15)

    def halt(self) -> None:
        """Stop its clock amid whatever it does (SIGSTOP), until SIGCONT; returns when it stands
        still.
        """
        self.process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self.process.pid}/task")
        while not all(map(_stands_still, threads.iterdir())):
            assert self.lives(0.001), f"it ended instead\n{self.tail()}"

    def end(self) -> None:
        """Make sure that it does not run any longer, whether it was started or not."""
        if self.started and self.lives():
            self.kill()

    @property
    def started(self) -> bool:
        """Whether it runs, as far as anybody here has ended it."""
        return self._process is not None and self._process.returncode is None

    def lives(self, seconds: float = 0.0) -> bool:
        """Whether it still runs `seconds` from now; returns at once when it ends before. A way to
        let time pass.
        """
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return True
        return False

    def wait_log(
        self, event: str, count: int = 1, *, since: int = 0, seconds: float = WAIT_SECONDS
    ) -> list[Object]:
        """The lines with this event from number `since` on, as soon as there are `count` of them.

        Raises NeverCame with the last lines when it ends before or the time is over.
        """

        def found() -> list[Object]:
            return [line for line in self.log[since:] if line.get("event") == event]

        reader = self._reader
        with self._news:
            self._news.wait_for(
                lambda: len(found()) >= count or not (reader and reader.is_alive()), seconds
            )
            if len(found()) < count:
                raise NeverCame(
                    f"{len(found())} of {count} log lines {event!r} within {seconds:g} s\n{self.tail()}"
                )
            return found()

    def complaints(self) -> list[Object]:
        """Log lines of level error and above."""
        return [line for line in self.log if line.get("level") in ("error", "critical", "?")]

    def tail(self) -> str:
        """The last log lines, for messages of failure."""
        return "\n".join(json.dumps(line, ensure_ascii=False) for line in self.log[-LAST_LINES:])

    def _ended(self, seconds: float) -> int:
        code = self.process.wait(seconds)
        if self._reader is not None:
            self._reader.join(seconds)
        return code

    def _read(self, process: subprocess.Popen[str] | warm.Process) -> None:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                try:
                    entry = json.loads(line)
                except ValueError:  # a traceback of the interpreter, or a line cut by kill -9
                    entry = {"level": "?", "event": line.rstrip("\n")}
                with self._news:
                    self.log.append(entry)
                    self._news.notify_all()
        finally:
            process.stderr.close()
            with self._news:
                self._news.notify_all()

    # The commands

    def command(self, *arguments: str) -> str:
        """What `invite-gateway ARGUMENTS` prints. Raises NeverCame with its complaint if it
        fails.
        """
        done = command.run(*arguments, environment=self.settings)
        if done.returncode != 0:
            raise NeverCame(
                f"invite-gateway {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
            )
        return done.stdout

    def objects(self, *arguments: str) -> list[Object]:
        """The objects that `invite-gateway --json ARGUMENTS` prints, one a line."""
        return [json.loads(line) for line in self.command("--json", *arguments).splitlines()]

    def status(self, follow_up: str) -> dict[str, Object]:
        """`status FOLLOW_UP`: address → object."""
        return {row["address"]: row for row in self.objects("status", follow_up)}

    def wait_status(
        self, follow_up: str, wanted: Mapping[str, Mapping[str, Any]], seconds: float = WAIT_SECONDS
    ) -> dict[str, Object]:
        """The status as soon as the rows of these addresses show these values: `{"ola@ext.example":
        {"code": 1}}`.

        Raises NeverCame with the last status after `seconds`, or as soon as the daemon has ended.
        """
        return self.wait_for(
            lambda: self.status(follow_up),
            lambda rows: all(
                rows.get(address, {}).get(key) == value
                for address, facts in wanted.items()
                for key, value in facts.items()
            ),
            what=f"status {dict(wanted)}",
            seconds=seconds,
        )

    def wait_for(
        self,
        look: Callable[[], T],
        wanted: Callable[[T], bool],
        *,
        what: str,
        seconds: float = WAIT_SECONDS,
    ) -> T:
        """Look again and again until `wanted`. Raises NeverCame with what was seen last."""
        deadline = time.monotonic() + seconds
        while not wanted(seen := look()):
            if time.monotonic() > deadline or not self.lives(0.05):
                raise NeverCame(f"never came: {what}\nlast seen: {seen!r}\n{self.tail()}")
        return seen


def _stands_still(thread: Path) -> bool:
    try:
        _, _, facts = (thread / "stat").read_text().rpartition(") ")
    except FileNotFoundError:  # just ended
        return True
    return facts.startswith("T")


@contextlib.contextmanager
def running(settings: Mapping[str, str], only: str = "") -> Iterator[Gateway]:
    """A gateway with its store, started; killed at the end if it still runs then."""
    gateway = Gateway(settings)
    stores.upgraded(settings["GATEWAY_STORE__URL"])
    try:
        gateway.start(only)
        yield gateway
    finally:
        gateway.end()
