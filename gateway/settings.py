"""Typed settings: a TOML file, overridden by environment variables `GATEWAY_SECTION__KEY`.

Every setting is documented here and nowhere else; `invite-gateway config example` prints this. Secrets are never given on a
command line: they are read from `*_file` (a path, or `credential:NAME` for a systemd credential) or from the environment.
"""

import os
import tomllib
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from gateway.errors import ConfigurationError

Security = Literal["tls", "starttls", "none"]
Port = Annotated[int, Field(ge=0, le=65535)]


def _lower(value: str) -> str:
    return value.strip().lower()


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Store(Section):
    url: str = Field("sqlite:////var/lib/invite-gateway/store.db", description=(
        "Where everything is kept: sqlite:////absolute/path.db or postgresql://user@host/name (PostgreSQL 13 or newer)."))
    poll_seconds: float = Field(2.0, gt=0, le=60, description=(
        "How often the store is asked for changes made by other programs. PostgreSQL also notifies."))


class Mail(Section):
    address: Annotated[str, AfterValidator(_lower)] = Field("", description=(
        "The gateway's mailbox, e.g. invites@crm.example. Sub-addresses hang on it (invites+TOKEN@crm.example). "
        "Empty: no mail account is configured and the e-mail-invitation switch is off for everybody."))
    also: tuple[Annotated[str, AfterValidator(_lower)], ...] = Field((), description=(
        "Former addresses of this mailbox. Answers to them are still understood."))
    name: str = Field("", description="The organisation, for 'Kari Nordmann via Firma AS' in From.")
    organizer_address: Literal["token", "plain"] = Field("token", description=(
        "'token': the ORGANIZER is a sub-address of its own for each invitee. 'plain': the bare mailbox, for mail systems "
        "without sub-addresses; answers are then matched by UID and address."))
    attach_ics: bool = Field(True, description="Attach invite.ics beside the calendar part. KMail shows two sets of buttons with it.")
    language: str = Field("en", description="Language of letters to invitees whose own language is unknown.")
    timezone: str = Field("Europe/Oslo", description="Time zone of follow-ups and people that name none.")


class Smtp(Section):
    host: str = Field("localhost", description="The server that takes our letters.")
    port: Port = Field(587, description="Its port.")
    security: Security = Field("starttls", description=(
        "'starttls', 'tls' (from the first byte) or 'none'. Certificates are verified, TLS 1.2 or newer. "
        "'none' is accepted for loopback only, unless allow_cleartext says otherwise."))
    allow_cleartext: bool = Field(False, description="Allow security = 'none' to a host that is not loopback.")
    ca_file: str = Field("", description="Certificate authorities to trust instead of the system's (PEM).")
    username: str = Field("", description="Empty: no sign-in.")
    password: SecretStr = Field(SecretStr(""), description="Better in password_file.")
    password_file: str = Field("", description="File with the password on its first line, or credential:NAME.")
    timeout_seconds: float = Field(30.0, gt=0, le=600, description=(
        "Longest wait for any single answer of the server (four times as long after the letter itself)."))
    connections: int = Field(5, ge=1, le=100, description="Most connections at a time.")
    messages_per_connection: int = Field(100, ge=1, description="A connection is renewed after so many letters.")


class Imap(Section):
    host: str = Field("", description="The server with the mailbox. Empty: nothing is read (letters still leave).")
    port: Port = Field(993, description="Its port.")
    security: Literal["tls", "none"] = Field("tls", description="'tls' or 'none' (loopback only, unless allow_cleartext).")
    allow_cleartext: bool = Field(False, description="Allow security = 'none' to a host that is not loopback.")
    ca_file: str = Field("", description="Certificate authorities to trust instead of the system's (PEM).")
    username: str = Field("", description="Sign-in name.")
    password: SecretStr = Field(SecretStr(""), description="Better in password_file.")
    password_file: str = Field("", description="File with the password on its first line, or credential:NAME.")
    folder: str = Field("INBOX", description="The folder that is read.")
    move: bool = Field(True, description="Move messages after they are dealt with. Off: they stay, and the cursor alone tells.")
    processed: str = Field("Processed", description="Folder for understood messages.")
    review: str = Field("Review", description="Folder for messages that wait for a person.")
    ignored: str = Field("Ignored", description="Folder for everything else.")
    idle: bool = Field(True, description="Wait with IDLE (RFC 2177) where the server can.")
    poll_seconds: float = Field(60.0, gt=0, le=3600, description="Look at least this often, with IDLE too.")
    timeout_seconds: float = Field(30.0, gt=0, le=600, description="Longest wait for any single answer of the server.")


class Outbound(Section):
    coalesce_seconds: float = Field(5.0, ge=0, le=3600, description=(
        "Edits of one follow-up within this time make one letter."))
    batch: int = Field(50, ge=1, le=500, description="Letters claimed from the outbox at a time.")
    first_retry_seconds: float = Field(60.0, gt=0, description="Wait after the first temporary failure; doubles each time.")
    longest_retry_seconds: float = Field(4 * 3600.0, gt=0, description="Longest wait between two tries.")
    give_up_seconds: float = Field(3 * 86400.0, gt=0, description="A letter that could not be delivered for so long is dropped.")
    request_receipt: bool = Field(False, description="Ask for read receipts (Disposition-Notification-To).")


