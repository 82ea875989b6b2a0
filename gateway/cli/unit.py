"""`invite-gateway config unit`: the systemd unit, for where this program is installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import context, output
from gateway.errors import GatewayError

NAME = "invite-gateway.service"
FOLDER = Path("/etc/systemd/system")
PROGRAM = "/opt/invite-gateway/.venv/bin"
CONFIGURATION = str(context.USUAL)


def unit(
    ctx: typer.Context,
    install: Annotated[
        bool,
        typer.Option("--install", help="Write it where systemd finds it, and tell systemd."),
    ] = False,
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="Where --install puts it.")
    ] = FOLDER,
    force: Annotated[
        bool, typer.Option("--force", help="Over one that is there and says something else.")
    ] = False,
) -> None:
    """Print the systemd unit for this installation, or install it."""
    text = shown(Path(sys.prefix) / "bin", context.config_file(context.invocation(ctx).config))
    if not install:
        print(text, end="")
        return
    place = folder / NAME
    try:
        before = place.read_text(encoding="utf-8") if place.exists() else text
        if before != text and not force:
            raise GatewayError(f"{place} says something else; --force writes over it")
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise GatewayError(f"{place} cannot be written: {error.strerror}") from error
    output.line(f"written: {place}")
    _tell_systemd(folder)


def shown(programs: Path, configuration: Path | None) -> str:
    """The shipped unit with the places of this installation."""
    text = shipped().replace(f"PATH={PROGRAM}:", f"PATH={programs}:")
    if configuration is not None:
        text = text.replace(CONFIGURATION, str(configuration.absolute()))
    return text


def shipped() -> str:
    """Beside this module in a wheel; in a clone it stands in its own folder."""
    packed = resources.files("gateway.cli") / NAME
    if packed.is_file():
        return packed.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / "systemd" / NAME).read_text(encoding="utf-8")


def _tell_systemd(folder: Path) -> None:
    systemctl = shutil.which("systemctl")
    if folder == FOLDER and systemctl and Path("/run/systemd/system").is_dir():
        done = subprocess.run(  # noqa: S603 - the system's own program, without anything of a user
            [systemctl, "daemon-reload"], capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            raise GatewayError(f"systemctl daemon-reload: {done.stderr.strip()}")
    output.line("start it: systemctl enable --now invite-gateway")
