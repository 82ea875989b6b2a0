"""What waits for a person: opened by what causes it in reality, closed by every way that ends it
(domain.md §9), on both databases.

The stories are told in the language of `tests/dialogues`; the matrix of kinds and endings is made
of the table in `followups.decisions`, so a line that is added there without its story fails.
"""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import sqlalchemy as sa

from gateway.actions import deciding, desk, queue, review
from gateway.actions import decisions as deciders
from gateway.actions.decisions import DOES, Chosen
from gateway.actions.desk import Desk
from gateway.cli import context
from gateway.errors import Forbidden, InputError, NotFound, Refused
from gateway.followups.decisions import CHOICES, ENDINGS, Choice, Decision, DecisionKind, Ending
from gateway.inbound import process
from gateway.model import Access, Actor, Method
from gateway.store import decisions, journal, schema_domain
from gateway.store.decisions import Filter
from gateway.store.engine import Store
from gateway.store.outbox import Selection
from tests.dialogues import runner, world
from tests.dialogues.language import Line
from tests.dialogues.office import command
from tests.dialogues.runner import Stage

KARI = Actor(Access.USER, "kari", "kari")
ROOT = Actor(Access.ADMIN, name="root")
EVERYBODY = Filter(administrators=True)
MEETING = """
follow-up m1 "Kick-off" 2026-12-01 09:00-10:00
person ola "Ola Hansen": ola@ext.example
invite ola
invite eva@other.example
at 09:10
"""
ASSIGNED = """
sql INSERT INTO associate (key, name, email) VALUES ('per', 'Per Berg', 'per@crm.example')
follow-up m1 "Call them" 2026-12-01 09:00-10:00
sql UPDATE follow_up SET owner = 'per', assigned_by = 'kari' WHERE key = 'm1'
sql INSERT INTO participant (follow_up, associate, email_invite) VALUES ('m1', 'per', TRUE)
at 09:10
"""

CAUSES: dict[DecisionKind, str] = {
    DecisionKind.PROPOSAL: "< ola@ext.example COUNTER 2026-12-01 14:00-15:00",
    DecisionKind.SAME_PERSON: "< ola@home.example REPLY ACCEPTED, using the letter to ola@ext.example,"
    " ATTENDEE ola@home.example",
    DecisionKind.PARTY_CRASHER: "< sam@far.example REPLY ACCEPTED, using the letter to"
    " ola@ext.example, no token, ATTENDEE sam@far.example, authenticated",
    DecisionKind.WORDS: '< ola@ext.example text "Yes, I will be there"',
    DecisionKind.DECLINED: '< ola@ext.example REPLY DECLINED, comment "I am ill"',
    DecisionKind.ASSIGNMENT_DECLINED: "< per@crm.example REPLY DECLINED",
    DecisionKind.UNDELIVERABLE: "< mailer-daemon@ext.example DSN failed 5.1.1, using the letter to"
    " ola@ext.example, to the bounce address",
}
ENDS: dict[Ending, str] = {
    Ending.ANSWERED: "at 09:20\n< ola@ext.example REPLY ACCEPTED",
    Ending.REMOVED: "remove ola",
    Ending.CANCELLED: "cancel m1",
    Ending.OVER: "at 2026-12-02 11:00",
    Ending.MOVED: "move m1 to 2026-12-03 09:00-10:00",
    Ending.JOINED: "invite sam@far.example",
    Ending.CORRECTED: "person ola: ola@new.example",
    Ending.ARRIVED: "title of m1: Start",
}
OWN_ENDS: dict[tuple[DecisionKind, Ending], str] = {
    (DecisionKind.ASSIGNMENT_DECLINED, Ending.ANSWERED): "< per@crm.example REPLY ACCEPTED",
    (
        DecisionKind.ASSIGNMENT_DECLINED,
        Ending.REMOVED,
    ): "sql UPDATE participant SET removed = TRUE",
    (
        DecisionKind.ASSIGNMENT_DECLINED,
        Ending.CANCELLED,
    ): "sql UPDATE follow_up SET cancelled = TRUE",
    (
        DecisionKind.ASSIGNMENT_DECLINED,
        Ending.MOVED,
    ): "sql UPDATE follow_up SET start_at = '2026-12-03 08:00:00', end_at = '2026-12-03 09:00:00'",
}


