"""Importing a document: directory, follow-ups, dates and participants, by key, in one transaction
(contract.md §3).

Loading writes the record only; the letters follow from the change marks, as for any other writer.
The exception is an invitation that an earlier system has sent already: it is adopted, so that
nothing is owed until something changes.

On failure: `InputError` that names each place in the document; the caller's transaction is to be
rolled back (nothing was written before everything had been checked).
"""

import json
from datetime import datetime
from typing import Any

from gateway import settings as configuration
from gateway.actions import load_check, load_directory, load_format, load_participants, load_report
from gateway.actions.load_format import Document, FollowUp
from gateway.actions.load_report import Loading, Report
from gateway.actions.load_times import Times
from gateway.model import Access, Actor, Channel, Kind
from gateway.store import columns, directory, journal, marks, records
from gateway.store.engine import Connection

IMPORT = Actor(Access.CRM, name=records.BY_LOAD, channel=Channel.STORE)
"""Who loads a document, where nobody else does."""


def load(
    connection: Connection,
    document: Any,
    settings: configuration.Settings,
    now: datetime,
    actor: Actor = IMPORT,
) -> Report:
    """Bring the store to what the document says, as `actor`'s doing. One that is read already is
    not read again.
    Loading the same document twice changes nothing the second time.
    """
    entries = document if isinstance(document, Document) else load_format.read(document)
    checked = load_check.check(connection, entries, settings.mail.timezone)
    here = Loading(connection, settings, now, actor, entries, checked)
    load_directory.write(connection, entries, here.report)
    for old, new in checked.renamed.items():
        directory.rename_follow_up(connection, old, new)
        here.report.notes.append(f"follow-up {old} is called {new} now")
    _write_follow_ups(here)
    _sign_follow_ups(here)
    load_participants.write(here)
    return here.report


def _write_follow_ups(here: Loading) -> None:
    here.report.notes.extend(
        f"follow_ups[{number}].deadline: a meeting has none (domain.md §2); it counts nowhere"
        for number, follow_up in enumerate(here.entries.follow_ups)
        if Kind(follow_up.kind) is Kind.MEETING and follow_up.deadline is not None
    )
    timed = list(zip(here.entries.follow_ups, here.checked.times, strict=True))
    rows = [
        _follow_up(follow_up, times, follow_up.key in here.checked.planned)
        for follow_up, times in timed
    ]
    merged = directory.merge(here.connection, "follow_up", ("key",), rows)
    dates = [
        {
            "follow_up": follow_up.key,
            "original_start": columns.instant(date.original),
            "start_at": columns.optional(date.start),
            "end_at": columns.optional(date.end),
            "cancelled": date.cancelled,
            "cancel_reason": date.cancel_reason,
        }
        for follow_up, times in timed
        for date in times.dates
    ]
    own = directory.merge(
        here.connection,
        "follow_up_date",
        ("follow_up", "original_start"),
        dates,
        prune={follow_up.key for follow_up in here.entries.follow_ups},
    )
    load_report.count(here.report, "follow_ups", merged, own)


def _sign_follow_ups(here: Loading) -> None:
    """Keep who made and changed them, and when."""
    created = here.report.created.get("follow_ups", ())
    changed = here.report.changed.get("follow_ups", ())
    records.sign(here.connection, created, here.now, here.actor.by)
    records.stamp(here.connection, changed, here.now, here.actor.by)
    marks.mark_loaded(here.connection, {*created, *changed})
    entries = [
        journal.Entry(event, key, by=here.actor.by, channel=here.actor.channel)
        for event, keys in (("created", created), ("changed", changed))
        for key in keys
    ]
    journal.write(here.connection, entries, here.now)


def _follow_up(follow_up: FollowUp, times: Times, planned: bool) -> dict[str, Any]:
    row = follow_up.model_dump(
        exclude={
            "start",
            "end",
            "deadline",
            "answer_by",
            "recurrence",
            "instances",
            "fields",
            "uid",
            "sequence",
            "participants",
        }
    )
    row |= {
        "start_at": columns.optional(times.start),
        "end_at": columns.optional(times.end),
        "deadline": times.deadline,
        "answer_by": times.answer_by,
        "rrule": times.rrule,
        "fields": json.dumps(follow_up.fields, sort_keys=True),
        "forgotten": False,
    }
    # UID and counter of an earlier system count until the gateway has used them.
    of_earlier = {} if planned else {"uid": follow_up.uid, "sequence": follow_up.sequence}
    return row | {column: value for column, value in of_earlier.items() if value is not None}
