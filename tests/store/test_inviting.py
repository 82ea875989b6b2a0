"""Who takes part and who is mailed, as the owner decides: sources, the switch, removing, addresses,
sending again (domain.md §3), on both databases.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from gateway import settings as configuration
from gateway.actions import answering, desk, inviting, planning
from gateway.actions.answering import Said
from gateway.actions.desk import Desk
from gateway.actions.inviting import Added
from gateway.errors import Forbidden, GatewayError, InputError, Refused
from gateway.followups import invitees
from gateway.followups.invitees import Entry, Source
from gateway.model import Access, Actor, Channel, Delivery, LetterState, Method, Reply
from gateway.store import claims, followups, journal, schema, stated
from gateway.store.engine import Store
from gateway.store.followups import Member
from gateway.store.outbox import Settlement
from tests.store import rows

T = TypeVar("T")
SETTINGS = configuration.load(
    overrides={"mail": {"address": "invites@crm.example", "language": "en"}}
)
MAILLESS = configuration.load(overrides={"mail": {"language": "en"}})
KARI = Actor(Access.USER, "kari", "kari")
PER = Actor(Access.USER, "per", "per", Channel.PAGE)
NINA = Actor(Access.USER, "nina", "nina")
CRM = Actor(Access.CRM, name="office")
OLA, EVA = Entry(Source.PERSON, "ola"), Entry(Source.PERSON, "eva")
HOUSE = """
INSERT INTO associate (key, name, email, user_group, invitable) VALUES ('nina', 'Nina', 'nina@crm.example', 'sales', TRUE), ('system', 'System', '', 'sales', FALSE);
UPDATE person SET company = 'acme';
INSERT INTO person (key, name) VALUES ('ivar', 'Ivar'), ('liv', 'Liv');
INSERT INTO person_email (person, position, address) VALUES ('ivar', 0, 'ivar@ext.example'), ('liv', 0, 'liv@ext,example');
INSERT INTO resource (key, name, resource_group, invitable) VALUES ('room2', 'Elv', 'rooms', TRUE), ('room3', 'Old', 'rooms', FALSE);
INSERT INTO project (key, name) VALUES ('p1', 'Launch'), ('empty', 'Nobody');
INSERT INTO selection (key, name) VALUES ('s1', 'Customers');
INSERT INTO project_member (project, person) VALUES ('p1', 'ola'), ('p1', 'ivar');
INSERT INTO selection_member (selection, person) VALUES ('s1', 'liv');
INSERT INTO user_group (key, name) VALUES ('board', 'Board');
INSERT INTO follow_up (key, owner, title, start_at, end_at) VALUES ('new', 'kari', 'Plan', '2026-12-03 08:00:00', '2026-12-03 09:00:00')
"""


@pytest.fixture
def office(store: Store) -> Store:
    """The directory, "m1" with Ola and Per, planned, and "new" with nobody."""
    rows.begin(store)
    rows.run(store, *filter(str.strip, HOUSE.split(";")))
    rows.run(store, "INSERT INTO change_mark (follow_up) VALUES ('m1')")
    plan(store)
    return store


def do(
    store: Store,
    actor: Actor,
    command: Callable[[Desk], T],
    settings: configuration.Settings = SETTINGS,
    *,
    later: timedelta = timedelta(),
) -> desk.Outcome[T]:
    return desk.perform(store, settings, rows.NOW + later, actor, command)


def add(
    store: Store,
    *entries: Entry,
    key: str = "new",
    actor: Actor = KARI,
    mailed: bool = False,
    settings: configuration.Settings = SETTINGS,
) -> list[tuple[int, str, str, str]]:
    """What becomes of whom: entry, who, result, reason."""
    made = do(
        store, actor, lambda here: inviting.add(here, key, entries, email_invite=mailed), settings
    )
    return [(one.entry, one.who, str(one.result), str(one.reason)) for one in made.answer]


def members(store: Store, key: str = "new") -> dict[str, Member]:
    with store.read() as connection:
        return {one.who.partition(":")[2]: one for one in followups.members(connection, key)}


def said(store: Store, key: str = "new") -> list[tuple[str, str, str | None, str]]:
    with store.read() as connection:
        return [
            (one.event, one.by, one.channel, one.detail)
            for one in journal.after(connection, 0, follow_up=key)
            if one.event not in ("queued", "superseded")
        ]


def plan(store: Store, settings: configuration.Settings = SETTINGS) -> None:
    planning.plan_due(store, settings, rows.NOW, everything=True)


def send(store: Store) -> list[tuple[str, str]]:
    """Plan what changed and let it leave: to whom, and what."""
    plan(store)
    sent = list[tuple[str, str]]()
    with store.write() as connection:
        while letters := claims.take(connection, "g1", rows.NOW, 100):
            taken = [Settlement(one.id, LetterState.SENT, True, Delivery.SENT) for one in letters]
            claims.settle(connection, taken, [], "g1", rows.NOW)
            sent += [(one.letter.address, one.letter.method.value) for one in letters]
    return sorted(sent)


# --- sources ---


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (OLA, [("person:ola", "added", "")]),
        (Entry(Source.ASSOCIATE, "per"), [("associate:per", "added", "")]),
        (Entry(Source.RESOURCE, "room1"), [("resource:room1", "added", "")]),
        (Entry(Source.EMAIL, "New@Ext.example", "New"), [("email:new@ext.example", "added", "")]),
        (
            Entry(Source.EMAIL, "new@ext,example"),
            [("email:new@ext,example", "refused", "no_address")],
        ),
        (
            Entry(Source.GROUP, "sales"),
            [("associate:nina", "added", ""), ("associate:system", "refused", "not_invitable")],
        ),
        (Entry(Source.GROUP, "board"), []),
        (
            Entry(Source.RESOURCE_GROUP, "rooms"),
            [("resource:room2", "added", ""), ("resource:room3", "refused", "not_invitable")],
        ),
        (Entry(Source.COMPANY, "acme"), [("person:eva", "added", ""), ("person:ola", "added", "")]),
        (Entry(Source.PROJECT, "p1"), [("person:ivar", "added", ""), ("person:ola", "added", "")]),
        (Entry(Source.PROJECT, "empty"), []),
        (Entry(Source.SELECTION, "s1"), [("person:liv", "added", "")]),
        (
            Entry(Source.ALL, "associates"),
            [
                ("associate:kari", "added", ""),
                ("associate:nina", "added", ""),
                ("associate:per", "added", ""),
                ("associate:system", "refused", "not_invitable"),
            ],
        ),
        (
            Entry(Source.ALL, "resources"),
            [
                ("resource:room1", "added", ""),
                ("resource:room2", "added", ""),
                ("resource:room3", "refused", "not_invitable"),
            ],
        ),
    ],
)
def test_domain_3_a_source_becomes_rows(
    office: Store, entry: Entry, expected: list[tuple[str, str, str]]
) -> None:
    assert add(office, entry) == [(0, *one) for one in expected]
    there = {one.who for one in members(office).values()}
    assert there == {who for who, result, _ in expected if result == "added"}


@pytest.mark.parametrize("source", [one for one in Source if one is not Source.EMAIL])
def test_domain_3_a_source_that_there_is_not_is_refused_by_itself(
    office: Store, source: Source
) -> None:
    assert add(office, Entry(source, "nobody"), OLA) == [
        (0, "", "refused", "unknown"),
        (1, "person:ola", "added", ""),
    ]


def test_domain_3_who_joins_the_group_later_is_not_invited_by_that(office: Store) -> None:
    add(office, Entry(Source.PROJECT, "p1"))
    rows.run(office, "INSERT INTO project_member (project, person) VALUES ('p1', 'eva')")
    plan(office)
    assert set(members(office)) == {"ola", "ivar"}


def test_domain_3_who_is_there_stays_and_who_is_named_twice_is_added_once(office: Store) -> None:
    before = members(office, "m1")
    assert add(office, Entry(Source.PROJECT, "p1"), Entry(Source.PERSON, "ivar"), key="m1") == [
        (0, "person:ivar", "added", ""),
        (0, "person:ola", "present", ""),
        (1, "person:ivar", "present", ""),
    ]
    after = members(office, "m1")
    assert after["ola"] == before["ola"]
    assert len(after) == len(before) + 1


@pytest.mark.parametrize("value", ["ola@ext.example", "OLA@ext.example"])
def test_domain_3_a_bare_address_of_somebody_who_is_there_adds_nobody(
    office: Store, value: str
) -> None:
    [outcome] = add(office, Entry(Source.EMAIL, value), key="m1")
    assert outcome[2:] == ("present", "")


def test_domain_3_a_bare_address_of_somebody_picked_by_name_is_that_person(office: Store) -> None:
    assert add(office, Entry(Source.EMAIL, "Ola@ext.example"), OLA) == [
        (0, "person:ola", "added", ""),
        (1, "person:ola", "present", ""),
    ]


def test_domain_3_at_most_so_many_at_a_time_and_then_nobody(office: Store) -> None:
    people = [{"key": f"p{number}", "name": "P"} for number in range(invitees.MOST)]
    with office.write() as connection:
        connection.execute(sa.insert(schema.person), people)
        connection.execute(
            sa.insert(schema.project_member),
            [{"project": "empty", "person": one["key"]} for one in people],
        )
    with pytest.raises(InputError, match="names more than 2000 people"):
        add(office, Entry(Source.PROJECT, "empty"), OLA)
    assert members(office) == {}


def test_many_cost_no_more_statements_than_one(office: Store) -> None:
    counted = list[str]()
    sa.event.listen(office.engine, "before_cursor_execute", lambda *given: counted.append(given[2]))

    def statements(*entries: Entry) -> int:
        counted.clear()
        with office.write() as connection:
            here = Desk(connection, SETTINGS, rows.NOW, KARI)
            inviting.add(here, "new", entries, email_invite=True)
        return len(counted)

    addresses = [Entry(Source.EMAIL, f"p{number}@ext.example") for number in range(101)]
    assert statements(addresses[0]) == statements(*addresses[1:])


def test_itip_2_people_from_a_list_see_nobody_else(office: Store) -> None:
    add(office, OLA, Entry(Source.PERSON, "liv"), mailed=True)
    plan(office)
    with office.read() as connection:
        rows_here = followups.members(connection, "new")
        site = stated.Site("Europe/Oslo", "en")
        edition = stated.edition(connection, "new", site, rows_here)
    assert edition is not None
    assert not edition.guest_list_public


# --- who may, and when ---


def test_domain_3_only_the_owner_adds_and_removes(office: Store) -> None:
    number = members(office, "m1")["ola"].id
    commands: Sequence[Callable[[Desk], Any]] = (
        lambda here: inviting.add(here, "m1", [EVA], email_invite=False),
        lambda here: inviting.remove(here, number),
        lambda here: inviting.switch(here, number, on=False),
        lambda here: inviting.switch_all(here, "m1", on=False),
        lambda here: inviting.resend(here, number),
        lambda here: inviting.readdress(here, number, "x@ext.example"),
    )
    for command in commands:
        for actor in (PER, NINA):
            with pytest.raises(Forbidden):
                do(office, actor, command)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE follow_up SET completed = TRUE WHERE key = 'm1'", "completed; undo that first"),
        ("UPDATE follow_up SET cancelled = TRUE WHERE key = 'm1'", "reinstate it first"),
    ],
)
def test_domain_3_nobody_is_added_to_what_is_completed_or_cancelled(
    office: Store, statement: str, words: str
) -> None:
    rows.run(office, statement)
    with pytest.raises(Refused, match=words):
        add(office, EVA, key="m1")


def test_domain_3_until_the_assignee_accepts_both_may_edit(office: Store) -> None:
    rows.run(office, "UPDATE follow_up SET owner = 'per', assigned_by = 'kari' WHERE key = 'm1'")
    add(office, EVA, key="m1", actor=KARI)
    number = members(office, "m1")["per"].id
    do(office, PER, lambda here: answering.answer(here, number, Said(Reply.ACCEPTED)))
    with pytest.raises(Forbidden):
        add(office, EVA, key="m1", actor=KARI)
    add(office, EVA, key="m1", actor=PER)


# --- told live ---


def test_domain_3_who_is_added_hears_of_it_at_once_and_once(office: Store) -> None:
    made = ("created", "SQL", "store", "")
    add(office, Entry(Source.ASSOCIATE, "per"))
    assert said(office) == [made, ("added", "kari", "api", "associate:per")]
    plan(office)
    assert said(office) == [made, ("added", "kari", "api", "associate:per")]
    number = members(office)["per"].id
    do(office, KARI, lambda here: inviting.remove(here, number))
    plan(office)
    assert [one[0] for one in said(office)] == ["created", "added", "removed"]


def test_who_changed_the_follow_up_is_kept(office: Store) -> None:
    add(office, OLA)
    with office.read() as connection:
        query = "SELECT changed_by FROM follow_up WHERE key = 'new'"
        assert connection.exec_driver_sql(query).scalar_one() == "kari"


# --- removed and added again ---


def test_domain_3_removed_and_added_again_is_the_same_row_and_token(office: Store) -> None:
    add(office, OLA, mailed=True)
    assert send(office) == [("ola@ext.example", "REQUEST"), ("ola@ext.example", "REQUEST")]
    before = members(office)["ola"].id
    do(office, KARI, lambda here: inviting.remove(here, before))
    assert send(office) == [("ola@ext.example", "CANCEL")]
    assert add(office, OLA, mailed=True) == [(0, "person:ola", "added", "")]
    assert send(office) == [("ola@ext.example", "REQUEST")]
    assert members(office)["ola"].id == before
    with office.read() as connection:
        query = "SELECT count(*) FROM invitation WHERE follow_up = 'new'"
        assert connection.exec_driver_sql(query).scalar_one() == 1


def test_domain_3_who_was_never_mailed_is_asked_anew_when_added_again(office: Store) -> None:
    number = members(office, "m1")["per"].id
    do(office, PER, lambda here: answering.answer(here, number, Said(Reply.DECLINED, "ill")))
    do(office, KARI, lambda here: inviting.remove(here, number))
    add(office, Entry(Source.ASSOCIATE, "per"), key="m1")
    kept = members(office, "m1")["per"]
    assert (kept.id, kept.removed, kept.code) == (number, False, 5)
    assert kept.standings[None].reply is Reply.NEEDS_ACTION


def test_domain_3_a_removal_that_is_undone_leaves_everything_as_it_was(office: Store) -> None:
    number = members(office, "m1")["per"].id
    do(office, PER, lambda here: answering.answer(here, number, Said(Reply.DECLINED, "ill")))
    before = members(office, "m1")["per"]
    do(office, KARI, lambda here: inviting.remove(here, number))
    assert members(office, "m1")["per"].removed
    do(office, KARI, lambda here: inviting.restore(here, number))
    assert members(office, "m1")["per"] == before


def test_domain_4_an_invited_associate_only_takes_it_out_of_the_own_diary(office: Store) -> None:
    number = members(office, "m1")["per"].id
    do(office, PER, lambda here: answering.answer(here, number, Said(Reply.ACCEPTED)))
    do(office, PER, lambda here: inviting.remove(here, number))
    kept = members(office, "m1")["per"]
    assert (kept.removed, kept.code) == (False, 9)


def test_domain_4_the_assignee_is_not_removed_but_replaced(office: Store) -> None:
    rows.run(office, "UPDATE follow_up SET owner = 'per', assigned_by = 'kari' WHERE key = 'm1'")
    number = members(office, "m1")["per"].id
    with pytest.raises(Refused, match="assign it to somebody else first"):
        do(office, KARI, lambda here: inviting.remove(here, number))


# --- the switch ---


def test_domain_3_the_switch_of_all_leaves_out_owner_and_resources_and_says_why(
    office: Store,
) -> None:
    people = [Entry(Source.ASSOCIATE, key) for key in ("kari", "per")]
    add(office, *people, OLA, EVA, Entry(Source.RESOURCE, "room1"))
    there = members(office)
    done = do(office, KARI, lambda here: inviting.switch_all(here, "new", on=True))
    assert {(one.row, one.on, str(one.reason)) for one in done.answer} == {
        (there["per"].id, True, ""),
        (there["ola"].id, True, ""),
        (there["eva"].id, False, "no_address"),
    }
    after = {key: (one.email_invite, one.note) for key, one in members(office).items()}
    assert after == {
        "kari": (False, ""),
        "per": (True, ""),
        "ola": (True, ""),
        "eva": (False, "no valid e-mail address"),
        "room1": (False, ""),
    }
    assert done.letters.count(Method.REQUEST) == 2
    assert [one[3] for one in said(office) if one[0] == "switched"] == ["on", "on"]
    do(office, KARI, lambda here: inviting.switch_all(here, "new", on=False))
    assert not any(one.email_invite for one in members(office).values())


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("kari", "the owner's own row is never mailed"),
        ("room1", "a resource has no mail address"),
        ("eva", "Eva has no valid e-mail address; the switch stays off"),
    ],
)
def test_domain_3_a_switch_that_cannot_be_turned_on_changes_nothing_and_says_why(
    office: Store, key: str, words: str
) -> None:
    add(office, Entry(Source.ASSOCIATE, "kari"), EVA, Entry(Source.RESOURCE, "room1"))
    number, before = members(office)[key].id, members(office)
    with pytest.raises(Refused, match=words):
        do(office, KARI, lambda here: inviting.switch(here, number, on=True))
    assert members(office) == before


def test_domain_3_added_with_the_switch_who_has_no_address_is_added_without(office: Store) -> None:
    entries = [EVA, Entry(Source.ASSOCIATE, "kari"), Entry(Source.RESOURCE, "room1"), OLA]
    assert add(office, *entries, mailed=True) == [
        (0, "person:eva", "added", "no_address"),
        (1, "associate:kari", "added", "owner"),
        (2, "resource:room1", "added", "resource"),
        (3, "person:ola", "added", ""),
    ]
    assert {key for key, one in members(office).items() if one.email_invite} == {"ola"}
    plan(office)
    assert members(office)["eva"].note == "no valid e-mail address"


@pytest.mark.parametrize("value", ["invites@crm.example", "invites+x@crm.example"])
def test_domain_3_a_mailbox_of_ours_is_no_address(office: Store, value: str) -> None:
    assert add(office, Entry(Source.EMAIL, value), mailed=True)[0][2:] == ("added", "no_address")


def test_domain_3_without_a_mail_account_the_switch_keeps_the_wish_and_is_suspended(
    office: Store,
) -> None:
    add(office, OLA, mailed=True, settings=MAILLESS)
    assert (members(office)["ola"].email_invite, members(office)["ola"].suspended) == (
        True,
        "no_account",
    )
    plan(office, MAILLESS)
    assert members(office)["ola"].suspended == "no_account"
    plan(office)
    rows.run(office, "UPDATE follow_up SET title = 'Again' WHERE key = 'new'")
    plan(office)
    assert members(office)["ola"].suspended == ""


def test_domain_3_an_address_that_became_invalid_suspends_and_the_switch_keeps_the_wish(
    office: Store,
) -> None:
    number = members(office, "m1")["ola"].id
    rows.run(office, "UPDATE person_email SET address = 'ola@ext,example' WHERE person = 'ola'")
    assert members(office, "m1")["ola"].suspended == "no_address"
    do(office, KARI, lambda here: inviting.switch(here, number, on=True))
    assert members(office, "m1")["ola"].email_invite


# --- addresses ---


def test_domain_3_the_address_of_a_bare_row_is_corrected_in_the_row(office: Store) -> None:
    add(office, Entry(Source.EMAIL, "typo@ext.example", "New"), mailed=True)
    send(office)
    number = members(office)["typo@ext.example"].id
    do(office, KARI, lambda here: inviting.readdress(here, number, "Right@ext.example"))
    assert members(office)["right@ext.example"].id == number
    assert send(office) == [("right@ext.example", "REQUEST"), ("typo@ext.example", "CANCEL")]


def test_domain_3_that_of_a_person_stands_on_the_card(office: Store) -> None:
    number = members(office, "m1")["ola"].id
    with pytest.raises(Forbidden, match="stands on their card; correct it there"):
        do(office, KARI, lambda here: inviting.readdress(here, number, "new@ext.example"))
    do(office, CRM, lambda here: inviting.readdress(here, number, "new@ext.example"))
    assert members(office, "m1")["ola"].addresses == ("new@ext.example",)
    per = members(office, "m1")["per"].id
    do(office, CRM, lambda here: inviting.readdress(here, per, "per.new@crm.example"))
    assert members(office, "m1")["per"].addresses == ("per.new@crm.example",)


def test_domain_10_a_card_that_stands_in_many_follow_ups_is_one_persons_doing(
    office: Store,
) -> None:
    add(office, OLA, mailed=True)
    send(office)
    number = members(office, "m1")["ola"].id
    done = do(office, CRM, lambda here: inviting.readdress(here, number, "new@ext.example"))
    assert done.letters.count(Method.REQUEST) == done.letters.count(Method.CANCEL) == 2
    with office.read() as connection:
        query = sa.select(schema.change_mark.c.follow_up, schema.change_mark.c.single).distinct()
        assert sorted(connection.execute(query).all()) == [("m1", True), ("new", True)]


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (EVA, 5),
        (Entry(Source.EMAIL, "x@ext.example"), 5),
        (Entry(Source.ASSOCIATE, "per"), 5),
        (Entry(Source.ASSOCIATE, "kari"), 1),
        (Entry(Source.RESOURCE, "room1"), 1),
    ],
)
def test_domain_3_a_row_begins_at_5_whatever_the_switch_owner_and_resource_at_1(
    office: Store, entry: Entry, code: int
) -> None:
    for mailed in (False, True):
        add(office, entry, mailed=mailed)
        [row] = members(office).values()
        assert row.code == code
        plan(office)
        [row] = members(office).values()
        assert row.code == code


def test_domain_3_somebody_without_any_address_gets_the_first(office: Store) -> None:
    add(office, EVA)
    number = members(office)["eva"].id
    do(office, CRM, lambda here: inviting.readdress(here, number, "eva@ext.example"))
    assert members(office)["eva"].addresses == ("eva@ext.example",)


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("no address", InputError, "address is none: "),
        ("ola@ext.example", Refused, "takes part already"),
    ],
)
def test_domain_3_an_address_that_cannot_be_is_refused(
    office: Store, value: str, error: type[GatewayError], words: str
) -> None:
    add(office, OLA, Entry(Source.EMAIL, "new@ext.example"))
    number = members(office)["new@ext.example"].id
    with pytest.raises(error, match=words):
        do(office, KARI, lambda here: inviting.readdress(here, number, value))


# --- once more ---


def test_an_invitation_is_sent_again_once_an_hour(office: Store) -> None:
    assert send(office) == [("ola@ext.example", "REQUEST")]
    number = members(office, "m1")["ola"].id
    again = do(office, KARI, lambda here: inviting.resend(here, number))
    assert again.letters.count(Method.REQUEST) == 1
    assert send(office) == [("ola@ext.example", "REQUEST")]
    with pytest.raises(Refused, match="once more after 2026-11-20T09:00:01Z"):
        do(office, KARI, lambda here: inviting.resend(here, number))
    done = do(office, KARI, lambda here: inviting.resend(here, number), later=timedelta(hours=1))
    assert done.letters.count(Method.REQUEST) == 1


def test_what_was_not_sent_is_not_sent_again(office: Store) -> None:
    there = members(office, "m1")
    with pytest.raises(Refused, match="under way"):
        do(office, KARI, lambda here: inviting.resend(here, there["ola"].id))
    with pytest.raises(Refused, match="turn the switch on first"):
        do(office, KARI, lambda here: inviting.resend(here, there["per"].id))
    rows.run(office, "UPDATE person_email SET address = 'ola@ext,example' WHERE person = 'ola'")
    with pytest.raises(Refused, match="cannot be reached"):
        do(office, KARI, lambda here: inviting.resend(here, there["ola"].id))


def test_a_standing_is_none_of_a_dry_runs_business(office: Store) -> None:
    tried = desk.perform(
        office,
        SETTINGS,
        rows.NOW,
        KARI,
        lambda here: inviting.add(here, "new", [OLA], email_invite=True),
        dry_run=True,
    )
    assert tried.letters.count(Method.REQUEST) == 1
    assert [replace(one, row=None) for one in tried.answer] == [
        Added(0, "person:ola", invitees.Result.ADDED)
    ]
    assert members(office) == {}
