"""From what an administrator says to the files of an installation; pure.

Security: secrets stand in files of their own, never in gateway.toml, which everybody may read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.setup.presets import Preset

HEAD = """\
# Settings of the invite gateway, as invite-gateway setup wrote them. Every setting with its
# documentation: invite-gateway config example. After a change: systemctl restart invite-gateway.
# Passwords stand beside this file, each in one of its own that root alone may read.
"""


@dataclass(frozen=True, slots=True)
class Secret:
    """`file`: its name beside gateway.toml, which is a systemd credential's, too."""

    file: str
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be written: the settings by section, and the secrets that they name."""

    settings: Mapping[str, Mapping[str, Any]]
    secrets: Sequence[Secret]
    preset: Preset

    @property
    def is_sqlite(self) -> bool:
        return not self.settings.get("store", {}).get("url", "").startswith("postgresql")


def made(preset: Preset, given: Mapping[str, Any], secrets: Mapping[str, str]) -> Plan:
    """`given`: `section.key` to value, which goes before the preset's; `secrets`: `section.key` of
    a secret to its value.
    """
    domain = str(given["mail.address"]).rpartition("@")[2]
    settings = preset.of(domain)
    for name, value in given.items():
        section, _, key = name.partition(".")
        if value not in ("", None):
            settings.setdefault(section, {})[key] = value
    written = []
    for name, value in secrets.items():
        section, _, key = name.partition(".")
        file = f"{section}-{key}".replace("_", "-")
        settings.setdefault(section, {})[f"{key}_file"] = f"credential:{file}"
        written.append(Secret(file, value))
    return Plan(_without_blanks(settings), tuple(written), preset)


def text(plan: Plan, toml: Any) -> str:
    """gateway.toml. `toml`: writes a value."""
    lines = [HEAD]
    for section, values in plan.settings.items():
        lines += [f"[{section}]", *(f"{key} = {toml(value)}" for key, value in values.items()), ""]
    return "\n".join(lines)


def _without_blanks(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    order: tuple[str, ...] = ("store", "mail", "smtp", "imap", "oauth", "outbound", "policy", "web")
    order += tuple(section for section in settings if section not in order)
    kept = {
        section: {key: value for key, value in settings.get(section, {}).items() if value != ""}
        for section in order
    }
    return {section: values for section, values in kept.items() if values}
