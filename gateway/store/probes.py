"""The probe of each account: the one on its way, and how the last one ended.

One row of `meta` for each account holds both, as JSON. A gateway that begins a probe writes it
there under the row's lock, so of several gateways on one store only one probes. Each mark has one
end: what comes a second time changes nothing.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.mail import probe
from gateway.store import upsert
from gateway.store.schema import meta

KEY = "probe:"
ABANDONED = timedelta(minutes=10)
"""A probe that was begun and not handed over by then never will be: its process has ended."""
AGAIN = timedelta(hours=1)
"""From a probe that failed to the next; doubles each time, up to the usual interval."""
UNSENT_AGAIN = timedelta(minutes=5)
"""The same where the probe could not even be handed over."""
RESTARTED = timedelta(minutes=10)
"""At a start, from a probe that came back to the next: a service that restarts floods nobody."""
RESTARTED_AFTER_FAILURE = timedelta(minutes=1)
"""At a start after a probe that failed: an administrator restarts to see whether it is mended."""


class End(StrEnum):
    """How a probe ended."""

    RETURNED = "returned"
    REFUSED = "refused"
    """Our server did not take it at RCPT."""
    BOUNCED = "bounced"
    """Our server took it, and reported that it cannot deliver it."""
    SILENT = "silent"
    """Our server took it, and it never came."""
    UNSENT = "unsent"
    """It could not be handed over, which says nothing of sub-addresses."""


FAILED = frozenset({End.REFUSED, End.BOUNCED, End.SILENT})
"""What says that answers are lost."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe. plain: to the bare mailbox. sent: when our server took it; None until then."""

    mark: str
    mailbox: str
    plain: bool
    begun: datetime
    sent: datetime | None = None

    @property
    def address(self) -> str:
        """Where it goes."""
        return probe.recipient(self.mailbox, self.mark, plain=self.plain)

    def like(self, other: "Probe") -> bool:
        """Whether both ask the same question."""
        return (self.mailbox, self.plain) == (other.mailbox, other.plain)


@dataclass(frozen=True, slots=True)
class Result:
    """How a probe ended. words: the server's. failures: in a row, 0 after one that came back.

    writers: the authserv-ids that it carried, topmost first; of one that did not come back, those
    of the last one that did. None: no probe ever came back.
    """

    probe: Probe
    end: End
    at: datetime
    words: str = ""
    failures: int = 0
    writers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What is known of an account's probes. under_way: the one that is waited for."""

    under_way: Probe | None = None
    result: Result | None = None

    def due(self, next_probe: Probe, usual: timedelta, *, starting: bool) -> bool:
        """Whether it is time for this probe. usual: from a probe that came back to the next."""
        if self.under_way is not None:
            return (
                self.under_way.sent is None and self.under_way.begun <= next_probe.begun - ABANDONED
            )
        if self.result is None or not next_probe.like(self.result.probe):
            return True
        failures = self.result.failures
        if starting:
            wait = RESTARTED_AFTER_FAILURE if failures else RESTARTED
        else:
            first = UNSENT_AGAIN if self.result.end is End.UNSENT else AGAIN
            wait = min(usual, first * 2 ** min(failures - 1, 10)) if failures else usual
        return self.result.at <= next_probe.begun - wait


def state(connection: Connection, account: str) -> State:
    """What is known of an account's probes."""
    value = connection.execute(
        sa.select(meta.c.value).where(meta.c.key == KEY + account)
    ).scalar_one_or_none()
    return _state(value) if value else State()


def begin(
    connection: Connection,
    account: str,
    next_probe: Probe,
    usual: timedelta | None,
    *,
    starting: bool = False,
) -> bool:
    """Write that a probe begins, if it is time for one. Returns whether it is.

    usual: from one probe to the next; None: at once, because a person asks for it.
    """
    before = _locked(connection, account)
    if usual is not None and not before.due(next_probe, usual, starting=starting):
        return False
    _write(connection, account, replace(before, under_way=next_probe))
    return True


def sent(connection: Connection, account: str, mark: str, at: datetime) -> None:
    """Our server took it. It may have come back before."""
    before = _locked(connection, account)
    if before.under_way is not None and before.under_way.mark == mark:
        _write(connection, account, replace(before, under_way=replace(before.under_way, sent=at)))


def ended(
    connection: Connection, account: str, mark: str, end: End, words: str, at: datetime
) -> bool:
    """A probe that is under way ended badly. Returns False where it is not under way any more."""
    before = _locked(connection, account)
    if before.under_way is None or before.under_way.mark != mark:
        return False
    _write(connection, account, _after(before, before.under_way, end, at, words))
    return True


