"""The table of fields holds for every column on both databases: a change by plain SQL leaves a mark,
owes the letter that it should, which says so in words and in its calendar object.

A column or a field that is forgotten somewhere fails here, with what is missing and where.
"""

import email
import email.policy
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import fields as attributes
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from gateway import i18n, shapes
from gateway import settings as configuration
from gateway.actions import load, load_format, one_follow_up
from gateway.actions.context import Context
from gateway.followups import fields
from gateway.followups.fields import Field, Significance
from gateway.ical import ics
from gateway.model import (
    DateChange,
    Delivery,
    Edition,
    Letter,
    LetterState,
    Method,
    Reply,
    Standing,
)
from gateway.store import (
    claims,
    faults,
    followups,
    marked,
    reading,
    rewriting,
    schema,
    schema_letters,
    stated,
    triggers,
)
from gateway.store.engine import Connection, Store
from gateway.store.outbox import Settlement
from gateway.store.series import DateRow
from gateway.writing import render
from tests.store import rows

TABLE = "gateway/followups/fields.py"
SETTINGS = configuration.load(
    overrides={"mail": {"address": "invites@crm.example", "language": "en"}}
)
SECRET = b"a site secret"
OLA = "ola@ext.example"
NOW = rows.NOW
ENGLISH = i18n.catalogue("en")
BY_NAME = {field.name: field for field in fields.FIELDS}
LETTERS = [field for field in fields.FIELDS if field.significance is not Significance.OURS]

