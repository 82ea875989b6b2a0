"""`load` says all that a CRM moves in with: what an administrator defines, what is each invitee's
own, and sources of participants (contract.md §3; domain.md §2, §3, §11)."""

import copy
from typing import Any

import pytest
import sqlalchemy as sa

from gateway.errors import InputError
from gateway.store import followups, journal, preferences, schema, schema_domain
from gateway.store.engine import Store
from tests.store import rows
from tests.store.test_load import plan, run, status, whole

EVERYTHING: dict[str, Any] = {
    "preferences": {"meeting_minutes": 45, "first_weekday": "sunday", "timezone": "Europe/Oslo"},
    "types": [
        {
            "key": "external",
            "name_nb": "Møte (eksternt)",
            "name_en": "Meeting (external)",
            "kind": "meeting",
            "colour": "#1F7A3D",
            "position": 1,
        },
        {"key": "phone", "name_en": "Phone call", "kind": "call"},
    ],
    "fields": [
        {"key": "value", "name_nb": "Verdi", "name_en": "Value", "type": "number"},
        {"key": "region", "type": "choice", "required": True, "choices": ["north", "south"]},
    ],
    "groups": [{"key": "sales", "name": "Sales"}],
    "resource_groups": [{"key": "rooms", "name": "Rooms"}],
    "associates": [
        {
            "key": "kari",
            "name": "Kari",
            "group": "sales",
            "preferences": {"call_minutes": 20, "alarm_minutes": "off"},
        },
        {"key": "per", "name": "Per", "group": "sales"},
        {"key": "gro", "name": "Gro", "group": "sales", "invitable": False},
    ],
    "companies": [{"key": "acme", "name": "Acme AS"}],
    "sales": [{"key": "s7", "name": "Hundred chairs", "company": "acme"}],
    "persons": [
        {"key": "ola", "name": "Ola", "company": "acme", "emails": ["ola@ext.example"]},
        {"key": "eva", "name": "Eva", "company": "acme"},
    ],
    "resources": [{"key": "room1", "name": "Fjord", "group": "rooms"}],
    "projects": [{"key": "p1", "name": "Launch", "members": ["ola", "eva"]}],
    "follow_ups": [
        {
            "key": "m1",
            "kind": "meeting",
            "type": "external",
            "owner": "kari",
            "assigned_by": "per",
            "title": "Kick-off",
            "start": "2037-12-01T09:00:00",
            "timezone": "Europe/Oslo",
            "sale": "s7",
            "fields": {"region": "north", "value": 1.5},
            "participants": [
                {"associate": "per", "priority": "high", "alarm_minutes": 10},
            ],
        }
    ],
}


def everything() -> dict[str, Any]:
    return copy.deepcopy(EVERYTHING)


def with_participants(*participants: dict[str, Any], **values: Any) -> dict[str, Any]:
    document = everything()
    document["follow_ups"][0] |= {"participants": list(participants), **values}
    return document


def refused(store: Store, document: Any) -> list[str]:
    """The places that are wrong, each with its words; nothing was written."""
    before = whole(store)
    with pytest.raises(InputError) as error:
        run(store, document)
    assert whole(store) == before
    return str(error.value).split("; ")


def invited(store: Store) -> dict[str, bool]:
    with store.read() as connection:
        return {one.key: one.email_invite for one in followups.members(connection, "m1")}


def test_everything_is_kept_and_reported(store: Store) -> None:
    report = run(store, everything())
    assert report.created == {
        "types": ["external", "phone"],
        "fields": ["region", "value"],
        "groups": ["sales"],
        "resource_groups": ["rooms"],
        "associates": ["gro", "kari", "per"],
        "companies": ["acme"],
        "sales": ["s7"],
        "persons": ["eva", "ola"],
        "resources": ["room1"],
        "projects": ["p1"],
        "follow_ups": ["m1"],
        "participants": ["m1/per"],
    }
    assert report.changed == {"preferences": ["site"]}
    with store.read() as connection:
        site, kari = preferences.SITE, preferences.of(connection, "kari")
        assert preferences.stated(connection, [site])[site] == EVERYTHING["preferences"]
        assert (kari.meeting_minutes, kari.call_minutes, kari.alarm_minutes) == (45, 20, None)
        kind = connection.execute(sa.select(schema_domain.follow_up_type)).first()
        assert kind == (
            "external",
            "Møte (eksternt)",
            "Meeting (external)",
            "meeting",
            "#1f7a3d",
            1,
        )
        row = connection.execute(sa.select(schema.follow_up)).one()
        assert (row.assigned_by, row.sale, row.type) == ("per", "s7", "external")
        own = connection.execute(sa.select(schema.participant)).one()
        assert (own.priority, own.alarm_minutes) == ("high", 10)


