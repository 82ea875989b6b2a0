"""The measures of the house count what a reader has to read."""

import ast
import textwrap

import pytest

from tests import measures


def function(source: str) -> ast.FunctionDef:
    (statement,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(statement, ast.FunctionDef)
    return statement


def large(source: str) -> list[str]:
    return [
        f"{measure.function} {measure.kind} {measure.number}"
        for measure in measures.above("a.py", textwrap.dedent(source))
    ]


@pytest.mark.parametrize(
    ("body", "ways"),
    [
        ("pass", 1),
        ("if a: pass", 2),
        ("if a: pass\n elif b: pass\n else: pass", 3),
        ("return 1 if a else 2", 2),
        ("return a and b and c", 3),
        ("return [x for x in a]", 2),
        ("return [x for x in a if x if b]", 4),
        ("for x in a: pass", 2),
        ("while a: pass", 2),
        ("try: pass\n except KeyError: pass", 2),
        ("match a:\n  case 1: pass\n  case _: pass", 3),
        ("assert a", 2),
        ("def inner():\n  if a: pass", 2),
    ],
)
def test_every_way_a_function_may_part_is_a_branch(body: str, ways: int) -> None:
    assert measures.branches(function(f"def f():\n {body}")) == ways


def test_a_statement_counts_its_own_nodes() -> None:
    terms = " + ".join("abcdefghij" * 4)
    assert large(f"def f():\n    return {terms}") == ["f statement 159"]
    assert not large(f"def f():\n    return {terms[:77]}")


def test_a_statement_within_another_is_measured_by_itself() -> None:
    term = " + ".join("abcdefghij")
    assert not large(f"def f():\n    if {term}:\n        return {term}\n    return {term}")


def test_a_large_statement_of_an_inner_function_is_the_inner_functions() -> None:
    terms = " + ".join("abcdefghij" * 3)
    assert large(f"class A:\n    def f(self):\n        def g():\n            return {terms}") == [
        "A.f.g statement 119"
    ]


def test_a_table_is_measured_entry_by_entry() -> None:
    entry = " + ".join("abcdefghij")
    assert not large(f"TABLE = ({entry}, {entry}, {entry})")
    assert not large(f"TABLE = {{1: {entry}, 2: [{entry}, {entry}]}}")
    assert not large(f"TABLE = Table({entry}, {entry}, {entry})")
    assert large(f"TABLE = ({entry} + {entry} + {entry}, 1)") == ["(module) statement 118"]
    assert large(f"def f():\n    return ({entry}, {entry}, {entry})") == ["f statement 117"]


def test_a_comprehension_is_no_table() -> None:
    entry = " + ".join("abcdefghij")
    assert large(f"TABLE = [x for x in a if {entry} if {entry} if {entry}]")


def test_lines_are_those_from_def_to_the_last() -> None:
    assert large("@a\ndef f():\n" + "    pass\n" * 59) == []
    assert large("def f():\n" + "    pass\n" * 60) == ["f lines 61"]


def test_self_is_no_parameter() -> None:
    assert not large("class A:\n    def f(self, a, b, c, d, *, e, g): ...")
    assert large("def f(this, a, b, c, d, *, e, g): ...") == ["f parameters 7"]


def test_the_options_of_a_command_are_a_table() -> None:
    assert not large("@app.command()\ndef f(a, b, c, d, e, g, h): ...")
    assert large("@final\ndef f(a, b, c, d, e, g, h): ...") == ["f parameters 7"]


def test_density_leaves_out_the_docstring() -> None:
    source = 'def f():\n    """Words.\n\n    Many.\n    """\n' + "    a = b\n" * 5
    assert list(measures.densities(source)) == [(5.0, "f")]
    assert not list(measures.densities("def f():\n    a = b\n"))
