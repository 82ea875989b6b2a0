"""Assign, decline, assign again, accept (domain.md §4): by commands and by plain SQL, of rows that
are mailed and of rows that never are.
"""

import pytest

from gateway import status
from gateway.actions import answering, assigning
from gateway.actions.answering import Said
from gateway.errors import Forbidden, InputError, Refused
from gateway.model import Actor, Reply
from gateway.store import followups, journal
from gateway.store.engine import Store
from tests.store import acting, rows
from tests.store.acting import CRM, KARI, MEETING, NINA, PER


def assign(store: Store, actor: Actor, to: str) -> None:
    acting.do(store, actor, lambda desk: assigning.assign(desk, "m1", to))


def answer(store: Store, who: str, reply: Reply) -> None:
    """This associate's own word, as it reaches the store by any way."""
    with store.write() as connection:
        members = followups.members(connection, "m1")
        [member] = [one for one in members if one.key == who]
        after = status.answer(member.standings[None], reply)
        code = status.code(member.role, after)
        followups.write_standing(connection, member.id, None, after, code)


def owner(store: Store) -> tuple[str | None, str | None]:
    record = acting.record(store)
    return record["owner"], record["assigned_by"]


@pytest.mark.parametrize("mailed", [False, True])
@pytest.mark.parametrize("way", ["command", "sql"])
def test_assigned_declined_assigned_again_and_accepted(
    store: Store, way: str, mailed: bool
) -> None:
    """domain.md §4: 11, 13, 11, 1."""
    acting.begin(store, MEETING | {"participants": []})
    if way == "command":
        assign(store, KARI, "per")
    else:
        rows.run(
            store,
            "UPDATE follow_up SET owner = 'per', assigned_by = 'kari'",
            "INSERT INTO participant (follow_up, associate) VALUES ('m1', 'per')",
        )
    if mailed:
        rows.run(store, "UPDATE participant SET email_invite = TRUE")
    assert acting.owed(store) == ([("per", "REQUEST")] if mailed else [])
    acting.send(store)
    assert (acting.codes(store), owner(store)) == ({"per": 11}, ("per", "kari"))

    answer(store, "per", Reply.DECLINED)
    assert acting.codes(store) == {"per": 13}
    if way == "command":
        assign(store, KARI, "nina")
        assert acting.codes(store) == {"nina": 11}
    else:
        rows.run(
            store,
            "UPDATE follow_up SET owner = 'nina'",
            "UPDATE participant SET associate = 'nina'",
        )
    assert acting.owed(store) == ([("nina", "REQUEST"), ("per", "CANCEL")] if mailed else [])
    acting.send(store)
    assert (acting.codes(store), owner(store)) == ({"nina": 11}, ("nina", "kari"))

    answer(store, "nina", Reply.ACCEPTED)
    assert acting.owed(store) == []
    assert acting.codes(store) == {"nina": 1}
    with store.read() as connection:
        entries = journal.after(connection, 0, follow_up="m1")
    given = [one.detail for one in entries if one.event == "given"]
    assert given == ["to associate:nina, from associate:per"]
    assert {one.who for one in entries if one.participant and one.id < _given(entries)} == {
        "associate:per"
    }


def _given(entries: list[journal.Entry]) -> int:
    """From here on the row is the next person's: assigned again by the command, given by SQL."""
    events = [one.id for one in entries if one.event in ("given", "assigned")]
    return events[-2] if len(events) > 2 else events[-1]


def test_until_it_is_accepted_both_may_edit(store: Store) -> None:
    """domain.md §4."""
    acting.begin(store, MEETING, sent=False)
    assign(store, KARI, "per")
    acting.owed(store)
    for actor in (KARI, PER):
        acting.do(store, actor, lambda desk: desk.edit("m1"))
    answer(store, "per", Reply.ACCEPTED)
    acting.do(store, PER, lambda desk: desk.edit("m1"))
    with pytest.raises(Forbidden, match="only per"):
        assign(store, KARI, "nina")
    assign(store, PER, "nina")
    assert owner(store) == ("nina", "per")


