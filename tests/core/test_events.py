"""docs/states.md, "Journal", has every event that the code writes, and the webhook of each."""

import ast
import re
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from gateway.actions import deliveries, queue, review, strangers
from gateway.followups import webhooks
from gateway.invite import changes
from gateway.model import Outcome, ProposalState
from gateway.store import decisions, inbox

ROOT = Path(__file__).parents[2]
STANDINGS = {"toggled", "toggle_refused", "moved", "cancelled", "reinstated", "added"}
DROPPED = {"date_dropped", "begun", "asked_anew"}
COMPUTED: dict[str, Collection[str]] = {
    "actions/aliases.py: review.FORGOTTEN": {review.FORGOTTEN},
    "actions/answering.py: Outcome.APPLIED.value": {Outcome.APPLIED},
    "actions/answering.py: Outcome.SEEN.value": {Outcome.SEEN},
    "actions/answers.py: conclusion.outcome.value": set(Outcome),
    "actions/brake.py: event": {"undone", "asked_anew"},
    "actions/deliveries.py: _event(queued, settlement)": {
        *deliveries.EVENTS.values(),
        "undeliverable",
        "deferred",
        "forwarded",
        "not_forwarded",
    },
    "actions/keeping.py: change.event": DROPPED,
    "actions/keeping.py: event": {"added", "removed", "not_invited", "suspended", "resumed"},
    "actions/keeping.py: event.partition(':')[0]": {*STANDINGS, *DROPPED, changes.COUNTS},
    "actions/load.py: event": {"created", "changed"},
    "actions/moving.py: event": {"date_moved", "date_added"},
    "actions/proposals.py: f'proposal_{state.value}'": {
        f"proposal_{state}" for state in ProposalState if state is not ProposalState.OPEN
    },
    "actions/queue.py: step.event": {step.event for step in queue.STEPS.values()},
    "actions/recording.py: event": {"completed", "reopened"},
    "actions/review.py: EVENTS[verb]": set(review.EVENTS.values()),
    "actions/review.py: FORGOTTEN": {review.FORGOTTEN},
    "actions/review.py: LEARNED": {review.LEARNED},
    "actions/strangers.py: event": {
        strangers.MADE,
        strangers.CHANGED,
        strangers.CANCELLED,
        strangers.REINSTATED,
        strangers.DELETED,
    },
    "actions/strangers.py: RENAMED": {strangers.RENAMED},
    "actions/undoing.py: inbox.TAKEN_BACK": {inbox.TAKEN_BACK},
    "actions/webhooks.py: event": {"webhook_off", "webhook_given_up"},
    "store/decisions.py: event": {decisions.OPENED, decisions.CLOSED},
    "web/feed.py: RESET": set(),  # is sent and never written (docs/api.md)
}
"""Events that are no constants where they are written, by module and expression."""


def written(source: str) -> Iterator[str]:
    """What stands first in each `journal.Entry(…)`: constants in quotes, or the expression."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "journal.Entry" and call.args:
            [event] = call.args[:1]
            choices = [event.body, event.orelse] if isinstance(event, ast.IfExp) else [event]
            yield from map(ast.unparse, choices)


@cache
def events() -> frozenset[str]:
    """All that the code writes."""
    constants, computed = set[str](), set[str]()
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        for event in written(path.read_text(encoding="utf-8")):
            if event.startswith("'"):
                constants.add(event[1:-1])
            else:
                computed.add(f"{path.relative_to(ROOT / 'gateway')}: {event}")
    assert computed == COMPUTED.keys(), "COMPUTED says what each of these may be"
    return frozenset(constants.union(*COMPUTED.values()))


def explained() -> dict[str, set[str]]:
    """The types of webhooks by event, as the table says it."""
    text = (ROOT / "docs" / "states.md").read_text(encoding="utf-8")
    table = text.partition("\n## Journal\n")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| (`.*?) \|(.*?)\|", table)
    return {
        event: set(re.findall(r"`([^`]+)`", types))
        for names, types in rows
        for event in re.findall(r"`([^`]+)`", names)
    }


def test_events_are_found() -> None:
    source = 'journal.Entry("a", key); [journal.Entry("b" if c else d, key)]; other.Entry("e")'
    assert list(written(source)) == ["'a'", "'b'", "d"]


def test_every_event_of_the_journal_is_explained_and_no_other() -> None:
    assert explained().keys() == events()


def test_each_event_is_told_by_the_webhook_that_the_table_says() -> None:
    kinds = {
        event: {
            kind.value
            for participant, letter in ((False, False), (True, False), (True, True))
            if (
                kind := webhooks.event_type(
                    event, follow_up=True, participant=participant, letter=letter
                )
            )
        }
        for event in events()
    }
    assert explained() == kinds


def test_webhooks_wait_for_no_event_that_nobody_writes() -> None:
    known = {*webhooks.OF_PARTICIPANTS, *webhooks.OF_FOLLOW_UPS, *webhooks.OF_DECISIONS}
    assert known <= events()
