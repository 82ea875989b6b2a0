"""What the journal says of follow-ups that another program wrote by plain SQL: made, changed,
called off, brought back or deleted, and of rows that are gone (domain.md §4, "by SQL").

Commands and `load` say it themselves, when they do it. Another program says nothing, so the
planner does, in the transaction in which it first sees what was written: once, whatever number of
statements it was. What was made and deleted before the planner came is not told of.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from gateway.followups import editions
from gateway.model import Channel, Edition
from gateway.store import invitations, journal, marks, records, renaming
from gateway.store.engine import Connection
from gateway.store.records import Trace

MADE, CHANGED, DELETED = "created", "changed", "deleted"
CANCELLED, REINSTATED = "cancelled", "reinstated"
RENAMED = "renamed"
PRESENT = (MADE, CHANGED, REINSTATED, "taken_back")
"""After one of these a follow-up is there; after `DELETED` it is not."""


def tell(connection: Connection, written: Mapping[str, Collection[str]], now: datetime) -> None:
    """Say what was done to these follow-ups, before any of them is planned. `written`: key → the
    tables that another program wrote of it (`marks.strange`). One that is renamed is told of under
    both keys, with the other one.
    """
    records_of = [key for key in written if not marks.RECORDS.isdisjoint(written[key])]
    traces = records.traces(connection, written)
    rows_of = [key for key in written if traces[key].is_there and "participant" in written[key]]
    entries = _of_records(connection, records_of, traces)
    for gone in journal.gone(connection, rows_of).values() if rows_of else ():
        entries += gone
    signed = [replace(entry, by=records.BY_SQL, channel=Channel.STORE) for entry in entries]
    journal.write(connection, signed, now)


def told_of(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of these follow-ups of which the journal says that they are deleted."""
    last = journal.last_of(connection, keys, (*PRESENT, RENAMED, DELETED))
    return {key for key, event in last.items() if event == DELETED}


def _of_records(
    connection: Connection, keys: Sequence[str], traces: Mapping[str, Trace]
) -> list[journal.Entry]:
    planned = invitations.editions(connection, [traces[key].edition for key in keys])
    renamed = dict(renaming.renamed(connection, keys)) if keys else {}
    former = {new: old for old, new in renamed.items()}
    last = journal.last_of(connection, keys, (*PRESENT, RENAMED, DELETED))
    entries = [journal.Entry(RENAMED, old, detail=f"is {new}") for old, new in renamed.items()]
    for key in keys:
        trace = traces[key]
        event = _event(trace, planned.get(trace.edition), last.get(key, ""))
        detail = f"was {former[key]}" if key in former else ""
        if event:
            entries.append(journal.Entry(event, key, detail=detail))
    return entries


def _event(trace: Trace, planned: Edition | None, last: str) -> str:
    """What was done; "" for nothing that is to be told. `planned`: as it was planned last; `last`:
    what the journal says of its being there.
    """
    if not trace.is_there:
        was_there = last in PRESENT or (not last and trace.was_planned)
        return DELETED if was_there and not trace.is_renamed else ""
    if planned is None or last == DELETED:
        return CHANGED if last in PRESENT else MADE
    if trace.cancelled and not planned.cancelled:
        return CANCELLED
    if not trace.cancelled and _was_called_off(planned):
        return REINSTATED
    return CHANGED


def _was_called_off(planned: Edition) -> bool:
    """Whether the record said so; a series without a date is cancelled, too (domain.md §6)."""
    if not planned.cancelled or planned.recurrence is None:
        return planned.cancelled
    return editions.first(replace(planned, cancelled=False)) is not None