class Office:
    """A gateway that a script plays with."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.stage = Stage(world.begin(store, runner.BEGIN))

    def play(self, script: str) -> "Office":
        lines = [line for line in script.strip().splitlines() if line]
        for number, text in enumerate(lines, 1):
            if text[0] in "<>" or text.startswith("at "):
                runner.post(self.stage)
            self.stage.unread.clear()
            runner.step(self.stage, Line("test_decisions.py", number, text))
        runner.post(self.stage)
        return self

    def open(self, wanted: Filter = EVERYBODY) -> list[Decision]:
        with self.store.read() as connection:
            return decisions.page(connection, wanted, 100)

    def kinds(self) -> list[str]:
        return sorted(one.kind.value for one in self.open())

    def events(self) -> list[tuple[str, str, str]]:
        with self.store.read() as connection:
            entries = journal.after(connection, 0, 500)
        return [
            (one.event, one.detail, one.by) for one in entries if one.event.startswith("decision_")
        ]

    def closed(self) -> list[tuple[str, str, str]]:
        with self.store.read() as connection:
            table = schema_domain.decision
            rows = connection.execute(sa.select(table).where(table.c.closed_at.is_not(None)))
            return [(row.kind, row.choice, row.closed_by) for row in rows]

    def decide(self, chosen: Chosen, actor: Actor = KARI) -> Decision:
        """Of the one decision that is open."""
        [one] = self.open()
        world = self.stage.world
        judge = self.desk.judge

        def choose(here: Desk) -> Decision:
            return deciders.decide(here, one.id, chosen, judge)

        return desk.perform(self.store, world.settings, world.now, actor, choose).answer

    def status(self, key: str = "ola") -> str:
        rows = {row.key: row.status for row in self.stage.world.rows("m1")}
        return rows.get(key, "gone")

    @property
    def desk(self) -> review.Desk:
        world = self.stage.world
        judge = process.Processor(self.store, world.settings).again
        return review.Desk(self.store, world.settings, judge, "kari", world.now)


@pytest.fixture
def office(store: Store) -> Office:
    return Office(store)


def begun(office: Office, kind: DecisionKind) -> Office:
    """A decision of this kind is open, and no other."""
    office.play(ASSIGNED if kind is DecisionKind.ASSIGNMENT_DECLINED else MEETING)
    office.play(CAUSES[kind])
    assert office.kinds() == [kind.value]
    return office


OF_FOLLOW_UPS = sorted(CAUSES)
MATRIX = [
    (kind, ending)
    for kind in OF_FOLLOW_UPS
    for ending in sorted(ENDINGS[kind])
    if ending is not Ending.SETTLED
]


@pytest.mark.parametrize("kind", OF_FOLLOW_UPS)
def test_what_begins_to_wait_is_a_decision_for_whose_it_is(
    office: Office, kind: DecisionKind
) -> None:
    """domain.md §9"""
    begun(office, kind)
    [one] = office.open(Filter("kari"))
    assert (one.cause.follow_up, one.closed_at) == ("m1", None)
    assert office.events() == [("decision_opened", kind.value, "")]
    assert office.open(Filter("per")) == []


@pytest.mark.parametrize("kind", OF_FOLLOW_UPS)
def test_the_same_cause_is_one_decision(office: Office, kind: DecisionKind) -> None:
    """domain.md §9"""
    begun(office, kind)
    office.play("at 09:20\n< again")
    with office.store.write() as connection:
        for _ in range(2):
            deciding.follow(connection, ["m1"], office.stage.world.now)
    assert office.kinds() == [kind.value]
    is_held = kind in (DecisionKind.SAME_PERSON, DecisionKind.PARTY_CRASHER)
    # The newest message is the one that is asked about.
    assert len(office.events()) == (3 if is_held else 1)


@pytest.mark.parametrize(("kind", "ending"), MATRIX)
def test_what_ends_by_another_way_closes_by_itself(
    office: Office, kind: DecisionKind, ending: Ending
) -> None:
    """domain.md §9"""
    begun(office, kind)
    office.play(OWN_ENDS.get((kind, ending), ENDS[ending]))
    if ending is Ending.OVER:
        assert office.kinds() == [kind.value]
        assert deciding.sweep(office.store, office.stage.world.now) > 0
    assert office.kinds() == []
    assert office.closed() == [(kind.value, "", "")]
    assert office.events()[1:] == [("decision_closed", kind.value, "")]


THEIRS = "WHERE follow_up = 'm1' AND (person = 'ola' OR associate = 'per')"
EVERY = frozenset(CAUSES)
OF_A_ROW = EVERY - {DecisionKind.PARTY_CRASHER}
BY_SQL: dict[str, tuple[str, frozenset[DecisionKind]]] = {
    "completed": ("UPDATE follow_up SET completed = TRUE WHERE key = 'm1'", EVERY),
    "deleted": ("DELETE FROM follow_up WHERE key = 'm1'", EVERY),
    "the row deleted": (f"DELETE FROM participant {THEIRS}", OF_A_ROW),
    "the row given away": (
        f"UPDATE participant SET person = NULL, associate = NULL, email = 'new@far.example' {THEIRS}",
        OF_A_ROW,
    ),
    "accepted by hand": (
        f"UPDATE participant SET set_status = 1 {THEIRS}",
        frozenset({DecisionKind.DECLINED, DecisionKind.ASSIGNMENT_DECLINED, DecisionKind.WORDS}),
    ),
    "another address": (
        "UPDATE person_email SET address = 'ola@new.example' WHERE person = 'ola'",
        frozenset({DecisionKind.UNDELIVERABLE}),
    ),
    "switched off": (
        f"UPDATE participant SET email_invite = FALSE {THEIRS}",
        frozenset({DecisionKind.UNDELIVERABLE}),
    ),
}
"""What plain SQL says, and which kinds end with it."""


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in BY_SQL for kind in sorted(BY_SQL[name][1])]
)
def test_what_plain_sql_ends_closes_when_it_is_noticed(
    office: Office, name: str, kind: DecisionKind
) -> None:
    """domain.md §9: in the transaction of its cause, which is the planner's for plain SQL."""
    begun(office, kind)
    office.play(f"at 09:20\nsql {BY_SQL[name][0]}")
    assert office.kinds() == []
    assert office.closed() == [(kind.value, "", "")]


