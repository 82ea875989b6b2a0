"""The one table of what can be seen of a follow-up, and of the columns that it comes from.

An invitee hears of a change only if every link holds: the column has a trigger, the planner reads
it, editions are compared by it, the calendar object carries it and the letter says it. Each link is
derived from this table (triggers, `editions.said`, what a series may change from one date on) or
tested against it (the rest). Pure. Source: itip.md §1-§2, contract.md §3-§4.

To add a column, in this order; `pytest tests/store/test_fields.py
tests/store/test_migrations.py tests/core/test_records.py tests/web/test_dialogs.py
tests/web/test_page_language.py` says which step is missing:

1. `store/schema.py` and a migration (`store/migrations/versions`); text has a default. The
   migration adds it to `deleted_follow_up` (`deleted_participant`) too, there without default and
   NOT NULL: else every DELETE fails.
2. Here: `INTERNAL` with the reason if no invitee ever sees it, `BESIDE` if it decides who is asked
   or how, otherwise a `Field`. The triggers follow by themselves; `db upgrade` puts them in place.
3. `model.Edition`: a field with a default, because editions of an older program lack it; a type
   other than text is read in `store/codec.py`.
4. `store/stated.edition` reads the column, `ical/ics.py` writes the property. A text stands in
   `store/faults.py` and `store/rewriting.py`, too.
5. `followups/editions.py`: what asks again stands in `_frame` or `place`, what tells has a `form`
   here.
6. `writing/wording.py`: `Teller.differences` says old and new; where people look for it, also
   `Teller.facts` and the templates. The label goes into every catalogue in `locale/`.
7. `actions/load_format.py`, and `actions/load.py` if the column has another name or type there.
8. `store/series.py` (`DateRow`) if a single date can have its own.
9. What GET and the page show: `store/reading.py`, `shapes.py`, `templates/pages/tab_details.html`
   and the label in `locale/nb/page.po`; what its form is: a `Field` in `web/pages/editing.py`, its
   name in `forms.TEXTS`, its label in `refusals.FIELDS`, or why it has none
   (`tests/web/test_dialogs.py`); `make examples`.
10. `docs/records.md`, `docs/contract.md` §3-§4, `CHANGELOG.md`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Significance(StrEnum):
    """What a change of it does to those who hold the invitation (itip.md §2)."""

    ASKS_AGAIN = "asks again"
    """A REQUEST with a higher SEQUENCE; answers are gone."""
    CANCELS = "cancels"
    """A CANCEL with a higher SEQUENCE; the way back asks again."""
    TELLS = "tells"
    """A REQUEST with the same SEQUENCE; answers stay."""
    SILENT = "silent"
    """No letter of its own; the next one shows it."""
    OURS = "ours"
    """The gateway reckons it; nobody writes it."""


class Form(StrEnum):
    """How a text is shown, and so by what two of them differ (`followups.texts`)."""

    LINE = "line"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of `model.Edition`."""

    name: str
    significance: Significance
    columns: tuple[str, ...] = ()
    """Where it comes from, as `table.column`. A change of one of them leaves a mark."""
    properties: tuple[str, ...] = ()
    """What shows it in a calendar object (RFC 5545)."""
    label: str = ""
    """Above it in a letter: under "What has changed", if a change makes a letter owed."""
    form: Form | None = None
    """Of a text; a text that tells is compared as it is shown."""
    own_date: bool = False
    """A single date of a series can have its own: in the same columns of `follow_up_date`, as the
    field of that name of `model.DateChange`.
    """
    load: str = ""
    """Its name in the load format."""
    continued: bool = False
    """It may be another from one date of a series on ("this and all future")."""
    why: str = ""
    """Why a change makes no letter owed."""


@dataclass(frozen=True, slots=True)
class Other:
    """A column of what others write that is part of no edition."""

    column: str
    why: str
    continued: bool = False
    shown: bool = False
    """People in the CRM see it: that another program changed it stands in the journal, and so in
    `/changes` and webhooks.
    """


ASKS_AGAIN, CANCELS, TELLS, SILENT, OURS = Significance

