"""The service manager's side: the datagrams of sd_notify, and the unit file as systemd itself
judges it.
"""

import asyncio
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.daemon import supervise, systemd
from tests import command, rig

UNIT = Path(__file__).parents[2] / "systemd" / "invite-gateway.service"
DEADLINE = 60.0


@contextmanager
def manager(address: str) -> Iterator[socket.socket]:
    """systemd's end of NOTIFY_SOCKET."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.bind(address)
        listener.settimeout(DEADLINE)
        yield listener


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_ready_and_stopping_reach_the_manager(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(tmp_path / "notify") if kind == "path" else f"@invite-gateway-test-{os.getpid()}"
    with manager(name if kind == "path" else "\0" + name[1:]) as listener:
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        systemd.ready("running: web")
        systemd.stopping()
        assert listener.recv(1000) == b"READY=1\nSTATUS=running: web"
        assert listener.recv(1000) == b"STOPPING=1"


def test_a_status_is_one_line_whatever_it_quotes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line end would begin another assignment."""
    with manager(str(tmp_path / "notify")) as listener:
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        systemd.ready("waiting: no\nMAINPID=1")
        systemd.extend(1.5)
        assert listener.recv(1000) == b"READY=1\nSTATUS=waiting: no MAINPID=1"
        assert listener.recv(1000) == b"EXTEND_TIMEOUT_USEC=1500000"


def test_without_a_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setattr(socket, "socket", lambda *arguments: pytest.fail("a socket was opened"))
    systemd.ready()
    systemd.stopping()


def test_a_manager_that_is_gone_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    systemd.ready()
    assert "did not take the notification" in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("microseconds", "process", "seconds"),
    [
        ("60000000", None, 60.0),
        ("60000000", "own", 60.0),
        ("60000000", "1", None),  # meant for another process
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_watchdog_period(
    microseconds: str | None,
    process: str | None,
    seconds: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in (
        ("WATCHDOG_USEC", microseconds),
        ("WATCHDOG_PID", str(os.getpid()) if process == "own" else process),
    ):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert systemd.watchdog_seconds() == seconds


async def test_a_whole_life_as_the_manager_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """READY only once the last role serves, a sign of life again and again, STOPPING as soon as the
    stop is asked for.
    """
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    loop = asyncio.get_running_loop()
    stop, serves, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work(asked: asyncio.Event) -> None:
        await asked.wait()
        await may_end.wait()

    with manager(str(tmp_path / "notify")) as listener:
        listener.setblocking(False)

        async def until(wanted: bytes) -> list[bytes]:
            heard: list[bytes] = []
            async with asyncio.timeout(DEADLINE):
                while not heard or heard[-1] != wanted:
                    heard.append(await loop.sock_recv(listener, 1000))
            return heard

        async with asyncio.TaskGroup() as group:
            group.create_task(supervise.supervise([supervise.Role("web", work, serves)], stop))
            assert set(await until(b"WATCHDOG=1")) == {b"WATCHDOG=1"}
            serves.set()
            await until(b"READY=1\nSTATUS=running: web")
            await until(b"WATCHDOG=1")
            await until(b"WATCHDOG=1")
            stop.set()
            await until(b"STOPPING=1")
            may_end.set()


def test_the_unit_is_valid() -> None:
    program = rig.need("systemd-analyze", "systemd")
    done = subprocess.run(
        [program, "verify", str(UNIT)], capture_output=True, text=True, timeout=60, check=False
    )
    # It exits with 0 on unknown keys and only warns, so every output is a failure.
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_unit_exposes_little() -> None:
    program = rig.need("systemd-analyze", "systemd")
    done = subprocess.run(
        [program, "security", "--offline=yes", "--threshold=11", "--no-pager", str(UNIT)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_secret_of_the_unit_must_be_there() -> None:
    """LoadCredential= of a file that is missing fails the unit unless SetCredential= has the same
    name (systemd.exec(5)); what that gives is nothing that could be taken for a secret.
    """
    unit = UNIT.read_text(encoding="utf-8")
    loaded = re.findall(r"(?m)^LoadCredential=([^:\n]+):/etc/invite-gateway/", unit)
    one_account = {"smtp-password", "imap-password", "dkim-key", "oauth-client-secret"}
    assert set(loaded) == one_account | {"store-password", "openid-client-secret"}
    assert loaded == re.findall(r"(?m)^SetCredential=([^:\n]+):\\n$", unit)


def test_the_unit_never_gives_up_but_on_a_wrong_configuration() -> None:
    unit = UNIT.read_text(encoding="utf-8").splitlines()
    for line in (
        "StartLimitIntervalSec=0",
        "Restart=on-failure",
        "RestartPreventExitStatus=78",
        "SyslogIdentifier=invite-gateway",
    ):
        assert line in unit


def test_the_unit_is_printed_and_installed_for_where_the_program_is(tmp_path: Path) -> None:
    shipped = UNIT.read_text(encoding="utf-8")
    place = tmp_path / "gateway.toml"
    printed = command.run("config", "unit", "--config", str(place), environment={}).stdout
    changed = [
        (before, after)
        for before, after in zip(shipped.splitlines(), printed.splitlines(), strict=True)
        if before != after
    ]
    assert changed == [
        (
            "Environment=PATH=/opt/invite-gateway/.venv/bin:/usr/bin:/bin",
            f"Environment=PATH={sys.prefix}/bin:/usr/bin:/bin",
        ),
        (
            "Environment=GATEWAY_CONFIG=/etc/invite-gateway/gateway.toml",
            f"Environment=GATEWAY_CONFIG={place}",
        ),
    ]
    install = ("config", "unit", "--install", "--folder", str(tmp_path))
    done = command.run(*install, environment={})
    assert (done.returncode, "systemctl enable --now invite-gateway" in done.stdout) == (0, True)
    installed = tmp_path / "invite-gateway.service"
    assert f"PATH={sys.prefix}/bin:" in installed.read_text(encoding="utf-8")
    assert command.run(*install, environment={}).returncode == 0
    installed.write_text("# an administrator's own\n", encoding="utf-8")
    done = command.run(*install, environment={})
    assert (done.returncode, "--force writes over it" in done.stderr) == (1, True)
    assert installed.read_text(encoding="utf-8") == "# an administrator's own\n"
    assert command.run(*install, "--force", environment={}).returncode == 0
    assert "[Service]" in installed.read_text(encoding="utf-8")
