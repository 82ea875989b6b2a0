"""`invite-gateway setup`: the settings of a new installation, asked for or given by flags, tried
and written.
"""

from __future__ import annotations

import asyncio
import getpass
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import context, output
from gateway.errors import ConfigurationError, GatewayError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gateway.health import Condition
    from gateway.setup.plan import Plan
    from gateway.setup.presets import Preset

app = typer.Typer()
NOBODY = "-"
SQLITE = "sqlite:////var/lib/invite-gateway/store.db"


@app.command()
def setup(
    preset: Annotated[
        str, typer.Option(metavar="NAME", help="The kind of mail server; 'list' shows them.")
    ] = "",
    address: Annotated[str, typer.Option(help="The gateway's mailbox.")] = "",
    organisation: Annotated[str, typer.Option(help="Whose letters they are.")] = "",
    smtp_host: Annotated[str, typer.Option(help="The server that takes letters.")] = "",
    imap_host: Annotated[str, typer.Option(help="The server with the mailbox.")] = "",
    username: Annotated[str, typer.Option(help="Signs in to both; else the address.")] = "",
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds the password for both.")
    ] = None,
    store: Annotated[str, typer.Option(metavar="URL", help="SQLite by default.")] = "",
    store_password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds that of a PostgreSQL store.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any other setting, in TOML."),
    ] = None,
    client_secret_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Holds the application's secret (OAuth).")
    ] = None,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where the files go.")] = (
        context.USUAL.parent
    ),
    force: Annotated[bool, typer.Option("--force", help="Write over what is there.")] = False,
    check: Annotated[bool, typer.Option(help="Try the servers before anything is written.")] = True,
) -> None:
    """Begin an installation: settings and files of secrets, tried before they are written. Asks at
    a terminal for what no flag says.
    """
    from gateway.setup import presets

    by_name = presets.read()
    if preset == "list":
        _list(by_name)
        return
    is_asking = sys.stdin.isatty()
    flags = {
        "mail.address": address,
        "mail.name": organisation,
        "smtp.host": smtp_host,
        "imap.host": imap_host,
        "smtp.username": username,
        "imap.username": username,
        "store.url": store,
        **_others(set_ or ()),
    }
    secrets = {
        **_secret("smtp.password", password_file),
        **_secret("imap.password", password_file),
        **_secret("store.password", store_password_file),
        **_secret("oauth.client_secret", client_secret_file),
    }
    said = _Said(_preset(by_name, preset, is_asking), flags, secrets, is_asking)
    planned = said.settled(check=check)
    _write(planned, folder, may_replace=lambda names: force or _may_replace(names, is_asking))
    _tell_what_is_left(planned, folder)


def _list(by_name: Mapping[str, Preset]) -> None:
    output.table([{"preset": preset.name, "for": preset.title} for preset in by_name.values()])


def _may_replace(names: str, is_asking: bool) -> bool:
    return is_asking and typer.confirm(f"Write over {names}?", default=False)


def _write(planned: Plan, folder: Path, may_replace: Callable[[str], bool]) -> None:
    from gateway.cli import config
    from gateway.setup import files, plan

    taken = ", ".join(map(str, files.there(folder, planned.secrets)))
    if taken and not may_replace(taken):
        raise GatewayError(f"{taken} is there already; --force writes over it")
    for place in files.write(folder, plan.text(planned, config.toml), planned.secrets):
        output.line(f"written: {place}")


def _preset(by_name: Mapping[str, Preset], name: str, is_asking: bool) -> Preset:
    from gateway.setup.presets import USUAL

    if not name and is_asking:
        _list(by_name)
        name = typer.prompt("Which kind of mail server", default=USUAL)
    name = name or USUAL
    if name not in by_name:
        raise typer.BadParameter(f"there are {', '.join(by_name)}", param_hint="--preset")
    return by_name[name]


def _others(said: list[str] | tuple[str, ...]) -> dict[str, Any]:
    """`--set smtp.port=25`: a value in TOML; a bare word is a text."""
    import tomllib

    values = {}
    for setting in said:
        name, separator, value = setting.partition("=")
        if not separator or "." not in name:
            raise typer.BadParameter(f"{setting!r}: expected SECTION.KEY=VALUE", param_hint="--set")
        try:
            values[name.strip()] = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            values[name.strip()] = value.strip()
    return values


