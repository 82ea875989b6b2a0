"""What is kept no longer than the settings say (docs/operations.md, "How long data is kept").

A look goes through each table by number, a page in each transaction, so that nobody waits long; a
tick does some pages, and the next goes on. Only what is about nothing, or about a follow-up that is
over, is let go: its last date has passed for so long, nothing about it waits, and of one that is
deleted nobody holds an invitation. Nothing by which answers, duplicates and CANCELs are judged goes
(`store.retention`).
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from gateway.followups import recurrence
from gateway.sections import Retention
from gateway.store import retention
from gateway.store.engine import Connection, Store
from gateway.store.retention import Page

PAGES = 50
"""In one tick."""
EVERY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Task:
    """One table. `days`: how long its rows are kept; `read`: a page of the old ones; `delete`: what
    becomes of those that may go, `silence` of those that are needed.
    """

    name: str
    days: int
    read: Callable[[Connection, int, datetime], Page]
    delete: Callable[[Connection, Collection[int]], int]
    silence: Callable[[Connection, Collection[int]], int] | None = None


class Purge:
    """Where the look is, for as long as the process runs. One that failed goes on where it was."""

    def __init__(self, store: Store, settings: Retention) -> None:
        self._store, self._settings = store, settings
        self._tasks = list[Task]()
        self._after = 0
        self._next: datetime | None = None

    def go_on(self, now: datetime, pages: int = PAGES) -> Counter[str]:
        """Do some pages; a look begins a day after the last. Returns how many rows went, by name
        of what they are.
        """
        if not self._tasks and (self._next is None or now >= self._next):
            self._tasks, self._next = _tasks(self._settings), now + EVERY
        gone = Counter[str]()
        for _ in range(pages):
            if not self._tasks:
                break
            task = self._tasks[0]
            with self._store.write() as connection:
                number, last = _purge(connection, task, self._after, now)
            gone[task.name] += number
            self._after = last or 0
            if last is None:
                self._tasks.pop(0)
        return +gone


def _tasks(settings: Retention) -> list[Task]:
    """What is to be looked through; what is kept for ever is not."""
    of, limits = retention, settings
    every = [
        *_letters(limits.letter_days),
        Task("attempts", limits.attempt_days, of.attempts, of.delete_attempts),
        _journal(limits.journal_days),
        Task("messages", limits.message_days, of.messages, of.silence_messages),
        Task("tokens", limits.token_days, of.tokens, of.delete_tokens),
    ]
    return [task for task in every if task.days]


def _letters(days: int) -> list[Task]:
    """An edition goes once its letters are gone."""
    return [
        Task("letters", days, retention.letters, retention.delete_letters),
        Task("editions", days, retention.editions, retention.delete_editions),
    ]


def _journal(days: int) -> Task:
    return Task(
        "journal entries",
        days,
        retention.entries,
        retention.delete_entries,
        retention.silence_entries,
    )


def _purge(connection: Connection, task: Task, after: int, now: datetime) -> tuple[int, int | None]:
    before = now - timedelta(days=task.days)
    page = task.read(connection, after, before)
    keys = {row.follow_up for row in page.rows if row.follow_up is not None}
    over = _over(connection, keys, before)
    old = [row for row in page.rows if row.follow_up is None or row.follow_up in over]
    number = task.delete(connection, [row.id for row in old if not row.needed])
    if task.silence is not None:
        number += task.silence(connection, [row.id for row in old if row.needed])
    return number, page.last


def _over(connection: Connection, keys: Collection[str], before: datetime) -> set[str]:
    """Those of the follow-ups that were over before then, and about which nothing waits."""
    planned = retention.planned(connection, keys)
    there = {
        key
        for key, edition in planned.items()
        if edition is not None and recurrence.over(edition, before)
    }
    deleted = set(keys) - planned.keys()
    taken_back = deleted - retention.held(connection, deleted)
    return (there | taken_back) - retention.busy(connection, keys)
