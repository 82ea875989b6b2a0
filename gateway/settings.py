"""Typed settings: a TOML file, overridden by environment variables `GATEWAY_SECTION__KEY`.

Every setting is documented here and nowhere else; `invite-gateway config example` prints this.
Secrets are never given on a command line: they are read from `*_file` (a path, or `credential:NAME`
for a systemd credential) or from the environment.
"""

import codecs
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from gateway import i18n, model, reach, rights, variables
from gateway.errors import ConfigurationError
from gateway.mail import address, syntax

Security = Literal["tls", "starttls", "none"]
Port = Annotated[int, Field(ge=0, le=65535)]
SignIn = Literal["password", "xoauth2"]
SELECTOR = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
)  # RFC 6376 §3.1
ACCOUNT_NAMES = "an account's name has small letters, digits, - and single _ within"
AccountName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](_?[a-z0-9-])*$")]


def _lower(value: str) -> str:
    return value.strip().lower()


LISTS = frozenset({"also", "groups", "hosts", "owners", "trusted_proxies"})
"""Settings that are lists: JSON in the environment."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Store(Section):
    url: str = Field(
        "sqlite:////var/lib/invite-gateway/store.db",
        description=(
            "Where everything is kept: sqlite:////absolute/path.db or postgresql://user@host/name"
            " (PostgreSQL 13 or newer)."
        ),
    )
    poll_seconds: float = Field(
        2.0,
        gt=0,
        le=60,
        description=(
            "How often the store is asked for changes made by other programs, though nothing hints"
            " at one."
        ),
    )
    free_megabytes: int = Field(
        200,
        ge=0,
        description=(
            "The disks of the store and of the log are nearly full below so many free megabytes"
            " (or a tenth of a small disk), and full below a tenth of that. 0: not looked at."
        ),
    )


class Mail(Section):
    address: Annotated[str, AfterValidator(_lower)] = Field(
        "",
        description=(
            "The gateway's mailbox, e.g. invites@crm.example. Sub-addresses hang on it"
            " (invites+TOKEN@crm.example). Empty: no mail account is configured and the"
            " e-mail-invitation switch is off for everybody."
        ),
    )
    also: tuple[Annotated[str, AfterValidator(_lower)], ...] = Field(
        (), description=("Former addresses of this mailbox. Answers to them are still understood.")
    )
    name: str = Field("", description="The organisation, for 'Kari Nordmann via Firma AS' in From.")
    organizer_address: Literal["token", "plain"] = Field(
        "token",
        description=(
            "'token': the ORGANIZER is a sub-address of its own for each invitee. 'plain': the bare"
            " mailbox, for mail systems without sub-addresses; answers are then matched by UID and"
            " address."
        ),
    )
    attach_ics: bool = Field(
        True,
        description=(
            "Attach invite.ics beside the calendar part. KMail shows two sets of buttons with it."
        ),
    )
    language: str = Field(
        "en", description="Language of letters to invitees whose own language is unknown."
    )
    timezone: str = Field(
        "Europe/Oslo",
        description=(
            "Time zone of follow-ups and people that name none; that of the plain section counts"
            " for all accounts."
        ),
    )
    dkim_selector: str = Field(
        "",
        description=(
            "Sign every letter (DKIM, RFC 6376) with a key that is published under this name;"
            " invite-gateway dkim prints the record. Empty: letters leave unsigned, or our mail"
            " server signs them."
        ),
    )
    dkim_domain: str = Field(
        "",
        description=(
            "Who signs: the domain of address, which is the default, or one above it (DMARC). It"
            " must be the organisation's own, not one under which others register theirs, like"
            " co.uk; that is not checked."
        ),
    )
    dkim_key: SecretStr = Field(
        SecretStr(""), description="The private key. Better in dkim_key_file."
    )
    dkim_key_file: str = Field(
        "", description="File with the private key, RSA or Ed25519 (PEM), or credential:NAME."
    )


class Smtp(Section):
    host: str = Field("localhost", description="The server that takes our letters.")
    port: Port = Field(587, description="Its port.")
    security: Security = Field(
        "starttls",
        description=(
            "'starttls', 'tls' (from the first byte) or 'none'. Certificates are verified, TLS 1.2"
            " or newer. 'none' is accepted for loopback only, unless allow_cleartext says"
            " otherwise."
        ),
    )
    allow_cleartext: bool = Field(
        False, description="Allow security = 'none' to a host that is not loopback."
    )
    ca_file: str = Field(
        "", description="Certificate authorities to trust instead of the system's (PEM)."
    )
    sign_in: SignIn = Field(
        "password",
        description=(
            "'password' (AUTH PLAIN or LOGIN), or 'xoauth2' with a token from the section oauth."
        ),
    )
    username: str = Field("", description="Empty: no sign-in.")
    password: SecretStr = Field(SecretStr(""), description="Better in password_file.")
    password_file: str = Field(
        "", description="File with the password on its first line, or credential:NAME."
    )
    timeout_seconds: float = Field(
        30.0,
        gt=0,
        le=600,
        description=(
            "Longest wait for any single answer of the server (four times as long after the letter"
            " itself)."
        ),
    )
    connections: int = Field(
        20, ge=1, le=100, description="Most connections; 5 at first, more while all goes well."
    )
    messages_per_connection: int = Field(
        100, ge=1, description="A connection is renewed after so many letters."
    )


class Imap(Section):
    host: str = Field(
        "", description="The server with the mailbox. Empty: nothing is read (letters still leave)."
    )
    port: Port = Field(993, description="Its port.")
    security: Literal["tls", "none"] = Field(
        "tls", description="'tls' or 'none' (loopback only, unless allow_cleartext)."
    )
    allow_cleartext: bool = Field(
        False, description="Allow security = 'none' to a host that is not loopback."
    )
    ca_file: str = Field(
        "", description="Certificate authorities to trust instead of the system's (PEM)."
    )
    sign_in: SignIn = Field(
        "password",
        description="'password' (LOGIN), or 'xoauth2' with a token from the section oauth.",
    )
    username: str = Field("", description="Sign-in name.")
    password: SecretStr = Field(SecretStr(""), description="Better in password_file.")
    password_file: str = Field(
        "", description="File with the password on its first line, or credential:NAME."
    )
    folder: str = Field("INBOX", description="The folder that is read.")
    move: bool = Field(
        True,
        description=(
            "Move messages after they are dealt with. Off: they stay, and the cursor alone tells."
        ),
    )
    processed: str = Field("Processed", description="Folder for understood messages.")
    review: str = Field("Review", description="Folder for messages that wait for a person.")
    ignored: str = Field("Ignored", description="Folder for everything else.")
    idle: bool = Field(True, description="Wait with IDLE (RFC 2177) where the server can.")
    poll_seconds: float = Field(
        60.0, gt=0, le=3600, description="Look at least this often, with IDLE too."
    )
    timeout_seconds: float = Field(
        30.0, gt=0, le=600, description="Longest wait for any single answer of the server."
    )


class OAuth(Section):
    provider: Literal["", "google", "microsoft365"] = Field(
        "",
        description=(
            "Fills in token_url and scope: 'google' or 'microsoft365'. Empty: both are given here."
        ),
    )
    tenant: str = Field(
        "",
        description="The directory of microsoft365: its id or domain. Client credentials need it.",
    )
    token_url: str = Field(
        "",
        description=(
            "Where tokens are asked for; https, or http to loopback. Empty: the provider's."
        ),
    )
    scope: str = Field(
        "",
        description=(
            "What is asked for, separated by spaces. Empty: the provider's for SMTP and IMAP."
        ),
    )
    ca_file: str = Field(
        "", description="Certificate authorities to trust instead of the system's (PEM)."
    )
    client_id: str = Field("", description="The application's id at the provider.")
    client_secret: SecretStr = Field(SecretStr(""), description="Better in client_secret_file.")
    client_secret_file: str = Field(
        "", description="File with the application's secret on its first line, or credential:NAME."
    )
    refresh_token: SecretStr = Field(
        SecretStr(""),
        description="Better in refresh_token_file. None at all: client credentials are used.",
    )
    refresh_token_file: str = Field(
        "",
        description=(
            "File with the refresh token on its first line, or credential:NAME. A new one from the"
            " provider is written back to a file."
        ),
    )
    timeout_seconds: float = Field(30.0, gt=0, le=600, description="Longest wait for a token.")


class Outbound(Section):
    coalesce_seconds: float = Field(
        5.0, ge=0, le=3600, description=("Edits of one follow-up within this time make one letter.")
    )
    brake_follow_ups: int = Field(
        20,
        ge=0,
        description=(
            "When more follow-ups than this were cancelled or moved within a minute by another"
            " program or by load, their letters are held until a person releases them; 0: never."
        ),
    )
    processes: int = Field(
        1, ge=1, le=16, description="Processes that send, where one processor is not enough."
    )
    batch: int = Field(
        100, ge=1, le=500, description="Letters claimed from the outbox at a time, by account."
    )
    per_minute: int = Field(
        0, ge=0, description="Most letters of one account in a minute; 0: no limit."
    )
    domain_per_minute: int = Field(
        0, ge=0, description="Most letters of one account to one domain in a minute; 0: no limit."
    )
    per_day: int = Field(
        100_000,
        ge=0,
        description=(
            "Most letters of one account in 24 hours, whatever goes wrong; the others wait and an"
            " alarm is logged. 0: no limit."
        ),
    )
    first_retry_seconds: float = Field(
        60.0, gt=0, description="Wait after the first temporary failure; doubles each time."
    )
    longest_retry_seconds: float = Field(
        4 * 3600.0, gt=0, description="Longest wait between two tries."
    )
    give_up_seconds: float = Field(
        3 * 86400.0,
        gt=0,
        description="A letter that could not be delivered for so long is dropped.",
    )
    reminder_hours: float = Field(
        0.0,
        ge=0,
        le=8760,
        description=(
            "Whoever has not answered is reminded so many hours before the time by which an answer"
            " is wanted (answer_by; where there is none, or it has passed, before it begins; in a"
            " series, before its next date), once, and never within so many hours after his last"
            " letter. 0: nobody is."
        ),
    )
    request_receipt: bool = Field(
        False, description="Ask for read receipts (Disposition-Notification-To)."
    )


class Inbound(Section):
    max_bytes: int = Field(
        5 * 1024 * 1024, ge=10_000, description="Larger messages go to review unread."
    )
    review_megabytes: int = Field(
        200,
        ge=10,
        description=(
            "Most that is kept of all mail that waits for review together. Of what is too much, the"
            " largest first, and of what has waited for half a year only the header stays in the"
            " store; the mail itself lies in the mailbox."
        ),
    )
    probe: bool = Field(
        True,
        description=(
            "Write to a sub-address of our own mailbox, at the start and then every probe_hours,"
            " and see whether the letter comes back: where it does not, no answer would. It also"
            " shows which authserv-id our server writes. The letter is removed when it has come."
        ),
    )
    probe_hours: float = Field(
        24.0, ge=1, le=24 * 31, description="Hours from one probe that came back to the next."
    )
    probe_seconds: float = Field(
        600.0,
        ge=1,
        le=86_400,
        description="A probe that has not come back after so long is taken for lost.",
    )


class Account(Section):
    """A mail account of its own for some users; what it does not say has its default, not the plain
    sections' value.
    """

    groups: tuple[str, ...] = Field(
        (), description="User groups whose follow-ups are sent from this account."
    )
    owners: tuple[str, ...] = Field(
        (),
        description="Associates, by key, whose follow-ups are sent from it, whatever their group.",
    )
    mail: Mail = Mail()
    smtp: Smtp = Smtp()
    imap: Imap = Imap()
    oauth: OAuth = OAuth()


class Policy(Section):
    require_authentication: bool = Field(
        True,
        description=(
            "Answers that carry no token count only when our own mail server authenticated their"
            " From (itip.md §5)."
        ),
    )
    authserv_id: str = Field(
        "",
        description=(
            "The authserv-id that our mail server writes into Authentication-Results (RFC 8601)."
            " Leave it out where the server writes none: answers without a token are then held."
            " Only the topmost field of this name is believed, and none where the probe"
            " (inbound.probe) came back without one, except above every Received field. The server"
            " must remove such headers from incoming mail before it writes its own (RFC 8601"
            " section 5). invite-gateway doctor --roundtrip shows what it writes."
        ),
    )
    party_crasher: Literal["ask", "add", "refuse"] = Field(
        "ask",
        description=(
            "What to do when somebody who was not invited answers: ask the owner, add"
            " (authenticated only), or refuse."
        ),
    )

    def decided(self) -> model.Policy:
        """The policy as decisions take it: they know nothing of settings."""
        return model.Policy(
            self.require_authentication,
            self.authserv_id,
            model.PartyCrasher(self.party_crasher),
        )


class Web(Section):
    listen: str = Field("127.0.0.1:8025", description="host:port of the page and the API.")
    public_url: str = Field(
        "",
        description="The address of the page as people open it, https://crm.example.org. Needed"
        " where listen can be reached from other machines; with https the cookie is sent that way"
        " only.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        (),
        description="Addresses or networks of proxies whose X-Forwarded-For and X-Forwarded-Proto"
        " are believed.",
    )
    requests_per_minute: int = Field(
        600, ge=0, description="How many requests each token of the API may make; 0: no limit."
    )


class Webhooks(Section):
    hosts: tuple[str, ...] = Field(
        (), description="Hosts to which webhooks may go though their address is not public."
    )
    ca_file: str = Field("", description="Certificate authorities (PEM) instead of the system's.")


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Least important lines shown."
    )
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="'auto': text on a terminal, JSON elsewhere."
    )
    mask_addresses: bool = Field(
        True, description="Show o***@ext.example instead of whole addresses."
    )


class Settings(BaseSettings):
    """All settings of one process, read once at the start."""

    model_config = SettingsConfigDict(
        env_prefix="GATEWAY_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    store: Store = Store()
    mail: Mail = Mail()
    smtp: Smtp = Smtp()
    imap: Imap = Imap()
    oauth: OAuth = OAuth()
    accounts: dict[AccountName, Account] = {}
    outbound: Outbound = Outbound()
    inbound: Inbound = Inbound()
    policy: Policy = Policy()
    web: Web = Web()
    webhooks: Webhooks = Webhooks()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = (
            TomlConfigSettingsSource(settings_cls)
            if settings_cls.model_config.get("toml_file")
            else None
        )
        return tuple(source for source in (init_settings, env_settings, toml) if source is not None)


def load(path: Path | None = None, overrides: dict[str, Any] | None = None) -> Settings:
    """The effective settings: defaults, then the file, then the environment, then `overrides`
    (tests and demo).

    Raises `ConfigurationError` in one line that names the key and the file or the environment
    variable.
    """
    if path is not None:
        _readable(path)
    _known_variables()
    source = type(
        "Settings", (Settings,), {"model_config": Settings.model_config | {"toml_file": path}}
    )
    try:
        settings: Settings = source(**(overrides or {}))
    except ValidationError as error:
        raise ConfigurationError(_explain(error, path)) from error
    except SettingsError as error:
        raise ConfigurationError(_explain_variable() or str(error)) from error
    _check(settings, path)
    return settings


def secret(
    section: Mail | Smtp | Imap | OAuth, key: str, name: str = "password", *, whole: bool = False
) -> str:
    """A secret of a section: `NAME_file` before `NAME`. `key`: the section's, for messages;
    `whole`: the file, not its first line.

    Raises `ConfigurationError` where it cannot be read.
    """
    file = secret_file(section, key, name)
    if file is None:
        given: SecretStr = getattr(section, name)
        return given.get_secret_value()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{key}.{name}_file: cannot read {file}: {error.strerror}; "
            "it must be there, and readable for whoever runs this"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{key}.{name}_file: cannot read {file}: {error}") from error
    wanted = text if whole else text.split("\n")[0].rstrip("\r")
    if not wanted.strip():
        words = f"{key}.{name}_file: nothing stands in {file}"
        if getattr(section, f"{name}_file").startswith("credential:"):
            # Also what the shipped unit puts in the place of a file that is not there.
            words += f"; with the shipped unit: is there a file {file.name} in /etc/invite-gateway?"
        raise ConfigurationError(words)
    return wanted


def secret_file(section: Mail | Smtp | Imap | OAuth, key: str, name: str) -> Path | None:
    """The file that a secret is in; None where it is in none."""
    given: str = getattr(section, f"{name}_file")
    if not given.startswith("credential:"):
        return Path(given) if given else None
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise ConfigurationError(
            f"{key}.{name}_file: {given} needs CREDENTIALS_DIRECTORY, which systemd sets where the"
            " unit has LoadCredential=; elsewhere set it to the folder that holds the file"
        )
    return Path(folder, given.removeprefix("credential:"))


def _readable(path: Path) -> None:
    try:
        tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        if bar := rights.barred(path):
            raise ConfigurationError(
                f"{path}: cannot be read: {bar}; the shipped unit runs as a user without a name, so"
                " folder and file must be readable for all (passwords stay in files of root, by"
                " LoadCredential=)"
            ) from error
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error
    except tomllib.TOMLDecodeError as error:
        words = f"not valid TOML: {error}"
        if path.read_bytes().startswith(codecs.BOM_UTF8):
            words = "begins with a byte order mark, which TOML has not: save it as UTF-8 without"
        raise ConfigurationError(f"{path}: {words}") from error


def _known_variables() -> None:
    sections = {
        name: type(field.default).model_fields if isinstance(field.default, BaseModel) else ()
        for name, field in Settings.model_fields.items()
    }
    if problem := variables.misspelt(os.environ, sections):
        raise ConfigurationError(problem)


def _explain(error: ValidationError, path: Path | None) -> str:
    first = error.errors(include_url=False)[0]
    places = [str(part) for part in first["loc"]]
    if first["type"] == "string_pattern_mismatch" and places[-1] == "[key]":
        key = ".".join(places[:-1])
        return f"{key}: {ACCOUNT_NAMES} {_place(key, path)}"
    key = ".".join(places)
    message = {
        "extra_forbidden": "no such setting",
        "model_type": f"is a section, [{key}]",
        "tuple_type": f"should be a list: {json.dumps([first['input']], default=str)}",
    }.get(first["type"], first["msg"])
    return f"{key}: {message} {_place(key, path)}"


def _explain_variable() -> str:
    """A list in the environment that is no JSON, of which pydantic-settings names the section."""
    for name, value in os.environ.items():
        keys = name.removeprefix("GATEWAY_").lower().split("__")
        if name.startswith("GATEWAY_") and len(keys) > 1 and keys[-1] in LISTS:
            try:
                json.loads(value)
            except ValueError:
                wanted = f"should be a list: {json.dumps([value])}"
                return f"{'.'.join(keys)}: {wanted} (in environment variable {name})"
    return ""


def _place(key: str, path: Path | None) -> str:
    """Where the value of a setting came from: the environment stands above the file."""
    variable = f"GATEWAY_{key.replace('.', '__').upper()}"
    return (
        f"(in environment variable {variable})"
        if variable in os.environ
        else f"(in {path or 'defaults'})"
    )


def _check(settings: Settings, path: Path | None) -> None:
    """What one section alone cannot tell."""
    place = f"(in {path or 'environment'})"
    scheme = settings.store.url.partition("://")[0].partition("+")[0]
    if scheme not in ("sqlite", "postgresql"):
        raise ConfigurationError(
            "store.url: expected sqlite:///… or postgresql://…"
            f"{f', got {scheme}://…' if scheme.isalnum() else ''} {_place('store.url', path)}"
        )
    plain = Account(
        mail=settings.mail, smtp=settings.smtp, imap=settings.imap, oauth=settings.oauth
    )
    for key, account in [
        ("", plain),
        *((f"accounts.{name}.", one) for name, one in settings.accounts.items()),
    ]:
        _check_account(key, account, place)
    _check_apart(settings, place)
    web = settings.web
    _refuse(reach.listening_problems(web.listen), _place("web.listen", path))
    _refuse(reach.problems(web.listen, web.public_url, web.trusted_proxies), place)


def _check_account(key: str, account: Account, place: str) -> None:
    _refuse(_mail_problems(f"{key}mail", account.mail), place)
    _refuse(_signing_problems(f"{key}mail", account.mail), place)
    _refuse(_server_problems(key, "smtp", account.smtp, account.oauth), place)
    _refuse(_server_problems(key, "imap", account.imap, account.oauth), place)
    _refuse(_oauth_problems(f"{key}oauth", account.oauth), place)


def _refuse(problems: Iterable[str], place: str) -> None:
    for problem in problems:
        raise ConfigurationError(f"{problem} {place}")


def _mail_problems(key: str, mail: Mail) -> Iterator[str]:
    for name, value in [("address", mail.address), *(("also", other) for other in mail.also)]:
        if value and (reason := syntax.problem(value)):
            yield f"{key}.{name}: {value!r}: {reason}"
    try:
        ZoneInfo(mail.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        from gateway.ical import zonenames  # icalendar, for a message only

        near = zonenames.near(mail.timezone)
        hint = f"; did you mean {near}?" if near else ""
        yield f"{key}.timezone: unknown time zone {mail.timezone!r}{hint}"
    if not i18n.find(mail.language):
        names = ", ".join(i18n.available())
        yield f"{key}.language: no letters in {mail.language!r}; there are {names}"


def _server_problems(account: str, name: str, server: Smtp | Imap, oauth: OAuth) -> Iterator[str]:
    """Clear text goes to this machine, or where somebody says so."""
    key, is_clear = f"{account}{name}", server.security == "none" and not server.allow_cleartext
    if is_clear and server.host and not reach.is_loopback(server.host):
        yield (
            f"{key}.security: 'none' would send mail in clear text to {server.host}; "
            f"use tls, or set {key}.allow_cleartext"
        )
    if server.sign_in == "xoauth2" and not (oauth.client_id and server.username):
        yield f"{key}.sign_in: 'xoauth2' needs {key}.username and {account}oauth.client_id"


def _oauth_problems(key: str, oauth: OAuth) -> Iterator[str]:
    """Without a refresh token it is client credentials, which not every provider gives."""
    if not oauth.client_id:
        return
    if not (oauth.token_url or oauth.provider):
        yield f"{key}.token_url: needed where {key}.provider is not set"
    if oauth.token_url:
        if not _is_safe(oauth.token_url):
            yield f"{key}.token_url: expected https://…, got {oauth.token_url!r}"
    elif not (oauth.refresh_token.get_secret_value() or oauth.refresh_token_file):
        if oauth.provider == "google":
            yield f"{key}.refresh_token_file: Google gives mailboxes no client credentials"
        if oauth.provider == "microsoft365" and not oauth.tenant:
            yield f"{key}.tenant: client credentials need the directory"


def _is_safe(url: str) -> bool:
    """Whether a secret may go there."""
    if url.startswith("https://"):
        return True
    return urlsplit(url).scheme == "http" and reach.is_loopback(urlsplit(url).hostname or "")


def _signing_problems(key: str, mail: Mail) -> Iterator[str]:
    """Whether selector, domain and key belong together; the key itself is read by those who
    sign.
    """
    has_key = bool(mail.dkim_key_file or mail.dkim_key.get_secret_value())
    if has_key and not mail.dkim_selector:
        yield f"{key}.dkim_selector: needed where a key is set"
    if mail.dkim_selector and not has_key:
        yield f"{key}.dkim_key_file: needed where {key}.dkim_selector is set"
    if mail.dkim_selector and not mail.address:
        yield f"{key}.address: needed where {key}.dkim_selector is set"
    if mail.dkim_domain and not mail.dkim_selector:
        yield f"{key}.dkim_selector: needed where {key}.dkim_domain is set"
    if mail.dkim_selector and not SELECTOR.fullmatch(mail.dkim_selector):
        yield f"{key}.dkim_selector: {mail.dkim_selector!r} cannot be a name in DNS"
    own, domain = address.domain(mail.address), signing_domain(mail)
    # RFC 7489 §3.1.1: a signature of another domain does not speak for From, so it would help
    # nobody and be noticed by nobody.
    if domain != own and not ("." in domain and own.endswith(f".{domain}")):
        yield (
            f"{key}.dkim_domain: {mail.dkim_domain!r} is neither the domain of {key}.address nor"
            " above it"
        )


def signing_domain(mail: Mail) -> str:
    """The domain that signs an account's letters, in ASCII."""
    return (
        address.domain(f"x@{mail.dkim_domain}")
        if mail.dkim_domain
        else address.domain(mail.address)
    )


def _check_apart(settings: Settings, place: str) -> None:
    """Accounts must differ in whom they serve, in their address and in the mailbox that they
    read.
    """
    named = {"default": Account(mail=settings.mail, imap=settings.imap), **settings.accounts}
    if "default" in settings.accounts:
        raise ConfigurationError(
            "accounts.default: the plain sections mail, smtp and imap are the account 'default'"
            f" {place}"
        )
    seen: dict[tuple[str, ...], str] = {}
    for name, account in named.items():
        box = account.imap
        claims: list[tuple[str, ...]] = [
            *(("groups", one) for one in account.groups),
            *(("owners", one) for one in account.owners),
        ]
        claims += [("mail.address", account.mail.address)] if account.mail.address else []
        claims += (
            [("imap.folder", box.host.lower(), str(box.port), box.username, box.folder)]
            if box.host
            else []
        )
        for claim in claims:
            if claim in seen:
                raise ConfigurationError(
                    f"accounts.{name}.{claim[0]}: {claim[-1]} belongs to the account"
                    f" {seen[claim]!r} already {place}"
                )
            seen[claim] = name