def test_loading_everything_again_changes_nothing_at_all(store: Store) -> None:
    run(store, everything())
    before = whole(store)
    report = run(store, everything())
    assert report.created == report.changed == {}
    assert report.left["preferences"] == ["site"]
    assert whole(store) == before


def test_what_a_document_does_not_say_stays(store: Store) -> None:
    """An old document knows neither preferences nor what is each invitee's own."""
    run(store, everything())
    document = with_participants({"associate": "per"})
    for associate in document["associates"]:
        associate.pop("preferences", None)
    for section in ("preferences", "types", "fields", "groups", "resource_groups", "sales"):
        del document[section]
    report = run(store, document)
    assert report.created == report.changed == {}
    with store.read() as connection:
        assert preferences.of(connection, "kari").call_minutes == 20
        own = connection.execute(sa.select(schema.participant)).one()
        assert (own.priority, own.alarm_minutes) == ("high", 10)


def test_what_is_said_to_be_nothing_is_taken_away(store: Store) -> None:
    run(store, everything())
    document = with_participants({"associate": "per", "priority": None, "alarm_minutes": None})
    document["associates"][0]["preferences"] = {"meeting_minutes": None}
    document["preferences"] = {"meeting_minutes": 30}
    report = run(store, document)
    assert report.changed == {
        "preferences": ["site"],
        "associates": ["kari"],
        "participants": ["m1/per"],
    }
    with store.read() as connection:
        said = preferences.stated(connection, ["kari", preferences.SITE])
        own = connection.execute(sa.select(schema.participant)).one()
    assert said == {"kari": {}, "": {"meeting_minutes": 30}}
    assert (own.priority, own.alarm_minutes) == ("", None)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("types", {"colour": "green"}, "types[0].colour: is a colour, like #1f7a3d"),
    ("types", {"kind": "party"}, "types[0].kind: input should be 'meeting', 'task' or 'call'"),
    ("fields", {"type": "money"}, "fields[0].type: input should be 'text', 'number'"),
    ("fields", {"type": "choice"}, "fields[0]: needs choices"),
    ("fields", {"choices": ["a"]}, "fields[0]: has choices, which go with the type choice only"),
    ("fields", {"type": "choice", "choices": ["a", "a"]}, "fields[0]: has a choice twice"),
    ("sales", {"company": "nobody"}, "sales[0].company: there is no company 'nobody'"),
    ("groups", {"colour": "#000000"}, "groups[0].colour: no such field"),
    (
        "associates",
        {"preferences": {"call_minutes": 0}},
        "associates[0].preferences.call_minutes: is a number of minutes, 1 to 1440",
    ),
    (
        "associates",
        {"preferences": {"timezone": "Europe/Oslo"}},
        "associates[0].preferences.timezone: no such field",
    ),
]


@pytest.mark.parametrize(("section", "values", "words"), WRONG)
def test_a_wrong_entry_names_its_place(
    store: Store, section: str, values: dict[str, Any], words: str
) -> None:
    assert refused(store, {section: [{"key": "x"} | values]})[0].startswith(words)


def test_a_wrong_preference_of_the_site_names_its_place(store: Store) -> None:
    assert refused(store, {"preferences": {"working_hours": {"monday": ["9", "17"]}}}) == [
        'preferences.working_hours: monday is from and to, like ["08:00", "16:00"], at most "24:00"'
    ]


def test_what_is_not_defined_is_an_error_where_it_is_said(store: Store) -> None:
    run(store, everything())
    document = with_participants(
        {"group": "board", "email_invite": True},
        {"company": "nobody"},
        key="m2",
        type="phone",
        sale="s8",
        fields={"value": "much", "size": 1},
    )
    document["associates"].append({"key": "new", "group": "board2"})
    assert refused(store, document) == [
        "follow_ups[0].participants[1].company: there is no company 'nobody'",
        "associates[3].group: there is no group 'board2'",
        "follow_ups[0].participants[0].group: there is no group 'board'",
        "follow_ups[0].type: 'phone' is a type of a call, and this is a meeting",
        "follow_ups[0].sale: there is no sale 's8'",
        "follow_ups[0].fields.value: is a number",
        "follow_ups[0].fields.size: there is no field 'size'",
        "there are region, value",
        "follow_ups[0].fields.region: is required",
    ]