@pytest.mark.parametrize("kind", sorted(EVERY - {DecisionKind.ASSIGNMENT_DECLINED}))
def test_who_is_made_the_owner_by_plain_sql_has_what_waits(
    office: Office, kind: DecisionKind
) -> None:
    """domain.md §9"""
    begun(office, kind)
    office.play("sql INSERT INTO associate (key, name) VALUES ('nils', 'Nils Berg')")
    office.play("sql UPDATE follow_up SET owner = 'nils' WHERE key = 'm1'\nat 09:20")
    assert [one.cause.associate for one in office.open()] == ["nils"]
    assert office.open(Filter("kari")) == []


def test_the_table_says_of_every_kind_what_can_be_chosen_and_what_ends_it() -> None:
    """domain.md §9"""
    assert set(CHOICES) == set(ENDINGS) == set(DecisionKind)
    assert set(CAUSES) == set(DecisionKind) - {DecisionKind.BRAKE, DecisionKind.WEBHOOK}


@pytest.mark.parametrize("verb", [queue.Verb.RELEASE, queue.Verb.DROP])
def test_what_the_brake_holds_is_one_decision_for_administrators(
    office: Office, verb: queue.Verb
) -> None:
    """domain.md §10"""
    office.stage.world.set("outbound", "brake_follow_ups", 1)
    for number in range(1, 4):
        office.play(
            f'follow-up m{number} "Kick-off" 2026-12-01 09:00-10:00\ninvite ola@ext.example'
        )
    office.play("at 09:20\nsql UPDATE follow_up SET cancelled = TRUE")
    assert office.kinds() == ["brake"]
    assert office.open(Filter("kari")) == []
    world = office.stage.world
    queue.change(office.store, verb, Selection(braked=True), world.now, "root")
    assert office.kinds() == []
    assert office.closed() == [("brake", verb.value, "root")]


def test_a_record_that_is_put_back_ends_the_brake(office: Office) -> None:
    """domain.md §10"""
    office.stage.world.set("outbound", "brake_follow_ups", 1)
    for number in range(1, 4):
        office.play(
            f'follow-up m{number} "Kick-off" 2026-12-01 09:00-10:00\ninvite ola@ext.example'
        )
    office.play("at 09:20\nsql UPDATE follow_up SET cancelled = TRUE")
    office.play("at 09:30\nsql UPDATE follow_up SET cancelled = FALSE")
    assert office.closed() == [("brake", "", "")]


