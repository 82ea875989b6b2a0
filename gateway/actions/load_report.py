"""An import under way, and what it did, by section of its document."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from gateway import settings as configuration
from gateway.actions.load_check import Checked
from gateway.actions.load_format import Document
from gateway.model import Actor
from gateway.store.directory import Merged
from gateway.store.engine import Connection


@dataclass(frozen=True, slots=True)
class Report:
    """Keys by section of the document (participants as `m1/ola`),
    and what was loaded otherwise than it says.
    """

    created: dict[str, list[str]] = field(default_factory=dict)
    changed: dict[str, list[str]] = field(default_factory=dict)
    left: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(
        self, section: str, created: Iterable[str], changed: Iterable[str], left: Iterable[str]
    ) -> None:
        for where, keys in ((self.created, created), (self.changed, changed), (self.left, left)):
            if names := sorted(keys):
                where[section] = names

    def change(self, section: str, keys: Iterable[str]) -> None:
        """What else changed of entries that were left so far."""
        created = self.created.pop(section, ())
        changed = set(self.changed.pop(section, ()))
        left = set(self.left.pop(section, ()))
        others = left.intersection(keys)
        self.add(section, created, changed | others, left - others)


@dataclass(frozen=True, slots=True)
class Loading:
    """A checked document that is being written, as `actor`'s doing."""

    connection: Connection
    settings: configuration.Settings
    now: datetime
    actor: Actor
    entries: Document
    checked: Checked
    report: Report = field(default_factory=Report)


def count(report: Report, section: str, merged: Merged, inner: Merged | None = None) -> None:
    """A row whose list of addresses, members or dates changed has changed."""
    within = (
        {key[0] for key in (*inner.created, *inner.changed, *inner.gone)}
        if inner is not None
        else set()
    )
    created = {key[0] for key in merged.created}
    changed = ({key[0] for key in merged.changed} | within) - created
    report.add(section, created, changed, {key[0] for key in merged.left} - changed)