RECORD = """
INSERT INTO company (key, name) VALUES ('acme', 'Acme AS'), ('bolt', 'Bolt AS');
INSERT INTO associate (key, name, email) VALUES ('kari', 'Kari', 'kari@crm.example'), ('per', 'Per', 'per@crm.example');
INSERT INTO person (key, name) VALUES ('ola', 'Ola Hansen'), ('lise', 'Lise');
INSERT INTO person_email (person, position, address) VALUES ('ola', 0, 'ola@ext.example');
INSERT INTO resource (key, name) VALUES ('room1', 'Fjord'), ('room2', 'Fjell');
INSERT INTO project (key, name) VALUES ('p1', 'One'), ('p2', 'Two');
INSERT INTO selection (key, name) VALUES ('s1', 'One'), ('s2', 'Two');
INSERT INTO project_member (project, person) VALUES ('p1', 'lise');
INSERT INTO selection_member (selection, person) VALUES ('s1', 'lise');
INSERT INTO follow_up (key, owner, title, agenda, location, video_url, start_at, end_at, timezone, guest_list, answer_by)
  VALUES ('single', 'kari', 'Kick-off', 'Coffee', 'Fjord', 'https://meet.example/1', '2026-12-01 08:00:00',
          '2026-12-01 09:00:00', 'Europe/Oslo', 'public', '2026-11-28 12:00:00');
INSERT INTO follow_up (key, owner, title, start_at, end_at, timezone)
  VALUES ('automatic', 'kari', 'Review', '2026-12-01 08:00:00', '2026-12-01 09:00:00', 'Europe/Oslo');
INSERT INTO follow_up (key, owner, title, start_at, end_at, timezone, rrule, guest_list)
  VALUES ('series', 'kari', 'Weekly', '2026-12-01 08:00:00', '2026-12-01 09:00:00', 'Europe/Oslo',
          'FREQ=WEEKLY;COUNT=6;BYDAY=TU', 'private');
INSERT INTO follow_up_date (follow_up, original_start, start_at, end_at)
  VALUES ('series', '2026-12-08 08:00:00', '2026-12-08 10:00:00', '2026-12-08 11:00:00');
INSERT INTO follow_up (key, owner, kind, title, deadline, timezone, guest_list)
  VALUES ('task', 'kari', 'task', 'Offer', '2026-12-01 11:00:00', 'Europe/Oslo', 'private');
INSERT INTO participant (follow_up, person, email_invite) SELECT key, 'ola', TRUE FROM follow_up;
INSERT INTO participant (follow_up, email, name, email_invite) SELECT key, 'eva@other.example', 'Eva', TRUE FROM follow_up;
INSERT INTO participant (follow_up, associate) VALUES ('single', 'per');
INSERT INTO participant (follow_up, resource) VALUES ('single', 'room1');
"""
FOLLOW_UPS = ("single", "automatic", "series", "task")
ROWS = {
    "follow_up": "key = 'single'",
    "follow_up.deadline": "key = 'task'",
    "follow_up.project": "key = 'automatic'",
    "follow_up.rrule": "key = 'series'",
    "follow_up_date": "follow_up = 'series'",
    "participant": "follow_up = 'single' AND person = 'ola'",
    "participant.follow_up": "follow_up = 'single' AND associate = 'per'",
    "participant.associate": "follow_up = 'single' AND associate = 'per'",
    "participant.email": "follow_up = 'single' AND email = 'eva@other.example'",
    "participant.name": "follow_up = 'single' AND email = 'eva@other.example'",
    "participant.resource": "follow_up = 'single' AND resource = 'room1'",
    "person": "key = 'ola'",
    "person_email": "person = 'ola'",
    "associate": "key = 'kari'",
    "resource": "key = 'room1'",
    "company": "key = 'acme'",
    "project": "key = 'p1'",
    "selection": "key = 's1'",
    "project_member": "project = 'p1'",
    "selection_member": "selection = 's1'",
}
"""Which row is changed, by the column or its table."""
VALUES = {
    "associate.email": "'kari@other.example'",
    "follow_up.all_day": "TRUE",
    "follow_up.answer_by": "'2026-11-26 12:00:00'",
    "follow_up.assigned_by": "'per'",
    "follow_up.availability": "'free'",
    "follow_up.company": "'bolt'",
    "follow_up.created_at": "'2026-11-01 08:00:00'",
    "follow_up.deadline": "'2026-12-03 11:00:00'",
    "follow_up.end_at": "'2026-12-01 10:00:00'",
    "follow_up.fields": "'{\"a\": 1}'",
    "follow_up.guest_list": "'private'",
    "follow_up.kind": "'call'",
    "follow_up.owner": "'per'",
    "follow_up.person": "'lise'",
    "follow_up.project": "'p1'",
    "follow_up.rrule": "'FREQ=DAILY;COUNT=6'",
    "follow_up.start_at": "'2026-12-01 07:00:00'",
    "follow_up.timezone": "'Europe/Berlin'",
    "follow_up_date.end_at": "'2026-12-08 12:00:00'",
    "follow_up_date.follow_up": "'single'",
    "follow_up_date.original_start": "'2026-12-15 08:00:00'",
    "follow_up_date.start_at": "'2026-12-08 10:30:00'",
    "participant.associate": "'kari'",
    "participant.created_at": "'2026-11-01 08:00:00'",
    "participant.follow_up": "'automatic'",
    "participant.original_start": "'2026-12-08 08:00:00'",
    "participant.person": "'lise'",
    "participant.resource": "'room2'",
    "participant.set_status": "9",
    "person.company": "'bolt'",
    "person_email.address": "'hansen@ext.example'",
    "person_email.person": "'lise'",
    "project_member.person": "'ola'",
    "project_member.project": "'p2'",
    "selection_member.person": "'ola'",
    "selection_member.selection": "'s2'",
}
"""What a column is changed to, where not any text, number or flag will do."""
LOADED = {
    "alarm_minutes": 15,
    "all_day": True,
    "answer_by": "2026-11-28T12:00:00",
    "availability": "free",
    "assigned_by": "per",
    "cancelled": True,
    "company": "bolt",
    "completed": True,
    "deadline": "2026-12-01",
    "end": "2026-12-03",
    "fields": {"region": "north"},
    "guest_list": "public",
    "instances": [{"original_start": "2026-12-08", "start": "2026-12-09"}],
    "kind": "call",
    "owner": "kari",
    "participants": [{"person": "ola"}],
    "person": "lise",
    "private": True,
    "project": "p1",
    "recurrence": {"rrule": "FREQ=WEEKLY"},
    "sequence": 7,
    "start": "2026-12-01",
    "timezone": "Europe/Oslo",
}
"""What `load` is given for a field, where not any text will do."""
STATEMENTS = {
    "dates": "INSERT INTO follow_up_date (follow_up, original_start, start_at)"
    " VALUES ('series', '2026-12-15 08:00:00', '2026-12-16 08:00:00')",
    "guests": "UPDATE participant SET name = 'another' WHERE email = 'eva@other.example'",
}
"""How a field is changed that is no column."""
NAMED = {"person.key", "associate.key", "resource.key", "project.key"}
"""Columns that others refer to by a foreign key: those are what changes."""
GATEWAYS = "the gateway's"


