"""What is known of mail servers, by name: a table, which docs/mailboxes.md explains."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

SECTIONS = ("mail", "smtp", "imap", "oauth", "outbound")
USUAL = "dovecot"
"""What most servers of one's own are like."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A kind of mail server. `page`: where docs/mailboxes.md explains it; `todo`: what is to be
    done at the server; `settings`: by section, with `{domain}` in hosts.
    """

    name: str
    title: str
    page: str
    todo: Sequence[str]
    settings: Mapping[str, Mapping[str, Any]]

    def of(self, domain: str) -> dict[str, dict[str, Any]]:
        """The settings for mailboxes of this domain."""
        return {
            section: {key: _filled(value, domain) for key, value in values.items()}
            for section, values in self.settings.items()
        }


def read() -> dict[str, Preset]:
    """Every preset, by its name."""
    table = tomllib.loads((resources.files("gateway.setup") / "presets.toml").read_text("utf-8"))
    return {
        name: Preset(
            name,
            one["title"],
            one["page"],
            tuple(one["todo"]),
            {section: one[section] for section in SECTIONS if section in one},
        )
        for name, one in table.items()
    }


def _filled(value: Any, domain: str) -> Any:
    return value.replace("{domain}", domain) if isinstance(value, str) else value
