"""Whom somebody picks for a follow-up, and what becomes of each (domain.md §3). Pure.

A source is one person, associate, resource or bare address, or a list of them. A list becomes rows
at the moment of picking: who joins the group later is not invited by that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

MOST = 2000
"""People that are picked at a time."""


class Source(StrEnum):
    PERSON = "person"
    ASSOCIATE = "associate"
    RESOURCE = "resource"
    EMAIL = "email"
    """Somebody who is registered nowhere."""
    GROUP = "group"
    """The associates of a user group."""
    RESOURCE_GROUP = "resource_group"
    COMPANY = "company"
    """The people of a company."""
    PROJECT = "project"
    SELECTION = "selection"
    ALL = "all"
    """All "associates", or all "resources"."""


class Result(StrEnum):
    ADDED = "added"
    PRESENT = "present"
    REFUSED = "refused"


class Reason(StrEnum):
    """Why a candidate was not added, or was added without the switch."""

    NONE = ""
    NOT_INVITABLE = "not_invitable"
    """An administrator says that they are not invited."""
    NO_ADDRESS = "no_address"
    UNKNOWN = "unknown"
    OWNER = "owner"
    """The owner's own row is never mailed, so it has no switch."""
    RESOURCE = "resource"
    """A resource has no mail address, so it has no switch."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One source. `key`: of what it names, the address of an e-mail, or which of `ALL`. `name`:
    what a bare address is called.
    """

    source: Source
    key: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody whom an entry (its position) picks. `kind`: the column of a participant that names
    them; `key`: what stands there.
    """

    entry: int
    kind: str
    key: str
    name: str = ""
    addresses: tuple[str, ...] = ()
    invitable: bool = True

    @property
    def who(self) -> str:
        """As `Member.who`: it outlives a row."""
        return f"{self.kind}:{self.key.lower() if self.kind == 'email' else self.key}"


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of a candidate. `row`: the number of the row that is theirs already; `removed`:
    it takes part again.
    """

    candidate: Candidate
    result: Result
    reason: Reason = Reason.NONE
    row: int | None = None
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Present:
    """A row of the follow-up."""

    row: int
    removed: bool


def choose(candidates: Sequence[Candidate], present: Mapping[str, Present]) -> list[Choice]:
    """Which candidates become rows, in their order. `present`: rows that are there, by
    `Candidate.who`. A candidate who is picked twice is added once.
    """
    choices = list[Choice]()
    picked = set[str]()
    for candidate in candidates:
        row_of_person = present.get(candidate.who)
        if row_of_person is not None and not row_of_person.removed:
            choices.append(Choice(candidate, Result.PRESENT, row=row_of_person.row))
        elif candidate.who in picked:
            choices.append(Choice(candidate, Result.PRESENT))
        elif not candidate.invitable:
            choices.append(Choice(candidate, Result.REFUSED, Reason.NOT_INVITABLE))
        elif candidate.kind == Source.EMAIL and not candidate.addresses:
            choices.append(Choice(candidate, Result.REFUSED, Reason.NO_ADDRESS))
        else:
            row = row_of_person.row if row_of_person is not None else None
            choices.append(
                Choice(candidate, Result.ADDED, row=row, removed=row_of_person is not None)
            )
            picked.add(candidate.who)
    return choices