# --- The table itself ---


def test_every_field_of_an_edition_stands_in_the_table() -> None:
    known = {one.name for one in attributes(Edition)}
    missing = [f"{TABLE}: Edition.{name} has no Field" for name in sorted(known - set(BY_NAME))]
    stale = [f"{TABLE}: Edition has no field {name}" for name in sorted(set(BY_NAME) - known)]
    assert not missing + stale
    assert len(BY_NAME) == len(fields.FIELDS)


def test_every_fact_of_a_single_date_stands_in_the_table() -> None:
    own = {field.name for field in fields.FIELDS if field.own_date}
    assert {one.name for one in attributes(DateChange)} == own | {"original"}, (
        f"{TABLE}: `own_date` and model.DateChange differ"
    )
    table = {one.name for one in schema.follow_up_date.columns}
    assert {one.name for one in attributes(DateRow)} == table - {"follow_up"}, (
        "store/series.DateRow lacks a column of follow_up_date: a split would lose it"
    )


def test_every_column_stands_in_the_table_once() -> None:
    named = [column for field in fields.FIELDS for column in fields.columns(field)]
    named += [one.column for one in (*fields.BESIDE, *fields.INTERNAL)]
    tables = {column.partition(".")[0] for column in named}
    there = {
        f"{table}.{column.name}"
        for table in tables
        for column in schema.metadata.tables[table].columns
    }
    missing = [
        f"{TABLE}: {column} is named neither by a Field, nor in BESIDE, nor in INTERNAL:"
        " has it a trigger, and what does an invitee see of it?"
        for column in sorted(there - set(named))
    ]
    stale = [f"{TABLE}: the store has no {column}" for column in sorted(set(named) - there)]
    assert not missing + stale
    assert len(named) == len(set(named))


def test_every_watched_table_has_triggers() -> None:
    assert {column.partition(".")[0] for column in fields.WATCHED} == set(triggers.CONCERNED), (
        "store/triggers.CONCERNED: a table with watched columns has no query, or one too many"
    )


@pytest.mark.parametrize("field", fields.FIELDS, ids=lambda field: field.name)
def test_every_field_says_enough(field: Field) -> None:
    owes = field.significance in (
        Significance.ASKS_AGAIN,
        Significance.CANCELS,
        Significance.TELLS,
    )
    if owes and field.name != "dates":  # each date is told by what is its own
        assert field.label, f"{TABLE}: {field.name} makes a letter owed; under which label?"
        assert field.properties, f"{TABLE}: {field.name} makes a letter owed; in which property?"
    if not owes:
        assert field.why, f"{TABLE}: {field.name} makes no letter owed; why not?"
    if field.significance is not Significance.OURS:
        assert field.columns, f"{TABLE}: {field.name} has no column, so no trigger either"
        assert field.load, f"{TABLE}: {field.name} has no name in the load format"


def test_every_field_can_be_loaded() -> None:
    known = set(load_format.FollowUp.model_fields)
    named = {field.load for field in fields.FIELDS if field.load}
    columns = {
        one.column.removeprefix("follow_up.")
        for one in (*fields.BESIDE, *fields.INTERNAL)
        if one.column.startswith("follow_up.")
    }
    lacking = [f"actions/load_format.FollowUp has no {name}" for name in sorted(named - known)]
    unknown = [f"{TABLE}: nothing is loaded as {name}" for name in sorted(known - named - columns)]
    assert not lacking + unknown