class Inbound(Section):
    max_bytes: int = Field(5 * 1024 * 1024, ge=10_000, description="Larger messages go to review unread.")
    commit_messages: int = Field(100, ge=1, le=1000, description="At most so many answers in one transaction.")


class Policy(Section):
    require_authentication: bool = Field(True, description=(
        "Answers that carry no token count only when our own mail server authenticated their From (itip.md §5)."))
    authserv_id: str = Field("", description=(
        "The authserv-id that our mail server writes into Authentication-Results (RFC 8601). Others are not believed."))
    party_crasher: Literal["ask", "add", "refuse"] = Field("ask", description=(
        "What to do when somebody who was not invited answers: ask the owner, add (authenticated only), or refuse."))


class Web(Section):
    listen: str = Field("127.0.0.1:8025", description="host:port of the page and the API.")


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least important lines shown.")
    format: Literal["auto", "json", "text"] = Field("auto", description="'auto': text on a terminal, JSON elsewhere.")
    mask_addresses: bool = Field(True, description="Show o***@ext.example instead of whole addresses.")


class Settings(BaseSettings):
    """All settings of one process, read once at the start."""

    model_config = SettingsConfigDict(env_prefix="GATEWAY_", env_nested_delimiter="__", extra="forbid", frozen=True)

    store: Store = Store()
    mail: Mail = Mail()
    smtp: Smtp = Smtp()
    imap: Imap = Imap()
    outbound: Outbound = Outbound()
    inbound: Inbound = Inbound()
    policy: Policy = Policy()
    web: Web = Web()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource, dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = TomlConfigSettingsSource(settings_cls) if settings_cls.model_config.get("toml_file") else None
        return tuple(source for source in (init_settings, env_settings, toml) if source is not None)


def load(path: Path | None = None, overrides: dict[str, Any] | None = None) -> Settings:
    """The effective settings: defaults, then the file, then the environment, then `overrides` (tests and demo).

    Raises `ConfigurationError` in one line that names the key and the file or the environment variable.
    """
    if path is not None:
        _readable(path)
    _known_variables()
    source = type("Settings", (Settings,), {"model_config": Settings.model_config | {"toml_file": path}})
    try:
        settings: Settings = source(**(overrides or {}))
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path)) from error
    _check(settings, path)
    return settings


def secret(section: Smtp | Imap, key: str) -> str:
    """The password of a section: `password_file` before `password`. Raises `ConfigurationError` where it cannot be read."""
    name = section.password_file
    if not name:
        return section.password.get_secret_value()
    if name.startswith("credential:"):
        folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
        if not folder:
            raise ConfigurationError(f"{key}.password_file: {name} needs systemd's LoadCredential=, which set no CREDENTIALS_DIRECTORY")
        file = Path(folder, name.removeprefix("credential:"))
    else:
        file = Path(name)
    try:
        return file.read_text(encoding="utf-8").split("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{key}.password_file: cannot read {file}: {error}") from error


def is_loopback(host: str) -> bool:
    """Whether a host can only be this machine: `localhost` or an address of 127.0.0.0/8 or ::1. Other names are not asked of DNS."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _readable(path: Path) -> None:
    try:
        tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path}: not valid TOML: {error}") from error


def _known_variables() -> None:
    """A misspelt section in the environment would otherwise be no setting at all."""
    for name in os.environ:
        section, nested, _ = name.removeprefix("GATEWAY_").partition("__")
        if name.startswith("GATEWAY_") and nested and section.lower() not in Settings.model_fields:
            raise ConfigurationError(f"{section.lower()}: no such section (in environment variable {name})")


def _explain(error: ValidationError, path: Path | None) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    variable = "GATEWAY_" + "__".join(str(part) for part in first["loc"]).upper()
    place = f"environment variable {variable}" if variable in os.environ else str(path or "defaults")
    message = "no such setting" if first["type"] == "extra_forbidden" else first["msg"]
    return f"{key}: {message} (in {place})"


def _check(settings: Settings, path: Path | None) -> None:
    """What one section alone cannot tell."""
    for key, section in (("smtp", settings.smtp), ("imap", settings.imap)):
        if section.security == "none" and section.host and not section.allow_cleartext and not is_loopback(section.host):
            raise ConfigurationError(f"{key}.security: 'none' would send mail in clear text to {section.host}; "
                                     f"use tls, or set {key}.allow_cleartext (in {path or 'environment'})")
    host, separator, port = settings.web.listen.rpartition(":")
    if not (separator and host and port.isdigit()):
        raise ConfigurationError(f"web.listen: expected host:port, got {settings.web.listen!r} (in {path or 'environment'})")