def test_assigned_again_to_the_same_person_asks_again(store: Store) -> None:
    """domain.md §7: it shows as assigned again."""
    acting.begin(store, MEETING | {"participants": []}, sent=False)
    assign(store, KARI, "per")
    acting.owed(store)
    with pytest.raises(Refused, match="per has it already"):
        assign(store, KARI, "per")
    answer(store, "per", Reply.DECLINED)
    assign(store, KARI, "per")
    assert acting.codes(store) == {"per": 11}
    acting.owed(store)
    assert (acting.codes(store), owner(store)) == ({"per": 11}, ("per", "kari"))


@pytest.mark.parametrize("rows_of", [[], ["kari"], ["per"], ["kari", "per"]])
def test_what_is_taken_back_within_the_window_sends_nothing(
    store: Store, rows_of: list[str]
) -> None:
    people = [{"associate": name} for name in rows_of] + [acting.OLA]
    acting.begin(store, MEETING | {"participants": people})
    before, codes = acting.record(store), acting.codes(store)
    assign(store, KARI, "per")
    assert acting.codes(store)["per"] == 11
    assign(store, KARI, "kari")
    assert acting.owed(store) == []
    assert (acting.record(store), acting.codes(store)) == (before, codes)


def test_who_took_part_already_is_asked_as_the_assignee(store: Store) -> None:
    """domain.md §4: the assignee's row is 11 and is asked."""
    acting.begin(store, MEETING | {"participants": [{"associate": "per"}, {"associate": "kari"}]})
    answer(store, "per", Reply.ACCEPTED)
    assign(store, KARI, "per")
    assert acting.owed(store) == []
    assert acting.codes(store) == {"per": 11}


def test_by_sql_who_took_part_already_is_asked_as_the_assignee(store: Store) -> None:
    """domain.md §4."""
    acting.begin(store, MEETING | {"participants": [{"associate": "per"}]})
    answer(store, "per", Reply.ACCEPTED)
    rows.run(store, "UPDATE follow_up SET owner = 'per', assigned_by = 'kari'")
    assert acting.owed(store) == []
    assert acting.codes(store) == {"per": 11}
    answer(store, "per", Reply.ACCEPTED)
    rows.run(store, "UPDATE follow_up SET title = 'Another'")
    acting.owed(store)
    assert acting.codes(store) == {"per": 1}


def test_the_crm_assigns_for_whose_it_was(store: Store) -> None:
    acting.begin(store, MEETING, sent=False)
    assign(store, CRM, "per")
    assert owner(store) == ("per", "kari")
    acting.owed(store)
    answer(store, "per", Reply.DECLINED)
    assign(store, CRM, "nina")
    assert owner(store) == ("nina", "kari")
    rows.run(store, "UPDATE follow_up SET owner = NULL, assigned_by = NULL")
    assign(store, CRM, "per")
    assert owner(store) == ("per", None)


def test_only_an_associate_who_can_be_picked_is_assigned(store: Store) -> None:
    """domain.md §3: `invitable`."""
    acting.begin(store, MEETING, sent=False)
    rows.run(store, "UPDATE associate SET invitable = FALSE WHERE key = 'nina'")
    with pytest.raises(Refused, match="nina cannot be picked"):
        assign(store, KARI, "nina")
    with pytest.raises(InputError, match="to 'lise' is no associate") as caught:
        assign(store, KARI, "lise")
    assert caught.value.places[0][0] == ("to",)
    with pytest.raises(Forbidden):
        assign(store, NINA, "per")


def test_the_journal_names_who_assigned_it(store: Store) -> None:
    """domain.md §4: who did it is kept."""
    acting.begin(store, MEETING, sent=False)
    assign(store, KARI, "per")
    with store.read() as connection:
        entry = journal.after(connection, 0, follow_up="m1")[-1]
    assert (entry.event, entry.by, entry.after) == ("assigned", "kari", "assigned")
    assert entry.detail == "to per, from kari"


def test_an_answer_before_the_planner_has_looked_counts(store: Store) -> None:
    """domain.md §4: the row begins anew when it is given, not when that is planned."""
    acting.begin(store, MEETING | {"participants": [{"associate": "kari", "email_invite": True}]})
    for actor, to in ((KARI, "per"), (KARI, "nina")):
        assign(store, actor, to)
    with store.read() as connection:
        [row] = followups.members(connection, "m1")
    accepted = Said(Reply.ACCEPTED)
    acting.do(store, NINA, lambda desk: answering.answer(desk, row.id, accepted))
    assert acting.owed(store) == [("nina", "REQUEST")]
    assert acting.codes(store) == {"nina": 1}
