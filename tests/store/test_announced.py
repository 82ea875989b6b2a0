"""Who is added to a follow-up is told of once, live, whoever wrote the row (domain.md §3), on both
databases.
"""

import pytest

from gateway import settings as configuration
from gateway.actions import planning
from gateway.store import journal
from gateway.store.engine import Store
from tests.store import rows

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
ADD_NINA = (
    "INSERT INTO associate (key, name) VALUES ('nina', 'Nina')",
    "INSERT INTO participant (follow_up, associate) VALUES ('m1', 'nina')",
)
REMOVE = "UPDATE participant SET removed = TRUE WHERE associate = 'nina'"
TAKE_BACK = "UPDATE participant SET removed = FALSE WHERE associate = 'nina'"


def plan(store: Store) -> None:
    planning.plan_due(store, SETTINGS, rows.NOW, everything=True)


def news(store: Store) -> list[tuple[str, str]]:
    """What the journal says of who takes part, since the directory was written."""
    with store.read() as connection:
        return [
            (entry.event, entry.detail)
            for entry in journal.after(connection, 0, follow_up="m1")
            if entry.event in ("added", "removed", "given")
        ]


@pytest.fixture
def begun(store: Store) -> Store:
    rows.begin(store)
    rows.run(store, "UPDATE follow_up SET title = 'Kick-off with Ola' WHERE key = 'm1'")
    plan(store)
    assert news(store) == [("added", "person:ola"), ("added", "associate:per")]
    return store


def test_domain_3_an_associate_added_by_sql_is_told_of_exactly_once(begun: Store) -> None:
    rows.run(begun, *ADD_NINA)
    plan(begun)
    rows.run(begun, "UPDATE follow_up SET title = 'Another' WHERE key = 'm1'")
    plan(begun)
    assert news(begun)[2:] == [("added", "associate:nina")]


def test_domain_3_removed_and_added_again_are_told_of_each_time(begun: Store) -> None:
    rows.run(begun, *ADD_NINA)
    plan(begun)
    for statement in (REMOVE, TAKE_BACK):
        rows.run(begun, statement)
        plan(begun)
    nina = "associate:nina"
    assert news(begun)[2:] == [("added", nina), ("removed", nina), ("added", nina)]


def test_domain_3_a_row_that_is_never_there_is_never_told_of(begun: Store) -> None:
    rows.run(begun, *ADD_NINA, REMOVE)
    plan(begun)
    assert news(begun)[2:] == []


def test_domain_3_who_is_given_a_row_is_told_too(begun: Store) -> None:
    rows.run(
        begun,
        ADD_NINA[0],
        "UPDATE participant SET associate = 'nina' WHERE associate = 'per'",
    )
    plan(begun)
    plan(begun)
    assert news(begun)[2:] == [
        ("given", "to associate:nina, from associate:per"),
        ("added", "associate:nina"),
    ]