def came(connection: Connection, sighting: probe.Sighting, at: datetime) -> bool:
    """A probe, or a report about one, is in a mailbox of ours, whichever account's.

    Returns whether that says something new: each mark has one end, except that one which was taken
    for lost may still come.
    """
    rows = connection.execute(sa.select(meta.c.key).where(meta.c.key.like(f"{KEY}%"))).scalars()
    for key in sorted(rows):
        account = key.removeprefix(KEY)
        before = _locked(connection, account)
        waited = _waited(before, sighting.mark)
        if waited is None:
            continue
        if sighting.refused is None:
            after = _after(before, waited, End.RETURNED, at, "", sighting.writers)
        elif sighting.refused:
            after = _after(before, waited, End.BOUNCED, at, sighting.refused)
        else:
            return False
        _write(connection, account, after)
        return True
    return False


def is_ours(connection: Connection, mark: str) -> bool:
    """Whether this store may have issued a mark: none is newer than its last one. A copy of the
    store has the same secret, and issues marks of its own.
    """
    values = connection.execute(sa.select(meta.c.value).where(meta.c.key.like(f"{KEY}%"))).scalars()
    states = [_state(value) for value in values if value]
    under_way = [
        known_state.under_way.mark for known_state in states if known_state.under_way is not None
    ]
    ended = [
        known_state.result.probe.mark for known_state in states if known_state.result is not None
    ]
    last = max(map(probe.issued, (*under_way, *ended)), default=-1)
    return probe.issued(mark) <= last


def forget(connection: Connection, account: str) -> None:
    """Know nothing of an account's probes any longer."""
    connection.execute(sa.delete(meta).where(meta.c.key == KEY + account))


def writers(connection: Connection, accounts: Iterable[str]) -> Sequence[tuple[str, ...]]:
    """What the last probe that came back carried, of each of these accounts: authserv-ids, topmost
    first. Nothing for an account none of whose probes ever came back.
    """
    keys = [KEY + account for account in accounts]
    query = sa.select(meta.c.value).where(meta.c.key.in_(keys))
    results = (_state(value).result for value in connection.execute(query).scalars() if value)
    return [
        result.writers for result in results if result is not None and result.writers is not None
    ]


def _waited(before: State, mark: str) -> Probe | None:
    if before.under_way is not None and before.under_way.mark == mark:
        return before.under_way
    result = before.result
    is_late = result is not None and result.probe.mark == mark and result.end is End.SILENT
    return result.probe if result is not None and is_late else None


def _after(
    before: State,
    ended_probe: Probe,
    end: End,
    at: datetime,
    words: str,
    writers: tuple[str, ...] | None = None,
) -> State:
    last = before.result
    failures = 0 if end is End.RETURNED else 1 + (last.failures if last is not None else 0)
    if end is not End.RETURNED:
        writers = last.writers if last is not None else None
    is_under_way = before.under_way is not None and before.under_way.mark == ended_probe.mark
    result = Result(ended_probe, end, at, words, failures, writers)
    if end is End.UNSENT and last is not None and last.end in FAILED:
        # Nothing was asked, so the last answer stands.
        result = replace(last, at=at, failures=failures)
    return State(None if is_under_way else before.under_way, result)


def _locked(connection: Connection, account: str) -> State:
    """The state, which nobody else changes before this transaction ends."""
    key = KEY + account
    upsert.unless_there(connection, meta, {"key": key}, {"value": ""})
    query = sa.select(meta.c.value).where(meta.c.key == key).with_for_update()
    value = connection.execute(query).scalar_one()
    return _state(value) if value else State()


def _write(connection: Connection, account: str, after: State) -> None:
    value = json.dumps(asdict(after), default=datetime.isoformat, ensure_ascii=False)
    connection.execute(sa.update(meta).where(meta.c.key == KEY + account).values(value=value))


def _state(value: str) -> State:
    values = json.loads(value)
    under_way, result = values["under_way"], values["result"]
    return State(_probe(under_way) if under_way else None, _result(result) if result else None)


def _probe(values: dict[str, Any]) -> Probe:
    sent_at = values["sent"]
    return Probe(
        values["mark"],
        values["mailbox"],
        values["plain"],
        datetime.fromisoformat(values["begun"]),
        datetime.fromisoformat(sent_at) if sent_at else None,
    )


def _result(values: dict[str, Any]) -> Result:
    names = values["writers"]
    return Result(
        _probe(values["probe"]),
        End(values["end"]),
        datetime.fromisoformat(values["at"]),
        values["words"],
        values["failures"],
        tuple(names) if names is not None else None,
    )