@pytest.mark.parametrize(
    ("kind", "verb", "choice"),
    [
        (DecisionKind.SAME_PERSON, review.learn_from, Choice.SAME),
        (DecisionKind.SAME_PERSON, review.reject, Choice.OTHER),
        (DecisionKind.PARTY_CRASHER, review.reject, Choice.REFUSE),
    ],
)
def test_the_review_decides_too(
    office: Office,
    kind: DecisionKind,
    verb: Callable[[review.Desk, int], review.Settled],
    choice: Choice,
) -> None:
    """domain.md §9"""
    [one] = begun(office, kind).open()
    assert one.cause.message is not None
    assert verb(office.desk, one.cause.message).done
    assert office.closed() == [(kind.value, choice.value, "kari")]
    assert office.kinds() == []


def test_who_was_added_in_the_review_waits_no_more(office: Office) -> None:
    """domain.md §9"""
    [one] = begun(office, DecisionKind.PARTY_CRASHER).open()
    assert review.apply(office.desk, one.cause.message or 0, add=True).done
    assert office.closed() == [("party_crasher", "add", "kari")]


@pytest.mark.parametrize(("accept", "choice"), [(True, "move"), (False, "keep")])
def test_a_proposal_is_decided_where_the_review_decides_it(
    office: Office, accept: bool, choice: str
) -> None:
    """domain.md §9"""
    [one] = begun(office, DecisionKind.PROPOSAL).open()
    review.decide(office.desk, one.cause.proposal or 0, accept=accept)
    assert office.closed() == [("proposal", choice, "kari")]


def test_a_letter_that_the_server_refuses_waits_for_the_owner(office: Office) -> None:
    """domain.md §9"""
    office.play("the mail server refuses ola@ext.example: 550 5.1.1 no such user\n" + MEETING)
    [one] = office.open()
    assert one.kind is DecisionKind.UNDELIVERABLE
    assert one.cause.detail == {
        "address": "ola@ext.example",
        "reason": "550 5.1.1 no such user",
    }
    office.play("the mail server takes ola@ext.example again\ntitle of m1: Start")
    assert office.closed() == [("undeliverable", "", "")]


def test_a_row_with_an_invitation_to_each_date_is_asked_about_once(office: Office) -> None:
    """itip.md §2"""
    office.play(
        "the mail server refuses ola@ext.example: 550 5.1.1 no such user\n"
        + MEETING.replace(
            "invite eva@other.example",
            "sql INSERT INTO follow_up_date (follow_up, original_start)"
            " VALUES ('m1', '2026-12-01 13:00:00')",
        )
    )
    assert office.kinds() == ["undeliverable"]


def test_what_each_says_is_what_a_person_needs(office: Office) -> None:
    """domain.md §9: times, the invitee's words, from which address, what they seem to say."""
    office.play(MEETING)
    for kind in (DecisionKind.PROPOSAL, DecisionKind.SAME_PERSON, DecisionKind.WORDS):
        office.play(CAUSES[kind])
    said = {one.kind: one.cause.detail for one in office.open()}
    proposal = said[DecisionKind.PROPOSAL]
    assert (proposal["start"], proposal["end"]) == ("2026-12-01T13:00:00Z", "2026-12-01T14:00:00Z")
    held = said[DecisionKind.SAME_PERSON]
    assert (held["address"], held["invited"], held["reply"]) == (
        "ola@home.example",
        "ola@ext.example",
        "accepted",
    )
    words = said[DecisionKind.WORDS]
    assert (words["text"], words["suggestion"], words["address"]) == (
        "Yes, I will be there",
        "accepted",
        "ola@ext.example",
    )


def test_what_a_machine_sent_is_no_word_for_anybody(office: Office) -> None:
    """domain.md §9"""
    office.play(MEETING + '< ola@ext.example vacation "I am away until Monday"')
    assert office.kinds() == []


def test_what_was_toggled_by_hand_is_no_decline_to_decide_on(office: Office) -> None:
    """domain.md §9"""
    office.play(MEETING + "< ola@ext.example REPLY ACCEPTED\nby hand ola declined")
    assert office.kinds() == []


def test_a_new_owner_decides(office: Office) -> None:
    """domain.md §9"""
    begun(office, DecisionKind.DECLINED)
    office.play(
        "sql INSERT INTO associate (key, name, email) VALUES ('per', 'Per', 'per@crm.example')\n"
        "sql UPDATE follow_up SET owner = 'per'"
    )
    assert [one.kind for one in office.open(Filter("per"))] == [DecisionKind.DECLINED]
    assert office.open(Filter("kari")) == []
    assert len(office.events()) == 1


