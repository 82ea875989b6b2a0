"""`invite-gateway config`: every setting with its documentation, and the ones in effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from gateway.cli import context, output, unit

if TYPE_CHECKING:
    from pydantic import BaseModel


app = typer.Typer(no_args_is_help=True, help="All settings, documented; the effective ones.")

app.command()(unit.unit)

WIDTH = 100
HEAD = """\
## Settings of the invite gateway. Each stands here with its default; remove the "# " in front to
## change it. The environment overrides this file: GATEWAY_SECTION__KEY, for example
## GATEWAY_SMTP__HOST=mail.crm.example. Passwords: better not here, but in password_file (a path, or
## credential:NAME for systemd's LoadCredential=).
"""

ACCOUNTS = """\
## Further mail accounts, under any name: the sections mail, smtp, imap and oauth as above, each
## with the defaults above and not what is set there. A follow-up is sent from the account that
## names its owner, else from the one that names the owner's group, else from the plain sections. An
## invitation keeps its account for life, so an account may go only when its invitations are over.
## [accounts.sales]
## groups = ["Sales"]              # user groups whose follow-ups are sent from this account
## owners = ["kari"]               # associates, by key, whose follow-ups are, whatever their group
## [accounts.sales.mail]           # GATEWAY_ACCOUNTS__SALES__MAIL__ADDRESS
## address = "sales@crm.example"
## [accounts.sales.smtp]
## host = "smtp.office365.com"
## sign_in = "xoauth2"
## username = "sales@crm.example"
## [accounts.sales.oauth]
## provider = "microsoft365"
## tenant = "crm.example"
## client_id = "00000000-0000-0000-0000-000000000000"
## client_secret_file = "credential:sales-oauth"
"""


@app.command()
def example() -> None:
    """Print a configuration file with every setting, its default and what it means."""
    print(example_text(), end="")


@app.command()
def show(ctx: typer.Context) -> None:
    """Print the settings in effect, secrets masked."""
    from gateway import settings

    shown = settings.shown(context.settings(ctx))
    if context.invocation(ctx).json:
        output.objects([shown], as_json=True)
        return
    print("\n".join(_sections(shown)))


@app.command()
def check(ctx: typer.Context) -> None:
    """Say all that is wrong with the settings and the files they name. Asks no server (doctor
    does). Exit 78 when something is wrong.
    """
    from gateway import settings
    from gateway.doctor import servers

    invocation = context.invocation(ctx)
    file = context.config_file(invocation.config)
    context.lend_credentials(file)
    reading = settings.read(file)
    faults, remarks = list(reading.faults), list[str]()
    if reading.settings is not None:
        faults += servers.all_unreadable(reading.settings)
        remarks = [
            *settings.missing(reading.settings),
            *settings.remarks(reading.settings, file),
        ]
    lines = [("failed", words) for words in dict.fromkeys(faults)]
    lines += [("warning", words) for words in remarks]
    if not faults:
        lines.insert(0, ("ok", f"nothing is wrong with {file or 'the environment'}"))
    if invocation.json:
        rows = [{"state": state, "text": words} for state, words in lines]
        output.objects(rows, as_json=True)
    else:
        for state, words in lines:
            output.line(f"{f'{state}:':<9}{words}")
    if faults:
        raise typer.Exit(78)


def example_text() -> str:
    """The documented configuration file, generated from the settings' own descriptions."""
    from gateway.settings import Settings

    lines = [HEAD]
    for section, field in Settings.model_fields.items():
        if hasattr(field.default, "model_fields_set"):
            lines += [f"[{section}]", *_documented(field.default), ""]
    return "\n".join([*lines, ACCOUNTS])


def _documented(section: BaseModel) -> list[str]:
    import textwrap

    from pydantic import SecretStr

    lines = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        plain = value.get_secret_value() if isinstance(value, SecretStr) else value
        lines += textwrap.wrap(
            field.description or "",
            WIDTH,
            initial_indent="## ",
            subsequent_indent="## ",
            break_on_hyphens=False,
        )
        lines += [f"# {key} = {toml(plain)}"]
    return lines


def _sections(values: dict[str, Any], prefix: str = "") -> list[str]:
    lines = []
    for name, section in values.items():
        lines += [f"[{prefix}{name}]"]
        inner = {key: value for key, value in section.items() if isinstance(value, dict)}
        lines += [
            f"{key} = {toml(value)}"
            for key, value in section.items()
            if key not in inner and value is not None
        ]
        lines += ["", *_sections(inner, f"{prefix}{name}.")]
    return lines


def toml(value: Any) -> str:
    """A string, number, truth value or list of these in TOML's notation (TOML 1.0)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(entry) for entry in value) + "]"
    # JSON's escapes are TOML's.
    return output.json_text(str(value))