def test_every_field_reaches_its_column_by_load(store: Store) -> None:
    rows.run(store, *RECORD.split(";\n")[:8])
    values = {field.load: LOADED.get(field.load, "another") for field in LETTERS}
    with store.write() as connection:
        load.load(connection, {"follow_ups": [{"key": "loaded"} | values]}, SETTINGS, NOW)
        row = connection.execute(sa.select(schema.follow_up)).mappings().one()
        usual = (
            connection.execute(
                sa.insert(schema.follow_up).values(key="usual").returning(schema.follow_up)
            )
            .mappings()
            .one()
        )
        for table in (schema.follow_up_date, schema.participant):
            assert connection.execute(sa.select(table)).one()
    left = [
        f"actions/load.py does not write {field.load} of the load format into {column}"
        for field in LETTERS
        for column in field.columns
        if column.startswith("follow_up.")
        and row[column.removeprefix("follow_up.")] == usual[column.removeprefix("follow_up.")]
    ]
    assert not left


def test_every_field_is_shown_as_it_was_written(store: Store) -> None:
    """Also a dialog depends on that: it writes back what is shown with what it changes."""
    rows.run(store, *RECORD.split(";\n")[:8])
    values = {name: LOADED.get(name, "another") for name in sorted(writable_fields())}
    with store.write() as connection:
        document = {"fields": [{"key": "region"}], "follow_ups": [{"key": "loaded"} | values]}
        load.load(connection, document, SETTINGS, NOW)
        connection.execute(sa.insert(schema.follow_up).values(key="usual"))
        loaded, usual = (
            shapes.follow_up(view)
            for view in reading.follow_ups(
                connection, ["loaded", "usual"], SETTINGS.mail.timezone, participants=True
            )
        )
    lacking = [f"gateway.shapes.follow_up has no {name}" for name in values.keys() - loaded.keys()]
    unread = [
        f"store/reading.follow_ups does not read {name}"
        for name in sorted(values.keys() & loaded.keys())
        if loaded[name] == usual[name]
    ]
    assert not sorted(lacking) + unread


def writable_fields() -> set[str]:
    """What `load` takes of a follow-up, but for its key."""
    return set(load_format.FollowUp.model_fields) - {"key"}


def test_every_text_of_an_edition_is_marked_and_put_back() -> None:
    """What cannot be read of it is said, and the brake writes it back."""
    texts = {
        column.removeprefix("follow_up.")
        for field in fields.FIELDS
        if field.form is not None
        for column in field.columns
    }
    unmarked = [f"store/faults.FOLLOW_UP lacks {name}" for name in texts - set(faults.FOLLOW_UP)]
    lost = [f"store/rewriting.PLAIN lacks {name}" for name in texts - set(rewriting.PLAIN)]
    assert not sorted(unmarked + lost)


def test_every_column_that_others_write_stands_in_the_contract() -> None:
    page = (Path(__file__).parents[2] / "docs" / "contract.md").read_text(encoding="utf-8")
    lacking = list[str]()
    for table in ("follow_up", "follow_up_date", "participant"):
        row = re.search(rf"(?m)^\| `{table}` \|(.*)$", page)
        assert row is not None
        named = set(re.findall(r"\w+", row[1]))
        watched = {one.partition(".")[2] for one in fields.WATCHED if one.startswith(f"{table}.")}
        lacking += [f"docs/contract.md §4: {table} lacks {name}" for name in watched - named]
    assert not sorted(lacking)


# --- From a column to a letter ---


@dataclass(frozen=True)
class Told:
    """A letter to Ola as he reads it. `events`: the properties of each, by its RECURRENCE-ID."""

    letter: Letter
    subject: str
    facts: Mapping[str, tuple[str, ...]]
    changed: Mapping[str, tuple[str, ...]]
    events: Mapping[str, Mapping[str, list[str]]]