def test_a_decline_that_was_acknowledged_waits_again_after_another_one(office: Office) -> None:
    """domain.md §9"""
    [one] = begun(office, DecisionKind.DECLINED).open()
    with office.store.write() as connection:
        number = one.cause.participant or 0
        assert decisions.close_declines(connection, number, "kari", office.stage.world.now)
        deciding.follow(connection, ["m1"], office.stage.world.now)
    assert office.kinds() == []
    office.play('at 09:20\n< ola@ext.example REPLY DECLINED, comment "still ill"')
    [again] = office.open()
    assert again.cause.detail["comment"] == "still ill"


def test_a_store_from_before_there_were_decisions_is_looked_through_once(office: Office) -> None:
    """domain.md §9"""
    begun(office, DecisionKind.DECLINED)
    office.play(CAUSES[DecisionKind.PROPOSAL])
    office.play(CAUSES[DecisionKind.SAME_PERSON])
    with office.store.write() as connection:
        connection.execute(sa.delete(schema_domain.decision))
    rounds = 0
    while deciding.catch_up(office.store, office.stage.world.now):
        rounds += 1
    assert rounds == 1
    assert office.kinds() == ["declined", "proposal", "same_person"]
    with office.store.write() as connection:
        connection.execute(sa.delete(schema_domain.decision))
    assert not deciding.catch_up(office.store, office.stage.world.now)
    assert office.kinds() == []


def test_a_follow_up_that_is_renamed_takes_its_decisions_along(office: Office) -> None:
    """domain.md §9"""
    begun(office, DecisionKind.SAME_PERSON)
    office.play("sql UPDATE follow_up SET key = 'm2' WHERE key = 'm1'")
    assert [one.cause.follow_up for one in office.open()] == ["m2"]
    assert len(office.events()) == 1


# --- chosen by a person ---

CHOSEN: dict[tuple[DecisionKind, Choice], Chosen] = {
    (DecisionKind.DECLINED, Choice.RESCHEDULE): Chosen("reschedule", start="2026-12-03T09:00"),
    (DecisionKind.ASSIGNMENT_DECLINED, Choice.ASSIGN): Chosen("assign", to="liv"),
    (DecisionKind.UNDELIVERABLE, Choice.CORRECT): Chosen("correct", address="eva@new.example"),
}
BOUNCED = (
    "< mailer-daemon@ext.example DSN failed 5.1.1, using the letter to eva@other.example,"
    " to the bounce address"
)
PEOPLE = "sql INSERT INTO associate (key, name, email) VALUES ('liv', 'Liv', 'liv@crm.example')"
OF_THE_BRAKE = (DecisionKind.BRAKE, DecisionKind.WEBHOOK)


def test_every_choice_does_something() -> None:
    """domain.md §9"""
    assert set(DOES) == {(kind, choice) for kind in CHOICES for choice in CHOICES[kind]}


@pytest.mark.parametrize(
    ("kind", "choice"),
    [key for key in sorted(DOES) if key[0] not in OF_THE_BRAKE],
    ids=lambda one: str(one),
)
def test_a_choice_closes_with_who_made_it(
    office: Office, kind: DecisionKind, choice: Choice
) -> None:
    """domain.md §9"""
    office.play(PEOPLE)
    if kind is DecisionKind.UNDELIVERABLE:
        office.play(MEETING + BOUNCED)
    else:
        begun(office, kind)
    chosen = CHOSEN.get((kind, choice), Chosen(choice.value))
    closed = office.decide(chosen)
    assert (closed.choice, closed.closed_by) == (choice, "kari")
    assert office.kinds() == []
    office.play("at 09:30\ntitle of m1: Start")
    assert kind.value not in office.kinds()
    assert office.events()[:2] == [
        ("decision_opened", kind.value, ""),
        ("decision_closed", f"{kind.value}: {choice.value}", "kari"),
    ]


@pytest.mark.parametrize(
    ("kind", "choice", "status"),
    [
        (DecisionKind.SAME_PERSON, Choice.SAME, "not_started"),
        (DecisionKind.SAME_PERSON, Choice.OTHER, "invitation"),
        (DecisionKind.WORDS, Choice.RECORD, "not_started"),
        (DecisionKind.WORDS, Choice.READ, "invitation"),
    ],
)
def test_what_was_chosen_counts(
    office: Office, kind: DecisionKind, choice: Choice, status: str
) -> None:
    """domain.md §9"""
    begun(office, kind)
    office.decide(Chosen(choice.value))
    assert office.status() == status


