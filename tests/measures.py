"""How large the statements and functions of a module are: what a reader has to hold in the head at
once.

A statement counts the syntax nodes of its own, without those of the statements within it. A
function counts one branch, and one more for every way it may part: `if`, loop, ternary,
comprehension and each condition of it, `except`, `case`, `assert`, each `and` and `or`; those of
functions within it are its own, too. Its lines are those from `def` to the last, as formatted.

A table is no logic: a constant of a module or class that is a display (tuple, list, set, dict), or
one call (`Table(…)`, `frozenset(…)`), is read entry by entry, so its entries are measured, each as
if it were a statement. So are the options of a command and the parameters of a route, one per line
in the signature of a function that is registered by `@app.command()` or `@app.get(…)`: they are not
counted. A migration is frozen, so it is measured by nobody.

`python -m tests.measures` prints the densest functions and what is above a limit.
"""

import ast
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIMITS = {"statement": 80, "branches": 15, "lines": 60, "parameters": 6}
MODULE = "(module)"
SHORTEST = 5
"""A body of fewer lines says nothing about density."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Parts = ast.stmt | ast.excepthandler | ast.match_case
Display = ast.Tuple | ast.List | ast.Set | ast.Dict


@dataclass(frozen=True, order=True)
class Measure:
    """One number of one function; of the statements of a function the sum of those that are above
    the limit.
    """

    kind: str
    module: str
    function: str
    number: int


def above(module: str, source: str) -> Iterator[Measure]:
    """Everything of a module that is above a limit."""
    tree = ast.parse(source)
    for name, scope in scopes(tree):
        numbers = {"statement": large_statements(scope)}
        if isinstance(scope, Function):
            numbers["branches"] = branches(scope)
            numbers["lines"] = lines(scope)
            numbers["parameters"] = parameters(scope)
        for kind, number in numbers.items():
            if number > LIMITS[kind]:
                yield Measure(kind, module, name, number)


def scopes(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """The module, and every class and function in it by its full name."""
    open_scopes: list[tuple[str, ast.AST]] = [(MODULE, tree)]
    while open_scopes:
        name, scope = open_scopes.pop()
        yield name, scope
        outer = "" if name == MODULE else f"{name}."
        open_scopes += [
            (outer + node.name, node)
            for node in _within(scope)
            if isinstance(node, Function | ast.ClassDef)
        ]


def large_statements(scope: ast.AST) -> int:
    """Nodes of the statements above the limit that stand directly in a scope."""
    sizes = [
        size
        for statement in _within(scope)
        if isinstance(statement, ast.stmt) and not isinstance(statement, Function | ast.ClassDef)
        for size in _sizes(statement, constant=not isinstance(scope, Function))
    ]
    return sum(size for size in sizes if size > LIMITS["statement"])


def _within(scope: ast.AST) -> Iterator[ast.AST]:
    """The statements of a scope, those of its loops and conditions too, without those of the
    functions and classes in it.
    """
    nodes = list(ast.iter_child_nodes(scope))
    while nodes:
        node = nodes.pop()
        if not isinstance(node, Parts):
            continue
        yield node
        if not isinstance(node, Function | ast.ClassDef):
            nodes += ast.iter_child_nodes(node)


def _sizes(statement: ast.stmt, *, constant: bool) -> list[int]:
    """The nodes of a statement; of a table the nodes of each entry."""
    if constant and isinstance(statement, ast.Assign | ast.AnnAssign):
        if isinstance(statement.value, ast.Call):
            call = statement.value
            arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
            return [size for argument in arguments for size in _entries(argument)]
        if isinstance(statement.value, Display):
            return _entries(statement.value)
    return [_own_nodes(statement)]


def _entries(value: ast.expr) -> list[int]:
    """What stands in a table, and in the tables that are its entries."""
    if isinstance(value, ast.Dict):
        keys = [_own_nodes(key) for key in value.keys if key is not None]
        return [*keys, *(size for entry in value.values for size in _entries(entry))]
    if isinstance(value, ast.Tuple | ast.List | ast.Set):
        return [size for entry in value.elts for size in _entries(entry)]
    return [_own_nodes(value)]


def _own_nodes(root: ast.AST) -> int:
    """Without the statements within it."""
    number, nodes = 0, [root]
    while nodes:
        node = nodes.pop()
        number += 1
        nodes += [child for child in ast.iter_child_nodes(node) if not isinstance(child, Parts)]
    return number


def branches(function: ast.AST) -> int:
    return 1 + sum(map(_parts_ways, ast.walk(function)))


def _parts_ways(node: ast.AST) -> int:
    match node:
        case ast.comprehension():
            return 1 + len(node.ifs)
        case ast.BoolOp():
            return len(node.values) - 1
        case ast.If() | ast.IfExp() | ast.For() | ast.AsyncFor() | ast.While():
            return 1
        case ast.ExceptHandler() | ast.match_case() | ast.Assert():
            return 1
        case _:
            return 0


def lines(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters(function: Function) -> int:
    """Of a command or a route none: its caller names them one by one."""
    if any(isinstance(decorator, ast.Call) for decorator in function.decorator_list):
        return 0
    arguments = function.args
    names = [
        argument.arg
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    ]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def densities(source: str) -> Iterator[tuple[float, str]]:
    """Syntax nodes per line of each function's body, but for its docstring."""
    for name, scope in scopes(ast.parse(source)):
        if not isinstance(scope, Function):
            continue
        body = scope.body[1:] if ast.get_docstring(scope) is not None else scope.body
        if not body:
            continue
        height = (body[-1].end_lineno or 0) - body[0].lineno + 1
        if height >= SHORTEST:
            nodes = sum(1 for statement in body for _ in ast.walk(statement))
            yield nodes / height, name


def sources(folder: Path) -> dict[str, str]:
    """What is measured, by the names of the modules."""
    return {
        path.relative_to(folder.parent).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.py"))
        if "migrations" not in path.parts
    }


def median(modules: dict[str, str]) -> float:
    """Of the densities of all functions."""
    return statistics.median(
        density for source in modules.values() for density, _ in densities(source)
    )


def report(modules: dict[str, str]) -> Iterator[str]:
    """All of it, the largest first."""
    large = [measure for module, source in modules.items() for measure in above(module, source)]
    for measure in sorted(large, key=lambda measure: (measure.kind, -measure.number)):
        yield f"{measure.kind} {measure.number} {measure.module} {measure.function}"
    dense = [
        (density, f"{module} {function}")
        for module, source in modules.items()
        for density, function in densities(source)
    ]
    for density, name in sorted(dense, reverse=True)[:40]:
        yield f"density {density:.1f} {name}"
    yield f"median of syntax nodes per line: {median(modules):.2f} in {len(dense)} functions"


if __name__ == "__main__":
    for text in report(sources(Path(__file__).parents[1] / "gateway")):
        print(text)
