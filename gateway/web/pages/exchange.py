"""What of a list on a page is exchanged when there is news: a row that says something else, not the
rows around it (page.md §3).

A live list says digests of what it shows (`seen`), one of everything around its rows and one of
each row. Asked again, it answers with the rows that differ, out of band; with nothing where nothing
differs; and as a whole where rows came, went or changed places, or what stands around them differs.
Digests are of facts, so that only what is sent is rendered. Pure. Limits: a list of many hundred
rows has one digest, and is exchanged as a whole (`LONGEST`).
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

OCTETS = 4
"""Of a digest. One that does not differ by chance leaves an old row until the next change."""
LONGEST = 6_000
"""What a page has seen is said in an address; servers take 8 kB or 16 kB of it."""


@dataclass(frozen=True, slots=True)
class Digests:
    """`around`: of what stands around the rows; `rows`: of each, in their order."""

    around: str
    rows: Mapping[str, str]

    def __str__(self) -> str:
        return ".".join([self.around, *(f"{name}-{said}" for name, said in self.rows.items())])


def digests(around: object, rows: Iterable[tuple[int | str, object]]) -> Digests:
    """Of facts that say, row by row, what is shown."""
    named = [(str(name), row) for name, row in rows]
    if sum(len(name) + len(".-") + 2 * OCTETS for name, _ in named) > LONGEST:
        return Digests(_digest((around, named)), {})
    return Digests(_digest(around), {name: _digest(row) for name, row in named})


def changed(now: Digests, seen: str) -> set[str] | None:
    """The rows that differ from what was seen; None: all of the list is to be exchanged."""
    around, *others = seen.split(".")
    before = dict(pair.rpartition("-")[::2] for pair in others)
    if around != now.around or list(before) != list(now.rows):
        return None
    return {name for name, said in now.rows.items() if before[name] != said}


def name(key: str) -> str:
    """Of a row, the same each time, whatever characters its key has."""
    return _digest(key)


def _digest(facts: object) -> str:
    return hashlib.blake2b(repr(facts).encode(), digest_size=OCTETS).hexdigest()
