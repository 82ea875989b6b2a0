"""Taking back that an address is the same person's (itip.md §5, P2), from the page: by who taught
it, and by administrators. From now on a sender who writes from there is somebody unknown again.

A verb for a `Desk`. On failure nothing was written: `NotFound` where it was not learned, or is
taken back already.
"""

from gateway.actions import review
from gateway.actions.desk import Desk
from gateway.errors import Forbidden, NotFound
from gateway.followups import permission
from gateway.followups.permission import Answer, Verb
from gateway.i18n import marked
from gateway.model import Channel
from gateway.store import followups, journal, known
from gateway.store.known import Holder, Learned


def may_forget(desk: Desk, alias: Learned) -> bool:
    """Whether who asks has taught it, or looks after the installation."""
    operates = permission.may(desk.actor, Verb.OPERATE) is Answer.YES
    keeps = permission.may(desk.actor, Verb.DIRECTORY) is Answer.YES
    # "kari" in the CRM, "kari via NAME" on a page (`Actor.by`).
    taught = bool(desk.actor.associate) and desk.actor.associate in (
        alias.learned_by,
        alias.learned_by.partition(" via ")[0],
    )
    return operates or keeps or taught


def forget(desk: Desk, person: str, value: str) -> None:
    """Revoke an address that was learned as a person's."""
    holder = Holder(person=person)
    for key in known.follow_ups_of(desk.connection, holder):
        followups.lock(desk.connection, key)
    aliases = [alias for alias in known.learned(desk.connection, person) if alias.address == value]
    if not aliases:
        raise NotFound(
            marked("%(value)s is no learned address of %(person)s"), value=value, person=person
        )
    if not may_forget(desk, aliases[0]):
        raise Forbidden(
            marked("only %(learned_by)s, who taught it, or an administrator may"),
            learned_by=aliases[0].learned_by,
        )
    known.forget(desk.connection, holder, value, by=desk.actor.by, at=desk.now)
    words = f"{value} is no longer known as {person}"
    desk.note(journal.Entry(review.FORGOTTEN, channel=Channel.HAND, detail=words))