FIELDS = (
    Field(
        "uid",
        OURS,
        properties=("UID",),
        load="uid",
        why="made once, for life",
    ),
    Field(
        "kind",
        SILENT,
        columns=("follow_up.kind",),
        load="kind",
        why="what a letter calls it; whoever holds it has the same entry",
    ),
    Field(
        "title",
        TELLS,
        columns=("follow_up.title",),
        properties=("SUMMARY",),
        label="Title",
        form=Form.LINE,
        load="title",
        continued=True,
    ),
    Field(
        "start",
        ASKS_AGAIN,
        columns=("follow_up.start_at",),
        properties=("DTSTART",),
        label="When",
        own_date=True,
        load="start",
        continued=True,
    ),
    Field(
        "end",
        ASKS_AGAIN,
        columns=("follow_up.end_at",),
        properties=("DTEND",),
        label="When",
        own_date=True,
        load="end",
        continued=True,
    ),
    Field(
        "timezone",
        ASKS_AGAIN,
        columns=("follow_up.timezone",),
        properties=("DTSTART", "DTEND"),
        label="Time zone",
        load="timezone",
        continued=True,
    ),
    Field(
        "organizer",
        SILENT,
        columns=("follow_up.owner", "associate.name"),
        properties=("ORGANIZER",),
        label="Organizer",
        load="owner",
        continued=True,
        why="the meeting is the same under another name",
    ),
    Field(
        "all_day",
        ASKS_AGAIN,
        columns=("follow_up.all_day",),
        properties=("DTSTART",),
        label="When",
        load="all_day",
    ),
    Field(
        "deadline",
        ASKS_AGAIN,
        columns=("follow_up.deadline",),
        properties=("DTSTART", "DTEND"),
        label="Deadline",
        load="deadline",
    ),
    Field(
        "agenda",
        TELLS,
        columns=("follow_up.agenda",),
        properties=("DESCRIPTION",),
        label="Agenda",
        form=Form.TEXT,
        load="agenda",
        continued=True,
    ),
    Field(
        "location",
        ASKS_AGAIN,
        columns=("follow_up.location",),
        properties=("LOCATION",),
        label="Where",
        form=Form.LINE,
        load="location",
        continued=True,
    ),
    Field(
        "video_url",
        TELLS,
        columns=("follow_up.video_url",),
        properties=("DESCRIPTION", "URL", "CONFERENCE"),
        label="Video meeting",
        form=Form.LINE,
        load="video_url",
        continued=True,
    ),
    Field(
        "cancelled",
        CANCELS,
        columns=("follow_up.cancelled",),
        properties=("STATUS",),
        label="Cancelled",
        own_date=True,
        load="cancelled",
    ),
    Field(
        "recurrence",
        ASKS_AGAIN,
        columns=("follow_up.rrule",),
        properties=("RRULE",),
        label="Repeats",
        load="recurrence",
        continued=True,
    ),
    Field(
        "dates",
        ASKS_AGAIN,
        columns=("follow_up_date.follow_up", "follow_up_date.original_start"),
        load="instances",
    ),
    Field(
        "guests",
        SILENT,
        columns=(
            "participant.follow_up",
            "participant.person",
            "participant.associate",
            "participant.resource",
            "participant.email",
            "participant.name",
            "person.name",
            "person_email.person",
            "person_email.position",
            "person_email.address",
            "associate.email",
        ),
        properties=("ATTENDEE",),
        label="Participants",
        load="participants",
        why="who comes and goes is no reason to write to everybody (P12)",
    ),
    Field(
        "guest_list",
        TELLS,
        columns=("follow_up.guest_list",),
        properties=("ATTENDEE",),
        label="Guest list",
        load="guest_list",
        continued=True,
    ),
    Field(
        "guest_list_public",
        SILENT,
        columns=("follow_up.project",),
        properties=("ATTENDEE",),
        label="Guest list",
        load="project",
        why="a list that is `auto` follows its guests, who are no reason for a letter (P12)",
    ),
    Field(
        "sequence",
        OURS,
        properties=("SEQUENCE",),
        load="sequence",
        why="the planner's counter",
    ),
    Field(
        "significant",
        OURS,
        why="the planner's counter at what last asked everybody again",
    ),
    Field(
        "date_sequences",
        OURS,
        properties=("SEQUENCE",),
        why="the same, per date of its own",
    ),
    Field(
        "cancel_reason",
        SILENT,
        columns=("follow_up.cancel_reason",),
        properties=("COMMENT",),
        label="Reason",
        form=Form.LINE,
        own_date=True,
        load="cancel_reason",
        why="it goes with the CANCEL; who has that is not written to again",
    ),
    Field(
        "answer_by",
        SILENT,
        columns=("follow_up.answer_by",),
        label="Answers wanted by",
        load="answer_by",
        why="the reminder names it; a calendar has no place for it",
    ),
    Field(
        "recurrence_id",
        OURS,
        properties=("RECURRENCE-ID",),
        why="the view of one invitee",
    ),
    Field(
        "availability",
        SILENT,
        columns=("follow_up.availability",),
        properties=("TRANSP",),
        load="availability",
        continued=True,
        why="whether others conflict; it takes place all the same",
    ),
)
"""In the order of `model.Edition`."""