def begin(store: Store) -> dict[str, Told]:
    """Four follow-ups, planned; Ola holds and has accepted each. No mark is left. Returns what he
    holds.
    """
    rows.run(store, *filter(str.strip, RECORD.split(";\n")))
    with store.write() as connection:
        for key in FOLLOW_UPS:
            plan(connection, key)
        first = claims.take(connection, "test", NOW, 100)
        assert len(first) == 2 * len(FOLLOW_UPS)
        settle(connection)
        accepted = Standing(Reply.ACCEPTED, seen=True, sequence=0, dtstamp=NOW, arrived=NOW)
        for member in followups.members(connection):
            if member.key == "ola":
                followups.write_standing(connection, member.id, None, accepted, 1)
        connection.execute(sa.delete(schema.change_mark))
    return {one.follow_up: told(one.letter) for one in first if one.letter.address == OLA}


def settle(connection: Connection) -> None:
    """What was claimed has left."""
    sending = schema_letters.outbox.c.state == LetterState.SENDING
    numbers = (
        connection.execute(sa.select(schema_letters.outbox.c.id).where(sending)).scalars().all()
    )
    sent = [Settlement(one, LetterState.SENT, True, Delivery.SENT) for one in numbers]
    claims.settle(connection, sent, [], "test", NOW)


def plan(connection: Connection, key: str) -> None:
    one_follow_up.update(connection, key, Context.read(connection, SETTINGS, NOW))


@contextmanager
def tried(store: Store, *statements: str) -> Iterator[tuple[Connection, list[str]]]:
    """After these statements: the follow-ups that have a mark. Nothing of it stays."""
    with store.write() as connection:
        savepoint = connection.begin_nested()
        for statement in statements:
            connection.exec_driver_sql(statement)
        marks = connection.execute(sa.select(schema.change_mark.c.follow_up).distinct()).scalars()
        yield connection, sorted(marks)
        savepoint.rollback()


def edition(connection: Connection, key: str) -> Edition:
    """The follow-up as the planner reads it."""
    site = stated.Site(SETTINGS.mail.timezone, SETTINGS.mail.language)
    read = stated.edition(connection, key, site, followups.members(connection, key))
    assert read is not None
    return read


def to_ola(connection: Connection, key: str) -> list[Told]:
    """What he is sent once the follow-up was planned."""
    plan(connection, key)
    claimed = claims.take(connection, "test", NOW + timedelta(minutes=1), 100)
    return [told(one.letter) for one in claimed if one.letter.address == OLA]


def told(letter: Letter) -> Told:
    content = render.render(letter, SETTINGS.mail, SECRET)
    message = email.message_from_bytes(content, policy=email.policy.default)
    body = message.get_body(("plain",))
    assert body is not None
    text, heading = body.get_content().replace("\r\n", "\n"), ENGLISH.gettext("What has changed")
    facts, _, changed = text.partition(f"\n{heading}\n{'-' * len(heading)}\n")
    return Told(
        letter,
        message["Subject"],
        blocks(facts),
        blocks(changed.partition("\n\n")[0]),
        events(ics.calendar(letter)),
    )


def events(calendar: bytes) -> dict[str, dict[str, list[str]]]:
    """The lines of each event by their names, as they are written."""
    found = dict[str, dict[str, list[str]]]()
    for event in calendar.decode().replace("\r\n ", "").split("BEGIN:VEVENT\r\n")[1:]:
        lines = dict[str, list[str]]()
        for line in event.partition("END:VEVENT")[0].splitlines():
            lines.setdefault(re.split("[;:]", line)[0], []).append(line)
        found["".join(lines.get("RECURRENCE-ID", ()))] = lines
    return found


def blocks(text: str) -> dict[str, tuple[str, ...]]:
    """Label → the lines beneath it, or what stands beside it."""
    found, label = dict[str, tuple[str, ...]](), ""
    for line in text.split("\n"):
        if line.startswith("  ") and label:
            found[label] += (line.strip(),)
        elif beside := re.fullmatch(r"([^:]+): *(.*)", line):
            label = beside[1]
            found[label] = (beside[2],) if beside[2] else ()
    return found


