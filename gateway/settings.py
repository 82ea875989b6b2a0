"""The settings as they are read: a TOML file, overridden by environment variables
`GATEWAY_SECTION__KEY`. What each setting is stands in `sections`.

Secrets are never given on a command line: they are read from `*_file` (a path, or `credential:NAME`
for a systemd credential) or from the environment.
"""

import codecs
import json
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from gateway import reach, rights, settings_check, variables
from gateway.errors import ConfigurationError
from gateway.sections import (
    ACCOUNT_NAMES,
    Account,
    AccountName,
    Imap,
    Inbound,
    Lmtp,
    Log,
    Mail,
    OAuth,
    Outbound,
    Policy,
    Smtp,
    Store,
    Web,
    Webhooks,
)

LISTS = frozenset({"also", "groups", "hosts", "metrics_from", "owners", "trusted_proxies"})
"""Settings that are lists: JSON in the environment."""


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
    keys = {
        name: type(field.default).model_fields if isinstance(field.default, BaseModel) else ()
        for name, field in Settings.model_fields.items()
    }
    if problem := variables.misspelt(os.environ, keys):
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
    _refuse(settings_check.store_problems(settings.store), _place("store.url", path))
    plain = Account(
        mail=settings.mail, smtp=settings.smtp, imap=settings.imap, oauth=settings.oauth
    )
    _refuse(settings_check.account_problems("", plain), place)
    for name, account in settings.accounts.items():
        _refuse(settings_check.account_problems(f"accounts.{name}.", account), place)
    _refuse(settings_check.apart_problems(plain, settings.accounts), place)
    web = settings.web
    _refuse(reach.listening_problems("web.listen", web.listen), _place("web.listen", path))
    _refuse(settings_check.lmtp_problems(settings.lmtp), _place("lmtp.listen", path))
    _refuse(reach.problems(web.listen, web.public_url, web.trusted_proxies), place)
    _refuse(reach.network_problems("web.metrics_from", web.metrics_from), place)


def _refuse(problems: Iterable[str], place: str) -> None:
    for problem in problems:
        raise ConfigurationError(f"{problem} {place}")
