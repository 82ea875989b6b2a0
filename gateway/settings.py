"""The settings as they are read: a TOML file, overridden by environment variables
`GATEWAY_SECTION__KEY`. What each setting is stands in `sections`.

Secrets are never given on a command line: they are read from `*_file` (a path, or `credential:NAME`
for a systemd credential) or from the environment.
"""

import codecs
import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from gateway import reach, rights, settings_check, variables
from gateway.errors import ConfigurationError
from gateway.sections import (
    ACCOUNT_NAMES,
    Account,
    AccountName,
    Answer,
    Imap,
    Inbound,
    Lmtp,
    Log,
    Mail,
    OAuth,
    OpenID,
    Outbound,
    Policy,
    Retention,
    Smtp,
    Store,
    Web,
    Webhooks,
)

LISTS = frozenset({"also", "groups", "hosts", "metrics_from", "owners", "trusted_proxies"})
"""Settings that are lists: JSON in the environment."""
SECRETS = ("password", "client_secret", "refresh_token", "dkim_key")
"""Settings that are secrets; each may stand in a file, which `NAME_file` names."""


class Settings(BaseSettings):
    """All settings of one process, read once at the start."""

    model_config = SettingsConfigDict(
        env_prefix="GATEWAY_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    store: Store = Store()
    mail: Mail = Mail()
    smtp: Smtp = Smtp()
    imap: Imap = Imap()
    lmtp: Lmtp = Lmtp()
    oauth: OAuth = OAuth()
    accounts: dict[AccountName, Account] = {}
    outbound: Outbound = Outbound()
    inbound: Inbound = Inbound()
    policy: Policy = Policy()
    web: Web = Web()
    answer: Answer = Answer()
    openid: OpenID = OpenID()
    webhooks: Webhooks = Webhooks()
    retention: Retention = Retention()
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
        """What it is made of is what it is given: `read` puts file and environment together."""
        return (init_settings,)


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading the settings."""

    settings: Settings | None
    """None where they cannot be told even without what is wrong."""
    faults: Sequence[str]
    """Everything that is wrong, a line each that names the key and the file or the variable."""


def load(path: Path | None = None, overrides: dict[str, Any] | None = None) -> Settings:
    """The effective settings: defaults, then the file, then the environment, then `overrides`
    (tests and demo).

    Raises `ConfigurationError` in one line that names the key and the file or the environment
    variable.
    """
    reading = read(path, overrides)
    if reading.faults or reading.settings is None:
        raise ConfigurationError(reading.faults[0])
    return reading.settings


def read(path: Path | None = None, overrides: dict[str, Any] | None = None) -> Reading:
    """As `load`, and all that is wrong. A value that is wrong counts as if it were not there, so
    that it hides nothing else.
    """
    faults: list[str] = []
    written: dict[str, Any] = {}
    if path is not None:
        try:
            written = _written(path)
        except ConfigurationError as error:
            faults.append(str(error))
    faults += variables.misspelt(os.environ, _keys())
    variable, wrong = _environment()
    faults += wrong
    values = _merged(_merged(written, variable), overrides or {})
    settings, wrong = _made(values, path)
    faults += wrong
    if settings is not None:
        faults += [f"{problem} {_origin(problem, path)}" for problem in _problems(settings)]
    return Reading(settings, tuple(dict.fromkeys(faults)))


def secret(
    section: Store | Mail | Smtp | Imap | OAuth | OpenID,
    key: str,
    name: str = "password",
    *,
    whole: bool = False,
) -> str:
    """A secret of a section: `NAME_file` before `NAME`. `key`: the section's, for messages;
    `whole`: the file, not its first line.

    Raises `ConfigurationError` where it cannot be read.
    """
    file = secret_file(section, key, name)
    if file is None:
        value: SecretStr = getattr(section, name)
        return value.get_secret_value()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"{key}.{name}_file: cannot read {file}: {error.strerror}; "
            "it must be there, and readable for whoever runs this"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{key}.{name}_file: cannot read {file}: {error}") from error
    content = text if whole else text.split("\n")[0].rstrip("\r")
    if not content.strip():
        words = f"{key}.{name}_file: nothing stands in {file}"
        if getattr(section, f"{name}_file").startswith("credential:"):
            # Also what the shipped unit puts in the place of a file that is not there.
            words += f"; with the shipped unit: is there a file {file.name} in /etc/invite-gateway?"
        raise ConfigurationError(words)
    return content


def secret_file(
    section: Store | Mail | Smtp | Imap | OAuth | OpenID, key: str, name: str
) -> Path | None:
    """The file that a secret is in; None where it is in none."""
    reference: str = getattr(section, f"{name}_file")
    if not reference.startswith("credential:"):
        return Path(reference) if reference else None
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise ConfigurationError(
            f"{key}.{name}_file: {reference} needs CREDENTIALS_DIRECTORY, which systemd sets where"
            " the unit has LoadCredential=; elsewhere set it to the folder that holds the file"
        )
    return Path(folder, reference.removeprefix("credential:"))


def secret_files(settings: Settings) -> Iterator[tuple[str, Path]]:
    """Every file with a secret that these settings name by its path, with its key."""
    sections: dict[str, BaseModel] = {"store": settings.store, "openid": settings.openid}
    for key, account in [("", settings), *settings.accounts.items()]:
        prefix = f"accounts.{key}." if key else ""
        for name in ("mail", "smtp", "imap", "oauth"):
            sections[f"{prefix}{name}"] = getattr(account, name)
    for key, section in sections.items():
        for name in SECRETS:
            file = getattr(section, f"{name}_file", "")
            if file and not file.startswith("credential:"):
                yield f"{key}.{name}_file", Path(file)


def shown(settings: Settings) -> dict[str, Any]:
    """The settings in effect as plain values, with `***` for every secret that is set."""
    values: dict[str, Any] = json.loads(settings.model_dump_json())
    # postgresql://user:password@host/name: all but the password helps. It may hold a "/" or an "@".
    url = re.sub(r"(?<=://)([^/@:]*):.*@", r"\1:***@", values["store"]["url"])
    values["store"]["url"] = re.sub(r"(?<=[?&])(password|sslpassword)=[^&]*", r"\1=***", url)
    return _masked(values)


def _masked(section: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _masked(value)
        if isinstance(value, dict)
        else "***"
        if key in SECRETS and value
        else value
        for key, value in section.items()
    }


def secrets_in(path: Path) -> Iterator[tuple[str, str]]:
    """Every secret that stands in the file of settings itself, and the key of a file that it could
    stand in.
    """
    try:
        values = _written(path)
    except ConfigurationError:
        return
    for key, value in _leaves(values):
        name = key.rpartition(".")[2]
        is_secret = name in SECRETS or (key == "store.url" and _has_password(str(value)))
        if is_secret and value:
            yield key, "store.password_file" if key == "store.url" else f"{key}_file"


def _has_password(url: str) -> bool:
    return settings_check.PASSWORD_IN_URL.match(url) is not None


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _written(path: Path) -> dict[str, Any]:
    """What a file of settings says. Raises `ConfigurationError`."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
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


def _keys() -> dict[str, Iterable[str]]:
    """The sections of the settings, each with its keys."""
    return {
        name: type(field.default).model_fields if isinstance(field.default, BaseModel) else ()
        for name, field in Settings.model_fields.items()
    }


def _environment() -> tuple[dict[str, Any], list[str]]:
    """What the environment says, and what of it is no JSON where it should be."""
    wrong = _wrong_lists()
    source = EnvSettingsSource(Settings)
    source.env_vars = {
        name: value for name, value in source.env_vars.items() if name.upper() not in wrong
    }
    try:
        return source(), list(wrong.values())
    except SettingsError as error:
        return {}, [*wrong.values(), str(error)]


def _wrong_lists() -> dict[str, str]:
    """Lists in the environment that are no JSON, of which pydantic-settings names the section
    alone: what is wrong, by variable.
    """
    wrong = {}
    for name, value in os.environ.items():
        keys = name.removeprefix("GATEWAY_").lower().split("__")
        if name.startswith("GATEWAY_") and len(keys) > 1 and keys[-1] in LISTS:
            try:
                json.loads(value)
            except ValueError:
                advice = f"should be a list: {json.dumps([value])}"
                wrong[name] = f"{'.'.join(keys)}: {advice} (in environment variable {name})"
    return wrong


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both, section by section; `above` wins."""
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        if isinstance(value, dict) and isinstance(under, dict):
            merged[name] = _merged(under, value)
        else:
            merged[name] = value
    return merged


def _made(values: dict[str, Any], path: Path | None) -> tuple[Settings | None, list[str]]:
    """The settings of these values without those that are wrong, and what is wrong."""
    try:
        return Settings(**values), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
    faults = [_explain(fault, path) for fault in errors]
    for fault in errors:
        values = _without(values, [str(part) for part in fault["loc"] if part != "[key]"])
    try:
        return Settings(**values), faults
    except ValidationError:
        return None, faults


def _without(values: dict[str, Any], steps: Sequence[str]) -> dict[str, Any]:
    """Values without the one to which these steps lead, or the nearest above it."""
    first, *rest = steps
    inner = values.get(first)
    if rest and isinstance(inner, dict):
        return {**values, first: _without(inner, rest)}
    return {name: value for name, value in values.items() if name != first}


def _explain(first: Mapping[str, Any], path: Path | None) -> str:
    places = [str(part) for part in first["loc"]]
    if first["type"] == "string_pattern_mismatch" and places[-1] == "[key]":
        key = ".".join(places[:-1])
        return f"{key}: {ACCOUNT_NAMES} {_place(key, path)}"
    key = ".".join(places)
    message = {
        "extra_forbidden": f"no such setting{_near(places)}",
        "model_type": f"is a section, [{key}]",
        "tuple_type": f"should be a list: {json.dumps([first['input']], default=str)}",
    }.get(first["type"], first["msg"])
    return f"{key}: {message} {_place(key, path)}"


def _near(places: Sequence[str]) -> str:
    """Which setting of the same section a misspelt one may mean."""
    *sections, name = places
    model: type[BaseModel] = Settings
    for section in sections:
        field = model.model_fields.get(section)
        default = field.default if field else None
        model = type(default) if isinstance(default, BaseModel) else Account
    near = difflib.get_close_matches(name.lower(), model.model_fields, n=1, cutoff=0.7)
    return f"; did you mean {'.'.join([*sections, *near])}?" if near else ""


def _place(key: str, path: Path | None) -> str:
    """Where the value of a setting came from: the environment stands above the file."""
    variable = f"GATEWAY_{key.replace('.', '__').upper()}"
    return (
        f"(in environment variable {variable})"
        if variable in os.environ
        else f"(in {path or 'defaults'})"
    )


def remarks(settings: Settings, path: Path | None) -> list[str]:
    """What is not a fault, but seldom meant so; each names the key and where it was read."""
    return [
        f"{remark} {_origin(remark, path)}"
        for key, account in _each(settings)
        for remark in settings_check.remarks(key, account)
    ]


def missing(settings: Settings) -> list[str]:
    """What these settings leave undone because something is not set."""
    served = [(key, account) for key, account in _each(settings) if account.mail.address]
    if not served:
        return ["mail.address: not set, so no letter is sent and no answer is read"]
    if settings.lmtp.listen:
        return []
    return [
        f"{key}imap.host: not set, so no answer is read"
        for key, account in served
        if not account.imap.host
    ]


def _each(settings: Settings) -> list[tuple[str, Account]]:
    """Every account, the plain sections first, with what its keys begin with."""
    plain = Account(
        mail=settings.mail, smtp=settings.smtp, imap=settings.imap, oauth=settings.oauth
    )
    return [
        ("", plain),
        *((f"accounts.{name}.", account) for name, account in settings.accounts.items()),
    ]


def _origin(problem: str, path: Path | None) -> str:
    """Where that came from which settings together are wrong about: a variable that one of the keys
    in these words stands in, else the file.
    """
    for key in re.findall(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)+", problem):
        if f"GATEWAY_{key.replace('.', '__').upper()}" in os.environ:
            return _place(key, path)
    return f"(in {path or 'environment'})"


def _problems(settings: Settings) -> Iterator[str]:
    """What one section alone cannot tell."""
    yield from settings_check.store_problems(settings.store)
    accounts_by_key = _each(settings)
    for key, account in accounts_by_key:
        yield from settings_check.account_problems(key, account)
    yield from settings_check.apart_problems(accounts_by_key[0][1], settings.accounts)
    web = settings.web
    yield from reach.listening_problems("web.listen", web.listen)
    yield from settings_check.lmtp_problems(settings.lmtp)
    yield from settings_check.openid_problems(settings.openid, web)
    yield from reach.problems("web", web.listen, web.public_url, web.trusted_proxies)
    yield from reach.network_problems("web.metrics_from", web.metrics_from)
    yield from settings_check.answer_problems(settings.answer)