def _secret(name: str, file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        line = file.read_text(encoding="utf-8").split("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file} cannot be read: {error}") from error
    if not line:
        raise ConfigurationError(f"nothing stands in {file}")
    return {name: line}


@dataclass(frozen=True, slots=True)
class _Said:
    """What the flags say: settings and secrets by `section.key`."""

    preset: Preset
    flags: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    is_asking: bool

    def settled(self, *, check: bool) -> Plan:
        """What is to be written, tried, and asked for once more where it does not work."""
        from gateway.setup import plan

        while True:
            planned = plan.made(self.preset, *self._completed())
            if not check or _is_well(planned):
                return planned
            if not (self.is_asking and typer.confirm("Say it once more?", default=True)):
                raise GatewayError("nothing was written; --no-check writes it all the same")

    def _completed(self) -> tuple[dict[str, Any], dict[str, str]]:
        """With what is asked for, or follows from it."""
        given = dict(self.flags)
        address = self._ask(given, "mail.address", "The gateway's mailbox (invites@your.domain)")
        settings = self.preset.of(address.rpartition("@")[2])
        self._ask(given, "mail.name", "Your organisation, as invitees know it", needed=False)
        for section in ("smtp", "imap"):
            usual = settings[section]["host"]
            self._ask(given, f"{section}.host", f"The {section.upper()} server", usual)
        user = self._ask(given, "smtp.username", f"Who signs in ({NOBODY} for nobody)", address)
        given["imap.username"] = given["imap.username"] or (address if user == NOBODY else user)
        for key in [key for key, value in settings.get("oauth", {}).items() if value == ""]:
            self._ask(given, f"oauth.{key}", f"OAuth: {key}")
        self._ask(given, "store.url", "The store", SQLITE)
        if user == NOBODY:
            given["smtp.username"] = ""
        return given, self._held(settings, is_open=user == NOBODY)

    def _ask(
        self, given: dict[str, Any], name: str, question: str, usual: str = "", needed: bool = True
    ) -> str:
        if not given.get(name):
            if self.is_asking:
                default = usual if usual or not needed else None
                given[name] = typer.prompt(question, default=default, show_default=bool(usual))
            elif usual or not needed:
                given[name] = usual
            else:
                raise typer.BadParameter(f"is needed: {question}", param_hint=_flag(name))
        return str(given[name])

    def _held(self, settings: Mapping[str, Any], *, is_open: bool) -> dict[str, str]:
        """`is_open`: the SMTP server takes letters without a sign-in."""
        names = _secrets_wanted(settings)
        secrets = dict(self.secrets)
        if is_open and "smtp.password" in names:
            names.remove("smtp.password")
            secrets.pop("smtp.password", None)
        for name in names:
            if name not in secrets and not self.is_asking:
                raise typer.BadParameter("is needed", param_hint=_flag(f"{name}_file"))
            if name not in secrets:
                secrets[name] = _hidden(name, secrets)
        return secrets


def _secrets_wanted(settings: Mapping[str, Any]) -> list[str]:
    sections = [name for name in ("smtp", "imap") if settings[name].get("sign_in") != "xoauth2"]
    names = [f"{name}.password" for name in sections]
    if "client_secret_file" in settings.get("oauth", {}):
        names.append("oauth.client_secret")
    return names


def _hidden(name: str, secrets: Mapping[str, str]) -> str:
    """Asked for until something is said. By getpass: typer asks before it hides, and drops what is
    typed between.
    """
    section, _, key = name.partition(".")
    if name == "imap.password" and "smtp.password" in secrets:
        said = getpass.getpass("IMAP password (empty: the same): ")
        return said or secrets["smtp.password"]
    while not (said := getpass.getpass(f"{section.upper()} {key.replace('_', ' ')}: ")):
        output.line("it is needed")
    return said


def _flag(name: str) -> str:
    flags = {
        "mail.address": "--address",
        "smtp.password_file": "--password-file",
        "imap.password_file": "--password-file",
        "oauth.client_secret_file": "--client-secret-file",
    }
    return flags.get(name, f"--set {name}=")


def _is_well(planned: Plan) -> bool:
    """Try it as it would be, with the secrets themselves instead of their files."""
    from gateway import settings
    from gateway.health import State

    overrides: dict[str, dict[str, Any]] = {
        section: dict(values) for section, values in planned.settings.items()
    }
    for secret in planned.secrets:
        section, _, key = secret.file.partition("-")
        overrides[section].pop(f"{key.replace('-', '_')}_file")
        overrides[section][key.replace("-", "_")] = secret.value
    reading = settings.read(None, overrides)
    for fault in reading.faults:
        output.line(f"failed:  {fault}")
    if reading.faults or reading.settings is None:
        return False
    lines = asyncio.run(_tried(reading.settings))
    for line in lines:
        output.line(f"{line.state.value + ':':<9}{line.subject}: {line.words}")
    return not any(line.state is State.FAILED for line in lines)


async def _tried(effective: Any) -> list[Condition]:
    from gateway.doctor import examination

    return [line async for line in examination.of_servers(effective)]


def _tell_what_is_left(planned: Plan, folder: Path) -> None:
    option = "" if folder == context.USUAL.parent else f" --config {folder / 'gateway.toml'}"
    steps = [*(f"at the mail server: {todo}" for todo in planned.preset.todo)]
    steps.append(f"all of it: docs/mailboxes.md#{planned.preset.page}")
    if not planned.is_sqlite:
        steps.append(f"invite-gateway{option} db upgrade")
    steps += [
        f"invite-gateway{option} config unit --install && systemctl enable --now invite-gateway",
        f"invite-gateway{option} doctor --roundtrip",
        f"invite-gateway{option} send-test YOUR.OWN@ADDRESS",
    ]
    output.line("what is left to do:")
    for number, step in enumerate(steps, 1):
        output.line(f"  {number}. {step}")