def test_what_stood_there_before_it_was_defined_may_be_said_again(store: Store) -> None:
    old = with_participants(type="old type", sale="old sale", fields={"x": [1]})
    old["associates"][0]["group"] = "old group"
    for section in ("types", "fields", "groups", "resource_groups", "sales"):
        del old[section]
    run(store, old)
    definitions = {name: EVERYTHING[name] for name in ("types", "fields", "groups", "sales")}
    run(store, {"companies": EVERYTHING["companies"]} | definitions)
    assert run(store, old).changed == {}
    old["follow_ups"][0]["sale"] = "another"
    old["associates"][0]["group"] = "another"
    assert refused(store, old) == [
        "associates[0].group: there is no group 'another'",
        "follow_ups[0].sale: there is no sale 'another'",
    ]


def test_a_source_adds_everybody_who_is_not_there_yet(store: Store) -> None:
    """domain.md §3: rows, not references; who is there already stays."""
    run(store, with_participants({"person": "ola", "removed": True}))
    report = run(
        store,
        with_participants(
            {"project": "p1", "email_invite": True},
            {"group": "sales", "email_invite": True},
            {"resource_group": "rooms", "email_invite": True},
        ),
    )
    # Kari is the owner; nobody may invite Gro; Eva has no address; Ola was removed.
    assert invited(store) == {"per": False, "ola": False, "eva": False, "room1": False}
    assert report.created["participants"] == ["m1/eva", "m1/per", "m1/room1"]
    assert report.notes == [
        "follow_ups[0].participants[1].gro is not invited: nobody may (invitable)",
        "follow_ups[0].participants[0].eva: email_invite stays off: no valid e-mail address",
        "follow_ups[0].participants[1].per: email_invite stays off: no valid e-mail address",
    ]
    run(store, {"persons": [{"key": "new", "company": "acme", "emails": ["new@ext.example"]}]})
    again = with_participants({"company": "acme", "email_invite": True}, {"all": "resources"})
    assert run(store, again).created == {"participants": ["m1/new"]}
    assert invited(store)["new"]
    assert plan(store) == [("new@ext.example", "REQUEST", 0)]


def test_a_source_of_one_date_adds_to_that_date(store: Store) -> None:
    series = {
        "recurrence": {"rrule": "FREQ=WEEKLY;COUNT=3"},
        "end": "2037-12-01T10:00:00",
    }
    source = {"project": "p1", "original_start": "2037-12-08T09:00:00", "email_invite": True}
    report = run(store, with_participants({"person": "eva"}, source, **series))
    assert report.created["participants"] == ["m1/eva", "m1/ola for 2037-12-08T08:00:00Z"]
    assert run(store, with_participants({"person": "eva"}, source, **series)).created == {}


def test_a_source_has_nothing_that_is_one_invitees_own(store: Store) -> None:
    document = with_participants(
        {"project": "p1", "name": "All", "token": "t"}, {"project": "p1", "person": "ola"}
    )
    words = "goes with one invitee, not with a source of them"
    faults = refused(store, document)
    assert sorted(faults[:2]) == [
        f"follow_ups[0].participants[0].{name}: {words}" for name in ("name", "token")
    ]
    assert faults[2] == "follow_ups[0].participants[1]: names person and project"


def test_progress_is_kept_of_those_who_accepted(store: Store) -> None:
    """domain.md §4: 1, 2 and 3."""
    run(store, with_participants({"person": "ola"}, {"person": "eva"}))
    rows.run(
        store,
        "UPDATE participant SET set_status = 1 WHERE person = 'ola'",
    )
    plan(store)
    said = [{"person": key, "progress": "started"} for key in ("ola", "eva")]
    report = run(store, with_participants(*said))
    assert report.changed == {"participants": ["m1/ola"]}
    assert report.notes == [
        "follow_ups[0].participants[1].progress: only who has accepted has a progress; accept it first"
    ]
    assert {key: row.status for key, row in status(store).items()} == {
        "ola": "started",
        "eva": "invitation",
    }
    with store.read() as connection:
        [entry] = [one for one in journal.after(connection, 0) if one.event == "progress"]
    assert (entry.before, entry.after, entry.by) == ("not_started", "started", "load")
    assert run(store, with_participants(*said)).changed == {}
    assert plan(store) == []
