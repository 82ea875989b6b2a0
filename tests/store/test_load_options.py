"""`load` beside loading: what it would do, its format, and a document to begin with."""

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.store.test_commands import Administrator


@pytest.fixture
def administrator(tmp_path: Path) -> Administrator:
    return Administrator(tmp_path)


def example(administrator: Administrator) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(administrator.run("load", "--example").stdout)
    return document


def test_a_dry_run_says_what_loading_then_does_and_keeps_nothing(
    administrator: Administrator,
) -> None:
    assert administrator.run("db", "upgrade").returncode == 0
    document = administrator.file(example(administrator))
    [foretold] = administrator.json("load", "--dry-run", document)
    assert administrator.json("status") == []
    assert {(one["follow_up"], one["to"], one["method"]) for one in foretold["letters"]} == {
        ("m1", "ola@ext.example", "REQUEST"),
        ("m1", "eva@other.example", "REQUEST"),
        ("s1", "ola@ext.example", "REQUEST"),
    }
    told = administrator.run("load", "--dry-run", document).stdout
    assert "3 letters would leave. Nothing was kept" in told
    [done] = administrator.json("load", document)
    assert {name: foretold[name] for name in done} == done
    assert len(administrator.json("letters")) == len(foretold["letters"])
    # What is owed already is no news of a document that changes nothing.
    [again] = administrator.json("load", "--dry-run", document)
    assert (again["created"], again["changed"], again["letters"]) == ({}, {}, [])


def test_a_dry_run_makes_no_store_and_names_what_is_wrong(administrator: Administrator) -> None:
    document = administrator.file(example(administrator))
    done = administrator.run("load", "--dry-run", document)
    assert done.returncode == 1
    assert "invite-gateway db upgrade" in done.stderr
    wrong = administrator.file({"follow_ups": [{"key": "m1", "titel": "x"}]})
    done = administrator.run("load", "--dry-run", wrong)
    assert (done.returncode, "follow_ups[0].titel: no such field" in done.stderr) == (1, True)


def test_the_schema_takes_what_load_takes_and_refuses_what_it_refuses(
    administrator: Administrator,
) -> None:
    schema = json.loads(administrator.run("load", "--schema").stdout)
    validator = jsonschema_rs.validator_for(schema)
    good = example(administrator)
    assert validator.is_valid(good)
    for wrong in (
        {"follow_ups": [{"key": "m1", "titel": "x"}]},
        {"follow_ups": [{"title": "x"}]},
        {"follow_ups": [{"key": "m1", "kind": "party"}]},
        {"persons": [{"key": "ola", "emails": "ola@ext.example"}]},
    ):
        assert not validator.is_valid(wrong), wrong
        assert administrator.run("load", administrator.file(wrong)).returncode == 1
    assert administrator.run("load", administrator.file(good)).returncode == 0


def test_load_without_a_document_is_wrong_usage(administrator: Administrator) -> None:
    done = administrator.run("load")
    assert (done.returncode, "FILE.json" in done.stderr) == (2, True)
