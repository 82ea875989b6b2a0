"""What happened to a follow-up, in words: the journal as people read it, newest first."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway import shapes
from gateway.actions.desk import Desk
from gateway.i18n import marked
from gateway.store import cards, journal, records
from gateway.web.keys import path
from gateway.web.pages import details, words
from gateway.web.pages.visit import Facts, Visit

ENTRIES = 50
"""Entries on a page."""
EVENTS = {
    "created": marked("Made"),
    "changed": marked("Changed"),
    "rescheduled": marked("Moved to another time"),
    "date_moved": marked("One date moved"),
    "date_added": marked("One date added"),
    "date_removed": marked("One date taken out"),
    "date_cancelled": marked("One date cancelled"),
    "date_reinstated": marked("One date takes place after all"),
    "stopped": marked("The series ends here"),
    "split": marked("Another series from here on"),
    "completed": marked("Completed"),
    "reopened": marked("Opened again"),
    "carried_out": marked("Carried out"),
    "taken_back": marked("Taken back before a letter left"),
    "cancelled": marked("Cancelled"),
    "deleted": marked("Deleted"),
    "renamed": marked("Has another key"),
    "reinstated": marked("Takes place after all"),
    "not_planned": marked("Nothing is mailed, because the record says what cannot be"),
    "end_ignored": marked("The end is before the start, and is ignored"),
    "warning": marked("Some calendars may not show this"),
    "added": marked("Takes part"),
    "removed": marked("Does not take part any more"),
    "assigned": marked("Assigned"),
    "invited": marked("Brought in by an answer"),
    "matched": marked("The answer belongs to a row that is there"),
    "not_invited": marked("Not invited once more"),
    "switched": marked("E-mail invitation switched"),
    "address": marked("Address corrected"),
    "adjusted": marked("Priority or alarm changed"),
    "progress": marked("Progress"),
    "suspended": marked("Cannot be reached by mail"),
    "resumed": marked("Can be reached again"),
    "given": marked("The row is somebody else’s now"),
    "begun": marked("Begins anew"),
    "asked_anew": marked("Asked anew"),
    "date_dropped": marked("The date is no more"),
    "date_renamed": marked("The date has another time"),
    "moved": marked("Asked again, because the time is another one"),
    "applied": marked("Answered"),
    "toggled": marked("Status changed by hand"),
    "counts_after_all": marked("The answer counts after all"),
    "toggle_refused": marked("The status could not be set"),
    "seen": marked("Seen"),
    "acknowledged": marked("The owner took note of it"),
    "proposal": marked("Asks for another time"),
    "proposed": marked("Asks for another time"),
    "proposal_accepted": marked("The other time was taken"),
    "proposal_declined": marked("The time stays"),
    "proposal_overtaken": marked("The wish is overtaken by a move"),
    "comment": marked("Wrote"),
    "held": marked("Waits for a person"),
    "party_crasher": marked("Answered without being invited"),
    "delegated": marked("Passed it on"),
    "delegated_to": marked("Passed on to"),
    "away": marked("An automatic reply"),
    "unchanged": marked("The same answer once more"),
    "duplicate": marked("The same message once more"),
    "old_answer": marked("An answer to what stood before"),
    "refreshed": marked("Asked for the invitation once more"),
    "closed": marked("An answer after the end"),
    "unknown_invitation": marked("An answer to an unknown invitation"),
    "not_an_answer": marked("A message that is no answer"),
    "malformed": marked("A message that cannot be read"),
    "too_large": marked("A message that is too large"),
    "ignored": marked("A message that says nothing"),
    "not_repeated": marked("Asked for the invitation too often"),
    "review_applied": marked("Taken by hand"),
    "review_rejected": marked("Set aside by hand"),
    "address_learned": marked("An address was learned"),
    "address_forgotten": marked("An address was forgotten"),
    "decision_opened": marked("Waits for a decision"),
    "decision_closed": marked("Decided"),
    "queued": marked("A letter waits to leave"),
    "sent": marked("The letter left"),
    "deferred": marked("The letter is tried again"),
    "dropped": marked("The letter is not needed any more"),
    "delayed": marked("The letter is late"),
    "delivered": marked("The letter arrived"),
    "undeliverable": marked("The letter could not be delivered"),
    "bounced": marked("The letter came back"),
    "released": marked("The letter goes after all"),
    "retried": marked("The letter is tried once more"),
    "put_back": marked("The letter waits again"),
    "undone": marked("As it was before"),
    "reminded": marked("Reminded"),
    "resent": marked("Sent again"),
    "forwarded": marked("Passed on to the owner"),
    "not_forwarded": marked("Not passed on to the owner"),
}
"""By the event of an entry (docs/states.md, "Journal"); of the operation's own events there is none
about a follow-up.
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One entry. `who`: whose row it is about; `by`: who did it, and how; `says`: what else there
    is to it, `quote`: in the words of others.
    """

    id: int
    at: str
    what: str
    who: str
    change: str
    date: str
    by: str
    says: str
    quote: str


SOMEBODY = marked("Somebody else")
PROGRAMS = {records.BY_SQL: marked("by another program"), records.BY_LOAD: marked("by an import")}
"""Who changes records without having a name."""


def changer(here: Visit, desk: Desk, by: str) -> str:
    """Who changed something, by name; one whom nobody knows is somebody else."""
    key = by.partition(" via ")[0]
    name = cards.associates(desk.connection).get(key, "" if by in PROGRAMS else by)
    return name or here.texts.gettext(SOMEBODY)


def doer(here: Visit, by: str, people: Mapping[str, str], channel: str = "") -> str:
    """Who did something, and how."""
    if by in PROGRAMS:
        return here.texts.gettext(PROGRAMS[by])
    way = here.texts.gettext(words.CHANNELS[channel]) if channel else ""
    return " ".join(filter(None, (words.person(by, people), way)))


def shown(here: Visit, desk: Desk, view: shapes.FollowUp) -> Facts:
    """The page of the journal that the address asks for: of all, or of one participant's row."""
    said = here.request.query_params
    row, before = _number(said.get("participant", "")), _number(said.get("before", ""))
    entries = journal.newest_of(desk.connection, view.key, ENTRIES + 1, row=row, before=before)
    people = cards.associates(desk.connection)
    names = {
        participant.id: participant.shown_name or participant.address
        for participant in view.participants or ()
    }
    lines = [_line(here, entry, people, names) for entry in entries[:ENTRIES]]
    query = {"participant": str(row)} if row else {}
    older = ""
    if entries[ENTRIES:]:
        older = path("follow-ups", view.key, "journal", **query, before=str(lines[-1].id))
    return {"lines": lines, "older": older, "of": names.get(row or 0, "")}


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 19 else None


def _line(
    here: Visit, entry: journal.Entry, people: Mapping[str, str], names: Mapping[int, str]
) -> Line:
    who = names.get(entry.participant or 0, "")
    what = here.texts.gettext(EVENTS.get(entry.event, entry.event))
    channel = entry.channel.value if entry.channel is not None else ""
    by = doer(here, entry.by, people, channel)
    says, quote = details.of(here, entry, people, names_row=bool(who))
    return Line(
        id=entry.id,
        at=here.ago(entry.at, seconds=True),
        what=what,
        who=who,
        change=details.change(here, entry),
        date=here.when(entry.instance, None),
        by=by,
        says=says,
        quote=quote,
    )