BESIDE = (
    Other("follow_up.key", "its name; one that is renamed is looked at under both"),
    Other("follow_up.assigned_by", "who asks, and whether the owner is asked"),
    Other("participant.original_start", "to which date somebody is invited"),
    Other("participant.email_invite", "the switch: whether somebody is invited"),
    Other("participant.removed", "whether somebody is invited"),
    Other("participant.set_status", "a toggle by hand, which the planner takes"),
    Other("person.language", "in which words the next letter is written"),
    Other("person.timezone", "by which clock the next letter tells the time"),
    Other("associate.language", "in which words the next letter is written"),
    Other("associate.timezone", "by which clock the next letter tells the time"),
)
"""Columns that the planner must hear of, although no edition has them."""

INTERNAL = (
    Other("follow_up.type", "for lists and statistics", continued=True, shown=True),
    Other("follow_up.notes", "internal notes never leave the house", continued=True, shown=True),
    Other("follow_up.company", "a link within the CRM", shown=True),
    Other("follow_up.person", "a link within the CRM", shown=True),
    Other("follow_up.sale", "a link within the CRM", shown=True),
    Other("follow_up.alarm_minutes", "the owner's own", continued=True, shown=True),
    Other("follow_up.priority", "the owner's own", continued=True, shown=True),
    Other("follow_up.completed", "the owner's own", shown=True),
    Other("follow_up.private", "who may read it in the CRM", continued=True, shown=True),
    Other("follow_up.fields", "user-defined, within the CRM", shown=True),
    Other("follow_up.uid", "the gateway's"),
    Other("follow_up.sequence", "the gateway's"),
    Other("follow_up.edition", "the gateway's"),
    Other("follow_up.created_at", "the gateway's"),
    Other("follow_up.created_by", "the gateway's"),
    Other("follow_up.changed_at", "the gateway's"),
    Other("follow_up.changed_by", "the gateway's"),
    Other("follow_up.forgotten", "the gateway's"),
    Other("participant.id", "the gateway's"),
    Other("participant.code", "the gateway's"),
    Other("participant.conflict", "the gateway's"),
    Other("participant.note", "the gateway's"),
    Other("participant.planned_for", "the gateway's"),
    Other("participant.announced", "the gateway's"),
    Other("participant.created_at", "the gateway's"),
    Other("participant.priority", "the invitee's own"),
    Other("participant.alarm_minutes", "the invitee's own"),
    Other("participant.given_token", "counts in the first letter; later ones keep what was sent"),
    Other("person.key", "participants follow it, and leave the mark"),
    Other("person.company", "a link within the CRM"),
    Other("associate.key", "owners and participants follow it, and leave the mark"),
    Other("associate.user_group", "to whose account a new invitation belongs; the old ones stay"),
    Other("associate.invitable", "who may be picked in the CRM"),
    Other("resource.key", "participants follow it, and leave the mark"),
    Other("resource.name", "a resource is no guest"),
    Other("resource.kind", "for lists"),
    Other("resource.resource_group", "for lists"),
    Other("resource.invitable", "who may be picked in the CRM"),
    Other("company.key", "a link within the CRM"),
    Other("company.name", "a link within the CRM"),
    Other("project.key", "follow-ups follow it, and leave the mark"),
    Other("project.name", "in no letter"),
    Other("selection.key", "in no letter"),
    Other("selection.name", "in no letter"),
    Other("project_member.project", "a list that becomes private so is told with the next letter"),
    Other("project_member.person", "a list that becomes private so is told with the next letter"),
    Other("selection_member.selection", "as of a project"),
    Other("selection_member.person", "as of a project"),
)
"""Columns whose change concerns no invitee, and why. Of a follow-up those that are shown leave a
mark, so that the journal can say it, and what ends with them (`completed`) ends at once.
"""


def columns(field: Field) -> tuple[str, ...]:
    """Where a field comes from, with the columns of single dates."""
    own = (
        column.replace("follow_up.", "follow_up_date.")
        for column in field.columns
        if field.own_date
    )
    return (*field.columns, *own)


WATCHED = frozenset(
    {
        *(column for field in FIELDS for column in columns(field)),
        *(field.column for field in BESIDE),
        *(field.column for field in INTERNAL if field.shown),
    }
)
"""Columns whose change leaves a mark."""

CONTINUED = frozenset(
    {
        *(column for field in FIELDS if field.continued for column in field.columns),
        *(field.column for field in (*BESIDE, *INTERNAL) if field.continued),
    }
)
"""Columns that may hold something else from one date of a series on."""

TOLD = tuple(
    (field.name, field.form)
    for field in FIELDS
    if field.significance is Significance.TELLS and field.form is not None
)
"""Texts whose change is told: the field, and how it is shown."""