def update(column: str) -> str:
    """This column, changed as another program would."""
    table, _, name = column.partition(".")
    kind = schema.metadata.tables[table].columns[name].type
    usual: dict[type, str] = {
        sa.Text: "'another'",
        sa.Boolean: f"NOT {name}",
        sa.Integer: "7",
        marked.Zone: "'Europe/London'",
        marked.Instant: "'2026-11-27 08:00:00'",
    }
    value = VALUES.get(column) or next(
        literal for one, literal in usual.items() if isinstance(kind, one)
    )
    return f"UPDATE {table} SET {name} = {value} WHERE {ROWS.get(column, ROWS[table])}"


@dataclass(frozen=True)
class Case:
    """A field changed, for all of a follow-up or for one date of it. `company`: what makes the
    letter owed that shows a silent one.
    """

    key: str
    statement: str
    company: tuple[str, ...]
    date: bool


def cases(field: Field) -> Iterator[Case]:
    if field.name in STATEMENTS:
        columns = {field.columns[0]: STATEMENTS[field.name]}
    elif field.own_date:
        columns = {column: update(column) for column in fields.columns(field)}
    else:
        columns = {field.columns[0]: update(field.columns[0])}
    for column, statement in columns.items():
        table, where = column.partition(".")[0], ROWS.get(column, ROWS[column.partition(".")[0]])
        company = f"UPDATE follow_up SET location = 'company' WHERE {where}"
        if field.name == "cancel_reason":
            company = f"UPDATE {table} SET cancelled = TRUE WHERE {where}"
        elif table != "follow_up":
            company = "UPDATE follow_up SET location = 'company' WHERE key = 'single'"
        silent = field.significance is Significance.SILENT
        key = re.findall(r"(?:key|follow_up) = '(\w+)'", where)[0]
        yield Case(key, statement, (company,) if silent else (), table == "follow_up_date")


def test_a_change_of_a_watched_column_leaves_a_mark(store: Store) -> None:
    begin(store)
    silent = list[str]()
    for column in sorted(fields.WATCHED):
        with tried(store, update(column)) as (_, marks):
            if not marks:
                silent.append(f"{update(column)} leaves no mark: its trigger is missing")
    assert not silent


def test_a_change_of_an_internal_column_is_told_to_nobody(store: Store) -> None:
    begin(store)
    noticed = list[str]()
    shown = {one.column for one in fields.INTERNAL if one.shown}
    with store.read() as connection:
        single = edition(connection, "single")
    for column in (one.column for one in fields.INTERNAL if one.why != GATEWAYS):
        with tried(store, update(column)) as (connection, marks):
            if column not in {*NAMED, *shown} and marks:
                noticed.append(f"{column} leaves a mark")
            if column.startswith("follow_up.") and edition(connection, "single") != single:
                noticed.append(f"{column} stands in an edition, without a trigger")
            for key in FOLLOW_UPS:
                noticed += [f"{column} makes a letter owed" for _ in to_ola(connection, key)]
    assert not noticed, f"{TABLE} says INTERNAL"


@pytest.mark.parametrize("field", LETTERS, ids=lambda field: field.name)
def test_a_change_of_a_field_is_told_as_the_table_says(store: Store, field: Field) -> None:
    held = begin(store)
    for case in cases(field):
        with tried(store, case.statement) as (connection, marks):
            assert case.key in marks, f"{case.statement} leaves no mark: its trigger is missing"
            if case.company:
                assert not to_ola(connection, case.key), (
                    f"{case.statement} makes a letter owed; {TABLE} says that it is silent"
                )
        with tried(store, *case.company) as (connection, _):
            before = facts(connection, case)
            base = to_ola(connection, case.key)[0] if case.company else held[case.key]
        with tried(store, *case.company, case.statement) as (connection, _):
            if field.name != "guests":  # the planner's to say
                assert facts(connection, case)[field.name] != before[field.name], (
                    f"{case.statement} changes nothing of Edition.{field.name}:"
                    " store/stated.edition does not read it"
                )
            letters = to_ola(connection, case.key)
        assert len(letters) == 1, (
            f"{case.statement} owes {len(letters)} letters; {TABLE} says that it"
            f" {field.significance.value}: the comparison is missing (followups/editions.py: `_frame` or"
            " `place`; for what tells, `form` of the Field)"
        )
        check(field, case, letters[0], base)