def test_a_refused_proposal_foretells_the_letter_that_tells_of_it(office: Office) -> None:
    """domain.md §9"""
    [one] = begun(office, DecisionKind.PROPOSAL).open()
    world, judge = office.stage.world, office.desk.judge

    def keep(here: Desk) -> Decision:
        return deciders.decide(here, one.id, Chosen("keep"), judge)

    tried = desk.perform(office.store, world.settings, world.now, KARI, keep, dry_run=True)
    methods = [queued.letter.method for queued in tried.letters.queued]
    assert methods == [Method.DECLINECOUNTER]
    assert office.kinds() == ["proposal"]


def test_who_crashed_takes_part_with_the_answer(office: Office) -> None:
    """domain.md §9"""
    begun(office, DecisionKind.PARTY_CRASHER)
    office.play("at 09:20\n" + CAUSES[DecisionKind.PARTY_CRASHER].replace("ACCEPTED", "TENTATIVE"))
    office.decide(Chosen("add"))
    assert office.status("sam@far.example") == "seen"


def test_all_that_somebody_wrote_counts_in_its_order(office: Office) -> None:
    """domain.md §9"""
    begun(office, DecisionKind.SAME_PERSON)
    later = CAUSES[DecisionKind.SAME_PERSON].replace("ACCEPTED", "DECLINED")
    office.play("at 09:20\n" + later)
    office.decide(Chosen("same"))
    assert office.status() == "declined"
    # That is the next thing to be decided on.
    assert office.kinds() == ["declined"]


def test_assigned_again_it_is_the_next_ones_to_answer(office: Office) -> None:
    """domain.md §4"""
    office.play(PEOPLE)
    begun(office, DecisionKind.ASSIGNMENT_DECLINED)
    office.decide(CHOSEN[DecisionKind.ASSIGNMENT_DECLINED, Choice.ASSIGN])
    assert office.status("liv") == "assigned"


@pytest.mark.parametrize(
    ("kind", "chosen", "words"),
    [
        (DecisionKind.PROPOSAL, Chosen("same"), "there are move, keep"),
        (DecisionKind.PROPOSAL, Chosen(""), "there are move, keep"),
        (DecisionKind.DECLINED, Chosen("reschedule"), "start is needed to reschedule"),
        (DecisionKind.ASSIGNMENT_DECLINED, Chosen("assign"), "to is needed to assign"),
        (DecisionKind.UNDELIVERABLE, Chosen("correct"), "address is needed to correct"),
    ],
)
def test_a_choice_that_is_none_says_what_can_be_chosen(
    office: Office, kind: DecisionKind, chosen: Chosen, words: str
) -> None:
    """domain.md §9"""
    begun(office, kind)
    with pytest.raises(InputError, match=words):
        office.decide(chosen)
    assert office.kinds() == [kind.value]


def test_what_is_closed_says_who_closed_it_with_what(office: Office) -> None:
    """domain.md §9"""
    [one] = begun(office, DecisionKind.DECLINED).open()
    office.decide(Chosen("acknowledge"))
    world, judge = office.stage.world, office.desk.judge

    def again(here: Desk) -> Decision:
        return deciders.decide(here, one.id, Chosen("acknowledge"), judge)

    with pytest.raises(Refused, match="kari decided it at 2026-11-20T08:10:00Z: acknowledge"):
        desk.perform(office.store, world.settings, world.now, KARI, again)


@pytest.mark.parametrize(
    "actor",
    [
        Actor(Access.USER, "per", "per"),
        Actor(Access.READ, name="reader"),
        ROOT,
        Actor(Access.CRM, "per", "crm"),
    ],
)
def test_a_colleague_sees_nothing_of_it(office: Office, actor: Actor) -> None:
    """domain.md §9"""
    begun(office, DecisionKind.PROPOSAL)
    with pytest.raises(NotFound, match="there is no decision 1"):
        office.decide(Chosen("keep"), actor)
    world = office.stage.world

    def look(here: Desk) -> list[Decision]:
        return deciders.mine(here, Filter(), 50)

    seen = desk.perform(office.store, world.settings, world.now, actor, look)
    assert seen.answer == []


