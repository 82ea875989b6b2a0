"""What most benchmarks stand on: their command line, a log that is quiet, and new databases."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator

import structlog

from tests.rig import postgres


def options(about: str | None, rounds: int = 3) -> argparse.ArgumentParser:
    """What each of them is asked. `about`: the head of its module."""
    parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--postgresql", action="store_true", help="instead of a SQLite file")
    return parser


def of_letters(about: str | None, letters: int, rounds: int = 3) -> argparse.ArgumentParser:
    """What those are asked that send letters."""
    parser = options(about, rounds)
    parser.add_argument("--letters", type=int, default=letters)
    parser.add_argument("--participants", type=int, default=200, help="per follow-up")
    return parser


def whole(number: int, participants: int) -> int:
    """At most so many, and no follow-up that is not full."""
    if number < participants:
        sys.exit(f"{number} do not fill a follow-up with {participants} participants")
    return number // participants * participants


def quiet(level: int = logging.WARNING) -> None:
    """Nothing less than this is logged."""
    logging.disable(logging.INFO)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))


@contextlib.contextmanager
def databases(*, postgresql: bool) -> Iterator[Callable[[], str]]:
    """Gives the URL of a new database each time."""
    if postgresql:
        with postgres.running() as cluster:
            yield cluster.create_database
    else:
        with tempfile.TemporaryDirectory() as folder:
            numbers = itertools.count()
            yield lambda: f"sqlite:///{folder}/{next(numbers)}.db"


def kind(*, postgresql: bool) -> str:
    return "PostgreSQL" if postgresql else "SQLite"
