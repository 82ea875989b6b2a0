"""A whole document of `load` as one command: all of it or nothing (contract.md §3).

Unlike what a person does to one follow-up, it counts for the brake (domain.md §10).
"""

from gateway.actions import load
from gateway.actions.desk import Desk
from gateway.actions.load_format import Document
from gateway.actions.load_report import Report
from gateway.followups import permission
from gateway.followups.permission import Verb
from gateway.store import marks


def run(desk: Desk, document: Document) -> Report:
    """Bring the store to what the document says. Raises `InputError` that names each place."""
    permission.require(desk.actor, Verb.IMPORT)
    desk.single = False
    since = marks.newest_number(desk.connection)
    report = load.load(desk.connection, document, desk.settings, desk.now, desk.actor)
    desk.touch_since(since)
    return report
