"""Who may do what: the one answer that API, page and command line ask for (docs/domain.md, "Who
may").

What one may not see does not exist (`NotFound`); what one sees and may not do is `Forbidden`. Pure:
what the rules need to know of a follow-up is a value (`Parties`).
"""

from dataclasses import dataclass
from enum import Enum, StrEnum

from gateway.errors import Forbidden, NotFound
from gateway.i18n import marked
from gateway.model import Access, Actor


class Verb(StrEnum):
    """What there is to be allowed; a route or command asks for one of these."""

    SEE = "see"
    """Read a follow-up, whole."""
    OUTLINE = "outline"
    """Read of a follow-up at least key, times and delivery, which is all that administrators see of
    private ones.
    """
    CREATE = "create"
    """Make a follow-up of one's own."""
    EDIT = "edit"
    """What the owner does: change, move, cancel, invite, remove, switch, remind, decide."""
    ANSWER = "answer"
    """What an invited associate does with the own row: answer, see, priority, alarm, progress."""
    OWN = "own"
    """What nobody does for another person: having seen it, taking it out of the own diary."""
    DIRECTORY = "directory"
    """Write people, companies, groups and lists."""
    IMPORT = "import"
    DEFINE = "define"
    """Types, fields, preferences of the site."""
    WEBHOOKS = "webhooks"
    """Be told of events at an address of one's own."""
    OPERATE = "operate"
    """Users, tokens, queue, review."""


class Answer(Enum):
    YES = "yes"
    FORBIDDEN = "forbidden"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Parties:
    """Whom a follow-up concerns. `assigned_by`: the associate who assigned it to its owner, ""
    where it is nobody else's; `accepted`: the owner took the assignment; `participants`: keys of
    the associates who take part.
    """

    key: str
    owner: str
    assigned_by: str = ""
    accepted: bool = False
    private: bool = False
    participants: frozenset[str] = frozenset()

    def concerns(self, associate: str) -> bool:
        """Whether the follow-up is theirs in any way, so that they see it though it is private."""
        return bool(associate) and (
            associate in (self.owner, self.assigned_by) or associate in self.participants
        )


READING = frozenset({Verb.SEE, Verb.OUTLINE})
OF_THE_INVITEE = frozenset({Verb.ANSWER, Verb.OWN})
OF_THE_CRM = frozenset({Verb.CREATE, Verb.DIRECTORY, Verb.IMPORT, Verb.DEFINE, Verb.WEBHOOKS})
OF_ADMINISTRATORS = frozenset({Verb.DEFINE, Verb.OPERATE, Verb.WEBHOOKS})


def may(actor: Actor, verb: Verb, parties: Parties | None = None, row: str = "") -> Answer:
    """Whether `actor` may do that, to the follow-up of `parties` where it is about one. `row`: the
    associate whose row it is about, for `ANSWER`.
    """
    if parties is None:
        return _at_large(actor, verb)
    if actor.is_whole_crm:
        return Answer.YES
    if parties.private and not parties.concerns(actor.associate):
        is_outlined = verb is Verb.OUTLINE and actor.access is Access.ADMIN
        return Answer.YES if is_outlined else Answer.HIDDEN
    if verb in READING:
        return Answer.YES
    if verb in OF_THE_INVITEE and row and row == actor.associate and _acts(actor):
        return Answer.YES
    return (
        Answer.YES
        if verb in (Verb.EDIT, Verb.ANSWER) and _owns(actor, parties)
        else (Answer.FORBIDDEN)
    )


def require(actor: Actor, verb: Verb, parties: Parties | None = None, row: str = "") -> None:
    """Raises `NotFound` or `Forbidden` where `may` says no."""
    answer = may(actor, verb, parties, row)
    if answer is Answer.HIDDEN:
        assert parties is not None
        raise NotFound(marked("there is no follow-up %(key)s"), key=parties.key)
    if answer is Answer.FORBIDDEN:
        raise _forbidden(actor, verb, parties)


def _acts(actor: Actor) -> bool:
    """An associate who may write."""
    return bool(actor.associate) and actor.access in (Access.USER, Access.CRM)


def _owns(actor: Actor, parties: Parties) -> bool:
    """The owner; until the assignment is accepted, also who assigned it (domain.md §4)."""
    if not _acts(actor):
        return False
    if actor.associate == parties.owner:
        return True
    return actor.associate == parties.assigned_by and not parties.accepted


def _at_large(actor: Actor, verb: Verb) -> Answer:
    allowed = (
        verb is Verb.SEE
        or (actor.is_whole_crm and verb in OF_THE_CRM)
        or (actor.access is Access.ADMIN and verb in OF_ADMINISTRATORS)
        or (verb is Verb.CREATE and _acts(actor))
    )
    return Answer.YES if allowed else Answer.FORBIDDEN


def _forbidden(actor: Actor, verb: Verb, parties: Parties | None) -> Forbidden:
    if parties is not None and verb is Verb.EDIT and _acts(actor):
        if not parties.owner:
            words = marked("only the CRM may do that: nobody of the house owns the follow-up")
            return Forbidden(words)
        words = marked("only %(owner)s, who owns the follow-up, may do that")
        return Forbidden(words, owner=parties.owner)
    if parties is not None and verb is Verb.OWN:
        return Forbidden(marked("only whose row it is may do that"))
    if parties is not None and verb is Verb.ANSWER:
        return Forbidden(marked("only whose row it is, or the owner on their behalf, may do that"))
    if actor.access is Access.CRM and verb in OF_THE_CRM:
        return Forbidden(marked("only the CRM itself may do that, on nobody's behalf"))
    return Forbidden(
        marked("a connection of the kind %(access)s may not do that"), access=actor.access
    )
