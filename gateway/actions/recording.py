"""Making, changing and deleting a follow-up as one document of the `load` dialect (domain.md §2;
docs/api.md).

What is wrong with a document, `load` says, with the place. A user makes follow-ups of their own,
and gives one away by assigning it; what an earlier system says of itself (UID, SEQUENCE, tokens,
what was sent) counts from the CRM alone. What is deleted is cancelled first, and goes once
everybody was told.
"""

import secrets
from collections.abc import Collection, Mapping
from typing import Any

from gateway import errors
from gateway.actions import load, load_format, load_report
from gateway.actions.desk import COMPLETED, Desk
from gateway.errors import Forbidden, InputError, Refused
from gateway.followups import permission
from gateway.followups.permission import Parties, Verb
from gateway.i18n import Phrase, marked
from gateway.store import deleted, followups, journal, records
from gateway.store.engine import Store

GIVEN_AWAY = ("owner", "assigned_by")
OF_EARLIER_SYSTEMS = ("uid", "sequence")
OF_EARLIER_INVITATIONS = ("token", "sent")
INVITEES_OWN = ("priority", "alarm_minutes", "progress")
OWN = frozenset({"completed", "priority", "alarm_minutes"})
"""What may be changed of a completed follow-up: none of it is an edit (domain.md §3)."""
FORGOTTEN_AT_A_TIME = 100


def create(desk: Desk, document: Mapping[str, Any]) -> str:
    """Returns its key: as the document says, else one that is made here.

    Raises `Forbidden` for another owner than oneself, `Refused` where there is one of that key,
    `InputError` for what is wrong with it.
    """
    permission.require(desk.actor, Verb.CREATE)
    completed = dict(document)
    completed.setdefault("key", f"f-{secrets.token_hex(8)}")
    key = completed["key"]
    if isinstance(key, str) and records.exists(desk.connection, key):
        raise Refused(marked("there is a follow-up %(key)s already; change that one"), key=key)
    if (me := desk.actor.associate) and (completed.setdefault("owner", me) or me) != me:
        raise Forbidden(marked("a new follow-up is one's own; assign it when it is made"))
    _load(desk, _plain(desk, completed))
    return str(key)


def put(desk: Desk, key: str, document: Mapping[str, Any]) -> bool:
    """Let the follow-up be what the document says, also where there is none yet. Returns whether
    it was made.

    Raises as `create`; as `Desk.require` where there is one; `InputError` for another kind than the
    one that was saved (help page 003); `Refused` where it is completed and something else than what
    is the owner's own would change.
    """
    if document.get("key", key) != key:
        raise errors.wrong("key", marked("is %(key)s in the address"), key=key)
    if not records.exists(desk.connection, key):
        create(desk, {**document, "key": key})
        return True
    followups.lock(desk.connection, key)
    concerned = desk.require(Verb.EDIT, key)
    said = {**_kept(desk, concerned), **document, "key": key}
    before = records.content(desk.connection, key)
    report = _load(desk, _plain(desk, said))
    after = records.content(desk.connection, key)
    _may_change(desk, key, before, after, report)
    return False


def delete(desk: Desk, key: str) -> None:
    """Cancel it; it is gone once everybody was told, at once where nobody was ever told anything.
    Taken back (`reinstate`, `put`) before that, it stays.

    Raises as `Desk.require`.
    """
    followups.lock(desk.connection, key)
    desk.require(Verb.EDIT, key)
    desk.changed(key, journal.Entry("deleted", key))
    if followups.known_edition(desk.connection, key) is None:
        records.delete(desk.connection, key)
    else:
        records.forget_later(desk.connection, key)


def forget(store: Store) -> int:
    """Delete the follow-ups that are to go, and that everybody was told of. Returns how many. Of
    what was deleted before, the copies go that nobody may need any more.
    """
    with store.write() as connection:
        deleted.forget(connection, FORGOTTEN_AT_A_TIME)
        keys = records.told(connection, FORGOTTEN_AT_A_TIME)
        for key in keys:
            records.delete(connection, key)
    return len(keys)


def _load(desk: Desk, document: Mapping[str, Any]) -> load_report.Report:
    _may_invite(desk, document)
    said = {"follow_ups": [document]}
    try:
        report = load.load(desk.connection, said, desk.settings, desk.now, desk.actor)
    except InputError as error:
        within = [(steps[2:], reason) for steps, reason in error.places]
        raise load_format.refusal(within) if within else error from error
    if report.created or report.changed:
        desk.touch(document["key"])
    return report


def _may_invite(desk: Desk, document: Mapping[str, Any]) -> None:
    """Raises `InputError` for who may not be picked and takes no part yet (domain.md §3); what the
    CRM brings with it is not asked.
    """
    rows = document.get("participants")
    if desk.actor.is_whole_crm or not isinstance(rows, list):
        return
    named = {
        (kind, row[kind]): place
        for place, row in enumerate(rows)
        if isinstance(row, Mapping)
        for kind in ("associate", "resource")
        if isinstance(row.get(kind), str)
    }
    refused = records.not_invitable(desk.connection, str(document["key"]), named)
    if refused:
        raise load_format.refusal(
            [
                (
                    ("participants", named[kind, who], kind),
                    Phrase(marked("%(who)r cannot be picked (invitable)"), who=who),
                )
                for kind, who in refused
            ]
        )


def _plain(desk: Desk, document: Mapping[str, Any]) -> dict[str, Any]:
    """Without what only the CRM says of an earlier system, and what is each invitee's own."""
    if desk.actor.is_whole_crm:
        return dict(document)
    said = {name: value for name, value in document.items() if name not in OF_EARLIER_SYSTEMS}
    rows = said.get("participants")
    if isinstance(rows, list):
        said["participants"] = [_plain_row(row, desk.actor.associate) for row in rows]
    return said


def _plain_row(row: Any, me: str) -> Any:
    if not isinstance(row, Mapping):
        return row
    left_out = {*OF_EARLIER_INVITATIONS, *(INVITEES_OWN if row.get("associate") != me else ())}
    return {name: value for name, value in row.items() if name not in left_out}


def _kept(desk: Desk, concerned: Parties) -> dict[str, Any]:
    """What stays where the document does not say it, except from the CRM: whose it is."""
    if desk.actor.is_whole_crm:
        return {}
    return {"owner": concerned.owner or None, "assigned_by": concerned.assigned_by or None}


def _may_change(
    desk: Desk,
    key: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    report: load_report.Report,
) -> None:
    changed = {name for name in after if after[name] != before[name]}
    if not desk.actor.is_whole_crm:
        _stays(changed, before["kind"])
    people = "participants" in report.created or "participants" in report.changed
    if before["completed"] and after["completed"] and (changed - OWN or people):
        raise Refused(COMPLETED)
    if before["completed"] != after["completed"]:
        event = "completed" if after["completed"] else "reopened"
        desk.note(journal.Entry(event, key))


def _stays(changed: Collection[str], kind: str) -> None:
    """What only a program that keeps the record itself changes once it is saved."""
    for field in GIVEN_AWAY:
        if field in changed:
            raise Forbidden(
                marked("%(field)s: a follow-up is given to somebody else by assigning it"),
                field=field,
            )
    if "kind" in changed:
        raise errors.wrong(
            "kind", marked("stays %(kind)s once it is saved; make a new one"), kind=kind
        )