@pytest.mark.parametrize("actor", [KARI, Actor(Access.CRM, name="crm")])
def test_the_owner_and_the_crm_see_it(office: Office, actor: Actor) -> None:
    """domain.md §9"""
    begun(office, DecisionKind.PROPOSAL)
    assert office.decide(Chosen("keep"), actor).closed_by == actor.by


@pytest.mark.parametrize(("choice", "state"), [("release", "sent"), ("drop", "dropped")])
def test_an_administrator_ends_the_brake(office: Office, choice: str, state: str) -> None:
    """domain.md §10"""
    office.stage.world.set("outbound", "brake_follow_ups", 1)
    for number in range(1, 4):
        office.play(
            f'follow-up m{number} "Kick-off" 2026-12-01 09:00-10:00\ninvite ola@ext.example'
        )
    office.play("at 09:20\nsql UPDATE follow_up SET cancelled = TRUE")
    with pytest.raises(NotFound):
        office.decide(Chosen(choice), KARI)
    assert office.decide(Chosen(choice), ROOT).closed_by == "root"
    office.stage.world.post()
    with office.store.read() as connection:
        outbox = sa.text("SELECT DISTINCT state FROM outbox WHERE method = 'CANCEL'")
        assert connection.execute(outbox).scalars().all() == [state]


def test_whose_card_it_is_that_is_wrong_is_said(office: Office) -> None:
    """domain.md §3"""
    begun(office, DecisionKind.UNDELIVERABLE)
    with pytest.raises(Forbidden, match="stands on their card"):
        office.decide(Chosen("correct", address="ola@new.example"))
    assert office.kinds() == ["undeliverable"]


def test_an_administrator_lists_and_decides_in_a_terminal(sqlite_store: Store) -> None:
    """domain.md §9"""
    office = Office(sqlite_store)
    begun(office, DecisionKind.PROPOSAL)
    [one] = map(json.loads, command(office.stage, "--json", "decisions", "list").splitlines())
    assert (one["kind"], one["associate"], one["choices"]) == ("proposal", "kari", ["move", "keep"])
    assert command(office.stage, "decisions", "list", "--kind", "words") == "nothing waits\n"
    said = command(office.stage, "--json", "decisions", "decide", str(one["id"]), "move")
    closed = json.loads(said)
    assert (closed["choice"], closed["closed_by"]) == ("move", context.user())
    office.play("at 09:30")
    assert office.kinds() == []


GIVEN = """
sql INSERT INTO person (key, name) VALUES ('liv', 'Liv Strand')
sql INSERT INTO person_email (person, position, address) VALUES ('liv', 0, 'liv@ext.example')
sql UPDATE participant SET person = 'liv' WHERE person = 'ola'
"""


@pytest.mark.parametrize(
    "kind",
    [
        DecisionKind.PROPOSAL,
        DecisionKind.SAME_PERSON,
        DecisionKind.WORDS,
        DecisionKind.DECLINED,
        DecisionKind.UNDELIVERABLE,
    ],
)
def test_what_waited_of_who_had_the_row_before_waits_no_more(
    office: Office, kind: DecisionKind
) -> None:
    """domain.md §3"""
    begun(office, kind)
    office.play("at 09:20\n" + GIVEN)
    assert office.kinds() == []


@pytest.mark.parametrize("kind", OF_FOLLOW_UPS)
def test_nothing_waits_of_what_is_gone(office: Office, kind: DecisionKind) -> None:
    """domain.md §9"""
    begun(office, kind)
    office.play("at 09:20\nsql DELETE FROM follow_up WHERE key = 'm1'")
    assert office.closed() == [(kind.value, "", "")]


def test_of_two_who_decide_at_once_one_is_told_that_the_other_did(office: Office) -> None:
    """domain.md §9"""
    [one] = begun(office, DecisionKind.PROPOSAL).open()
    world, judge = office.stage.world, office.desk.judge
    both = Barrier(2)

    def choose(choice: str) -> str:
        def command(here: Desk) -> Decision:
            return deciders.decide(here, one.id, Chosen(choice), judge)

        both.wait(60)
        try:
            desk.perform(office.store, world.settings, world.now, KARI, command)
        except Refused as error:
            return str(error)
        return "done"

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(choose, ["move", "keep"]))
    assert said.count("done") == 1
    [other] = [words for words in said if words != "done"]
    assert other.startswith("kari decided it at 2026-11-20T08:10:00Z: ")