def facts(connection: Connection, case: Case) -> Mapping[str, Any]:
    """The edition that the planner reads; for a date of it, what is said of that."""
    read = edition(connection, case.key)
    if case.date:
        return dict.fromkeys(BY_NAME, (read.recurrence, read.dates))
    return {name: getattr(read, name) for name in BY_NAME}


def check(field: Field, case: Case, letter: Told, base: Told) -> None:
    """That a letter tells the change as the table says, against one that does not tell it."""
    label = ENGLISH.gettext(field.label or "When")
    names = field.properties if field.name != "dates" else ("RECURRENCE-ID",)
    what = f"{case.statement}: the letter"
    event = next(iter(letter.events.values()))
    same = base.events.get(next(iter(letter.events)), next(iter(base.events.values())))
    raised = int(event["SEQUENCE"][0][9:]) > int(same["SEQUENCE"][0][9:])
    method = letter.letter.method
    match field.significance:
        case Significance.ASKS_AGAIN:
            assert method is Method.REQUEST
            assert raised, f"{what} asks again with the SEQUENCE of the last one"
            assert letter.letter.reply is Reply.NEEDS_ACTION, f"{what} shows the old answer"
            assert "PARTSTAT=NEEDS-ACTION;RSVP=TRUE" in event["ATTENDEE"][0]
        case Significance.CANCELS:
            assert method is Method.CANCEL
            assert raised, f"{what} cancels with the SEQUENCE of the last one"
            assert letter.subject.startswith(f"{label}: ")
        case Significance.TELLS:
            assert method is Method.REQUEST
            assert not raised, f"{what} raises the SEQUENCE"
            assert letter.letter.reply is Reply.ACCEPTED, f"{what} takes the answer away"
            assert "PARTSTAT=ACCEPTED" in event["ATTENDEE"][0]
    if field.significance in (Significance.ASKS_AGAIN, Significance.TELLS):
        label = ENGLISH.gettext("When") if case.date else label
        assert label in letter.changed, (
            f'{what} does not say under "What has changed" that {label!r} did, only'
            f" {sorted(letter.changed)}: writing/wording.py, Teller.differences"
        )
    elif field.significance is Significance.SILENT and field.label:
        assert letter.facts.get(label) != base.facts.get(label) or letter.changed.get(
            label
        ) != base.changed.get(label), (
            f"{what} says nothing else under {label!r}: writing/wording.py, Teller"
        )
    for name in names:
        assert event.get(name) != same.get(name), (
            f"{what} has the same {name} in its calendar object: ical/ics.py does not write it"
        )


def test_who_was_cancelled_is_asked_again(store: Store) -> None:
    begin(store)
    cancels = [one for one in fields.FIELDS if one.significance is Significance.CANCELS]
    for case in (case for field in cancels for case in cases(field)):
        with tried(store, case.statement) as (connection, _):
            (gone,) = to_ola(connection, case.key)
            settle(connection)
            connection.exec_driver_sql(case.statement.replace("= NOT cancelled", "= FALSE"))
            (back,) = to_ola(connection, case.key)
        assert back.letter.method is Method.REQUEST
        assert back.letter.sequence > gone.letter.sequence
        assert back.letter.reply is Reply.NEEDS_ACTION


@pytest.mark.parametrize(
    "field", [one for one in LETTERS if one.form is not None], ids=lambda field: field.name
)
def test_white_space_is_no_change(store: Store, field: Field) -> None:
    begin(store)
    (column,) = field.columns
    name = column.removeprefix("follow_up.")
    with tried(store, f"UPDATE follow_up SET {name} = {name} || ' '") as (connection, _):
        assert not any(to_ola(connection, key) for key in FOLLOW_UPS)
