"""docs/records.md is what those read who write records: it has every field and every column, and its
examples can be loaded and executed.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from gateway.actions import load_format, load_times
from gateway.store import schema
from tests import stores

PAGE = (Path(__file__).parents[2] / "docs" / "records.md").read_text(encoding="utf-8")
LOAD, SQL = PAGE.split("\n## Plain SQL\n")
DEFINED = "`types`, `fields`, `groups`, `resource_groups`, `sales`, `preferences`"
SECTIONS: dict[str, list[type[BaseModel]]] = {
    DEFINED: [
        load_format.Type,
        load_format.FieldDefinition,
        load_format.Group,
        load_format.Sale,
    ],
    "`associates`": [load_format.Associate],
    "`companies` and `persons`": [load_format.Company, load_format.Person],
    "`resources`, `projects`, `selections`": [load_format.Resource, load_format.Members],
    "`follow_ups`": [load_format.FollowUp, load_format.Recurrence, load_format.Instance],
    "`participants`": [load_format.Participant],
}
GATEWAYS = {
    "follow_up": {
        "uid",
        "sequence",
        "edition",
        "created_at",
        "created_by",
        "changed_at",
        "changed_by",
        "forgotten",
    },
    "participant": {
        "id",
        "code",
        "given_token",
        "conflict",
        "note",
        "planned_for",
        "announced",
        "created_at",
    },
}
"""Columns that the gateway fills in (contract.md §4)."""
WRITTEN = (
    *("follow_up", "follow_up_date", "participant", "person", "person_email", "associate"),
    *("company", "resource", "project", "project_member", "selection", "selection_member"),
    *("follow_up_type", "field_definition", "user_group", "resource_group", "sale", "preference"),
)


def example(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def section(title: str) -> str:
    found = re.search(rf"(?ms)^### {re.escape(title)}.*?\n(.*?)(?=^#|\Z)", LOAD)
    assert found, f"docs/records.md has no section {title}"
    return found[1]


def words(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def entries(model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        [kind] = get_args(field.annotation)[:1]
        yield name, kind


def test_every_field_of_the_document_is_explained() -> None:
    kinds = {kind for _, kind in entries(load_format.Document)}
    explained = {kind for several in SECTIONS.values() for kind in several}
    assert kinds <= explained | {load_format.SitePreferences}
    missing = [
        f"{title}: {field}"
        for title, models in SECTIONS.items()
        for model in models
        for field in model.model_fields
        if field not in words(section(title))
    ]
    assert not missing, f"docs/records.md does not explain: {missing}"


def test_every_preference_is_explained() -> None:
    domain = (Path(__file__).parents[2] / "docs" / "domain.md").read_text(encoding="utf-8")
    _, _, defined = domain.partition("\n## 11. ")
    missing = set(load_format.SitePreferences.model_fields) - words(defined)
    assert not missing, f"docs/domain.md does not explain: {missing}"


def test_no_field_is_explained_that_does_not_exist() -> None:
    wrong = [
        f"{title}: {field}"
        for title, models in SECTIONS.items()
        for row in re.findall(r"(?m)^\| (`.*?) \|", section(title))
        for field in words(row)
        if not any(field in model.model_fields for model in models)
    ]
    assert not wrong, f"docs/records.md explains what there is not: {wrong}"


def test_every_column_that_others_may_write_is_named_and_ours_are_in_italics() -> None:
    rows = dict(re.findall(r"(?m)^\| `(\w+)` \| (.*) \|$", SQL))
    assert set(rows) == set(WRITTEN)
    for table, row in rows.items():
        columns = {column.name for column in schema.metadata.tables[table].columns}
        ours = set(re.findall(r"\*`(\w+)`\*", row))
        assert ours == GATEWAYS.get(table, set()), f"docs/records.md, {table}: the gateway's own"
        assert columns <= words(row), f"docs/records.md, {table}: no word of {columns - words(row)}"
        assert words(row) <= columns, f"docs/records.md, {table}: no such {words(row) - columns}"


def test_the_form_of_times_is_the_one_that_the_checks_name() -> None:
    form = schema.LIKE.removeprefix("is_like_")
    assert f"ck_follow_up_end_at_is_like_{form}" in PAGE
    assert "_".join(re.findall(r"\d+", "2026-12-01 09:00:00")) == form


def test_the_example_can_be_loaded() -> None:
    document = load_format.read(json.loads(example("json")))
    assert [
        problem
        for follow_up in document.follow_ups
        for problem in load_times.read(follow_up, "Europe/Oslo")[1]
    ] == []
    shown = {name for name, _ in entries(load_format.Document)}
    assert shown == set(json.loads(example("json")))


def test_the_statements_can_be_executed_and_wrong_times_are_told_by_the_name(
    tmp_path: Path,
) -> None:
    """By SQLite's own module, as another program would."""
    stores.upgraded(f"sqlite:///{tmp_path / 'store.db'}")
    with closing(sqlite3.connect(tmp_path / "store.db")) as store:
        store.execute("PRAGMA foreign_keys = ON")
        store.executescript(example("sql"))
        assert store.execute("SELECT follow_up FROM change_mark").fetchone() == ("m1",)
        with pytest.raises(sqlite3.IntegrityError, match=r"_is_like_2026_12_01_09_00_00$"):
            store.execute("UPDATE follow_up SET end_at = '2026-12-18 09:00'")
