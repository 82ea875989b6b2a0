"""Who may do what (docs/domain.md, "Who may"): the table, by hand; routes are checked against it."""

import pytest

from gateway.errors import Forbidden, NotFound
from gateway.followups import permission
from gateway.followups.permission import Answer, Parties, Verb
from gateway.model import Access, Actor

KARI, PER, NINA = (Actor(Access.USER, name, name) for name in ("kari", "per", "nina"))
READ = Actor(Access.READ, name="report")
CRM = Actor(Access.CRM, name="crm")
CRM_FOR_PER = Actor(Access.CRM, "per", "crm")
ADMIN = Actor(Access.ADMIN, name="root")
OPEN = Parties("m1", "kari", participants=frozenset({"per"}))
PRIVATE = Parties("m1", "kari", private=True, participants=frozenset({"per"}))
ASSIGNED = Parties("m1", "per", assigned_by="kari", participants=frozenset({"per"}))
TAKEN = Parties("m1", "per", "kari", accepted=True, participants=frozenset({"per"}))

YES, FORBIDDEN, HIDDEN = Answer


@pytest.mark.parametrize(
    ("actor", "verb", "parties", "row", "answer"),
    [
        (KARI, Verb.SEE, OPEN, "", YES),
        (NINA, Verb.SEE, OPEN, "", YES),
        (READ, Verb.SEE, OPEN, "", YES),
        (ADMIN, Verb.SEE, OPEN, "", YES),
        (CRM, Verb.SEE, OPEN, "", YES),
        (KARI, Verb.SEE, PRIVATE, "", YES),
        (PER, Verb.SEE, PRIVATE, "", YES),
        (NINA, Verb.SEE, PRIVATE, "", HIDDEN),
        (NINA, Verb.EDIT, PRIVATE, "", HIDDEN),
        (READ, Verb.SEE, PRIVATE, "", HIDDEN),
        (ADMIN, Verb.SEE, PRIVATE, "", HIDDEN),
        (ADMIN, Verb.OUTLINE, PRIVATE, "", YES),
        (ADMIN, Verb.EDIT, PRIVATE, "", HIDDEN),
        (READ, Verb.OUTLINE, PRIVATE, "", HIDDEN),
        (NINA, Verb.OUTLINE, PRIVATE, "", HIDDEN),
        (NINA, Verb.OUTLINE, OPEN, "", YES),
        (CRM, Verb.SEE, PRIVATE, "", YES),
        (CRM_FOR_PER, Verb.SEE, PRIVATE, "", YES),
        (KARI, Verb.EDIT, OPEN, "", YES),
        (PER, Verb.EDIT, OPEN, "", FORBIDDEN),
        (CRM, Verb.EDIT, OPEN, "", YES),
        (CRM_FOR_PER, Verb.EDIT, OPEN, "", FORBIDDEN),
        (ADMIN, Verb.EDIT, OPEN, "", FORBIDDEN),
        (READ, Verb.EDIT, OPEN, "", FORBIDDEN),
        (PER, Verb.ANSWER, OPEN, "per", YES),
        (NINA, Verb.ANSWER, OPEN, "per", FORBIDDEN),
        (KARI, Verb.ANSWER, OPEN, "per", YES),
        (PER, Verb.OWN, OPEN, "per", YES),
        (PER, Verb.OWN, OPEN, "", FORBIDDEN),
        (KARI, Verb.OWN, OPEN, "per", FORBIDDEN),
        (CRM, Verb.OWN, OPEN, "per", YES),
        (CRM_FOR_PER, Verb.OWN, OPEN, "per", YES),
        (KARI, Verb.EDIT, ASSIGNED, "", YES),
        (PER, Verb.EDIT, ASSIGNED, "", YES),
        (KARI, Verb.EDIT, TAKEN, "", FORBIDDEN),
        (KARI, Verb.SEE, None, "", YES),
        (KARI, Verb.CREATE, None, "", YES),
        (READ, Verb.CREATE, None, "", FORBIDDEN),
        (KARI, Verb.DIRECTORY, None, "", FORBIDDEN),
        (CRM, Verb.DIRECTORY, None, "", YES),
        (CRM, Verb.IMPORT, None, "", YES),
        (CRM_FOR_PER, Verb.IMPORT, None, "", FORBIDDEN),
        (CRM, Verb.OPERATE, None, "", FORBIDDEN),
        (ADMIN, Verb.OPERATE, None, "", YES),
        (ADMIN, Verb.DEFINE, None, "", YES),
        (ADMIN, Verb.CREATE, None, "", FORBIDDEN),
    ],
)
def test_who_may_what(
    actor: Actor, verb: Verb, parties: Parties | None, row: str, answer: Answer
) -> None:
    assert permission.may(actor, verb, parties, row) is answer


def test_what_one_may_not_see_is_not_there_and_what_one_sees_is_forbidden() -> None:
    with pytest.raises(NotFound, match="there is no follow-up m1"):
        permission.require(NINA, Verb.EDIT, PRIVATE)
    with pytest.raises(Forbidden, match="only kari, who owns the follow-up"):
        permission.require(PER, Verb.EDIT, OPEN)


def test_the_journal_names_on_whose_behalf() -> None:
    assert KARI.by == "kari"
    assert CRM.by == "crm"
    assert CRM_FOR_PER.by == "per via crm"
