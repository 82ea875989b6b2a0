"""What every command gets: the global options, the settings and the store they name.

Heavy imports stand inside the functions, so that `--help` and completion stay fast.
"""

from __future__ import annotations

import getpass
import os
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from gateway.actions.desk import Desk
    from gateway.settings import Settings
    from gateway.store.engine import Store

T = TypeVar("T")
USUAL = Path("/etc/invite-gateway/gateway.toml")
"""Where the shipped unit looks, too."""

Limit = Annotated[
    int | None, typer.Option("--limit", metavar="N", min=1, help="So many rows at most.")
]


@dataclass(frozen=True, slots=True)
class Invocation:
    """The global options of this run. `config`: --config, else GATEWAY_CONFIG, else none; `json`:
    --json.
    """

    config: Path | None
    json: bool


def invocation(ctx: typer.Context) -> Invocation:
    """The global options, from the context that Typer hands to a command."""
    invoked = ctx.find_root().obj
    assert isinstance(invoked, Invocation)
    return invoked


def settings(ctx: typer.Context) -> Settings:
    """The effective settings; also sends the logs where these say. Raises `ConfigurationError`."""
    from gateway import settings
    from gateway.daemon import logs

    file = config_file(invocation(ctx).config)
    lend_credentials(file)
    loaded = settings.load(file)
    logs.configure(loaded.log)
    return loaded


def config_file(option: Path | None) -> Path | None:
    """--config before GATEWAY_CONFIG before the usual place; None where there is none."""
    if option is not None:
        return option
    if name := os.environ.get("GATEWAY_CONFIG", ""):
        return Path(name)
    try:
        return USUAL if USUAL.is_file() else None
    except PermissionError:
        return USUAL  # who may not look is told so when it is read


def lend_credentials(file: Path | None) -> None:
    """By hand nobody hands credentials over; what the unit loads lies beside the settings."""
    if file is not None:
        os.environ.setdefault("CREDENTIALS_DIRECTORY", str(file.absolute().parent))


def store(effective: Settings, *, create: bool = False) -> Store:
    """The store at this program's schema, to be closed by the caller. `create`: make or migrate a
    SQLite store (contract.md §2).

    Raises `StoreError` where it is missing, older or newer, with what to do.
    """
    from gateway.store import engine, migrate

    opened = engine.Store.configured(effective)
    (migrate.fit if create else migrate.require)(opened)
    return opened


def user() -> str:
    """The operating system's name of the user who runs this, for the journal."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a number without a name, in containers
        return f"uid {os.getuid()}"


def perform(ctx: typer.Context, command: Callable[[Desk], T]) -> T:
    """What an administrator at the command line does, in one transaction."""
    from datetime import UTC, datetime

    from gateway.actions import desk
    from gateway.model import Access, Actor

    effective = settings(ctx)
    actor = Actor(Access.ADMIN, name=user())
    with closing(store(effective)) as opened:
        return desk.perform(opened, effective, datetime.now(UTC), actor, command).answer


def tell_troubles(store: Store, effective: Settings) -> None:
    """What is wrong with the installation, a line each, beside what was asked for (standard
    error).
    """
    from datetime import UTC, datetime

    from gateway.actions import health

    for trouble in health.seen(store, effective, datetime.now(UTC)):
        complain(f"{trouble.state}: {trouble.words}")


def complain(message: str) -> None:
    """One line to standard error, safe for a terminal, and an error to journald."""
    import logging

    from gateway.daemon import logs

    line = f"invite-gateway: {logs.escape(message)}"
    journal = logs.to_journal(sys.stderr)
    print(logs.prioritised(line, logging.ERROR) if journal else line, file=sys.stderr)
