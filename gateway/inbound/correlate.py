"""Which row a message is about, and whether its sender may speak for it (itip.md §5)."""

from dataclasses import dataclass
from enum import StrEnum

from gateway.itip import facts, read


class Verdict(StrEnum):
    APPLY = "apply"
    HOLD = "hold"
    PARTY_CRASHER = "party_crasher"
    UNKNOWN = "unknown"
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class Choice:
    """row: the one it is about (None: unknown or nobody's). attendee: the line of the object that counts, of the first
    component. address: who answered, for journal and review. rules: what led there, in order."""

    verdict: Verdict
    reason: str
    row: facts.Row | None = None
    attendee: read.Attendee | None = None
    address: str = ""
    follow_up: str = ""
    rules: tuple[facts.Rule, ...] = ()
