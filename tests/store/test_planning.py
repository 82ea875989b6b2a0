"""Editors, planners and senders at once, on both databases: in the end every invitee holds what he
should, and each letter left once.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from gateway import settings as configuration
from gateway.actions import deliveries, load, planning
from gateway.model import Delivery, LetterState, Method
from gateway.store import claims, followups, holdings, invitations, migrate, outbox, stated
from gateway.store.engine import Store
from gateway.store.outbox import Queued, Settlement
from gateway.store.pace import Room
from tests import waiting
from tests.store import collisions, rows

SETTINGS = configuration.load(overrides={"mail": {"address": "invites@crm.example"}})
FOLLOW_UPS, INVITEES, EDITS = 4, 4, 40


def now() -> datetime:
    return datetime.now(UTC) + timedelta(minutes=1)


def begin(store: Store) -> None:
    with store.write() as connection:
        load.load(
            connection,
            {
                "associates": [{"key": "kari"}],
                "persons": [
                    {"key": f"p{one}", "emails": [f"p{one}@ext.example"]} for one in range(INVITEES)
                ],
                "follow_ups": [
                    {
                        "key": f"m{number}",
                        "owner": "kari",
                        "title": "0",
                        "start": "2099-12-01T09:00:00",
                        "participants": [
                            {"person": f"p{one}", "email_invite": True} for one in range(INVITEES)
                        ],
                    }
                    for number in range(FOLLOW_UPS)
                ],
            },
            SETTINGS,
            now(),
        )


def edit(store: Store, chance: random.Random, number: int) -> None:
    """One edit as other programs make them."""
    key, person = f"m{chance.randrange(FOLLOW_UPS)}", f"p{chance.randrange(INVITEES)}"
    rows.run(
        store,
        chance.choice(
            [
                f"UPDATE follow_up SET title = '{number}' WHERE key = '{key}'",
                f"UPDATE follow_up SET location = '{number}' WHERE key = '{key}'",
                f"UPDATE participant SET removed = NOT removed WHERE follow_up = '{key}' AND person = '{person}'",
                f"UPDATE person_email SET address = '{person}-{number % 3}@ext.example' WHERE person = '{person}'",
                f"UPDATE follow_up SET cancelled = NOT cancelled WHERE key = '{key}'",
            ]
        ),
    )


class Post:
    """Where letters arrive, in the order of each invitation; some are turned away first."""

    def __init__(self) -> None:
        self.lock, self.arrived, self.turned = threading.Lock(), list[Queued](), set[int]()

    def take(self, one: Queued) -> Settlement:
        with self.lock:
            if one.id % 5 == 0 and one.id not in self.turned:
                self.turned.add(one.id)
                return Settlement(
                    one.id,
                    LetterState.WAITING,
                    False,
                    Delivery.DEFERRED,
                    now() - timedelta(minutes=2),
                    "451 later",
                )
            self.arrived.append(one)
            return Settlement(one.id, LetterState.SENT, True, Delivery.SENT)


def send(store: Store, post: Post, name: str) -> int:
    with store.write() as connection:
        claimed = claims.take(connection, name, now(), 7)
    settlements = [post.take(one) for one in claimed]
    with store.write() as connection:
        assert claims.settle(connection, settlements, [], name, now()) == {
            one.id for one in claimed
        }
    return len(claimed)


def test_editors_planners_and_senders_at_once(store: Store) -> None:
    begin(store)
    post, over = Post(), threading.Event()

    def until_over(work: Callable[[], object]) -> None:
        while not over.wait(
            0.005
        ):  # whoever begins anew at once leaves SQLite's one lock to nobody who has to wait for it
            work()

    def editing(seed: int) -> None:
        chance = random.Random(seed)
        for number in range(EDITS):
            edit(store, chance, number)

    with ThreadPoolExecutor(6) as pool:
        editors = [pool.submit(editing, seed) for seed in (1, 2)]
        others = [
            pool.submit(
                until_over, lambda: planning.plan_due(store, SETTINGS, now(), everything=True)
            )
            for _ in range(2)
        ]
        others += [pool.submit(until_over, partial(send, store, post, name)) for name in ("a", "b")]
        for one in editors:
            one.result()
        over.set()
        for one in others:
            one.result()
    planning.plan_due(store, SETTINGS, now(), everything=True)
    while send(store, post, "a"):
        pass

    assert planning.plan_due(store, SETTINGS, now(), everything=True) == 0
    assert rows.marked(store) == []
    assert max(Counter(one.id for one in post.arrived).values()) == 1
    with store.read() as connection:
        assert outbox.pending(connection) == []
        members = followups.members(connection)
        site = stated.Site("Europe/Oslo", "en")
        wanted = {
            f"m{number}": stated.edition(connection, f"m{number}", site, [])
            for number in range(FOLLOW_UPS)
        }
    for member in members:
        arrived = [one for one in post.arrived if one.participant == member.id]
        stamps = [one.letter.dtstamp for one in arrived]
        assert len(set(stamps)) == len(stamps)
        # Only at one address: a new one does not wait until a former one takes mail again (P20).
        for invitation in {one.invitation for one in arrived}:
            stamps = [one.letter.dtstamp for one in arrived if one.invitation == invitation]
            assert stamps == sorted(stamps)
        last = max((one.letter for one in arrived), key=lambda one: one.dtstamp, default=None)
        held = last if last is not None and last.method is Method.REQUEST else None
        follow_up = wanted[member.follow_up]
        assert follow_up is not None
        assert (held is not None) == (not member.removed and not follow_up.cancelled)
        if held is not None:
            assert (held.edition.title, held.edition.location, held.address) == (
                follow_up.title,
                follow_up.location,
                member.address,
            )


def test_a_new_address_does_not_wait_while_the_former_one_is_tried_again(store: Store) -> None:
    """Whichever comes first, its REQUEST is the newer one (P20)."""
    begin(store)
    planning.plan_due(store, SETTINGS, now(), everything=True)
    post = Post()
    while send(store, post, "a"):
        pass
    rows.run(store, "UPDATE person_email SET address = 'new@ext.example' WHERE person = 'p0'")
    planning.plan_due(store, SETTINGS, now(), everything=True)
    with store.write() as connection:
        [cancel] = claims.take(connection, "a", now(), 1)
        due = cancel.created_at - timedelta(minutes=2)
        later = Settlement(cancel.id, LetterState.WAITING, False, Delivery.DEFERRED, due)
        claims.settle(connection, [later], [], "a", now())
        again = claims.take(connection, "b", now(), 1)
    while send(store, post, "a"):
        pass
    *_, request = (one for one in post.arrived if one.participant == cancel.participant)
    assert [one.id for one in again] == [cancel.id]
    assert (cancel.letter.method, request.letter.method) == (Method.CANCEL, Method.REQUEST)
    assert cancel.letter.sequence < request.letter.sequence
    assert cancel.letter.dtstamp < request.letter.dtstamp


@pytest.mark.real
def test_a_follow_up_that_somebody_decides_on_is_planned_afterwards(postgres_url: str) -> None:
    """On PostgreSQL an answer that is being written must not be overtaken by a move
    that has not seen it.
    """
    with closing(Store(postgres_url)) as store:
        migrate.upgrade(store)
        begin(store)
        with store.write() as answering:
            followups.lock(answering, "m1")
            assert (
                planning.plan_due(store, SETTINGS, now(), everything=True)
                == (FOLLOW_UPS - 1) * INVITEES
            )
            assert rows.marked(store) == ["m1"]
        assert planning.plan_due(store, SETTINGS, now(), everything=True) == INVITEES
        assert rows.marked(store) == []


@pytest.mark.real
def test_letters_of_an_invitation_that_is_being_planned_are_claimed_afterwards(
    postgres_url: str,
) -> None:
    with closing(Store(postgres_url)) as store:
        migrate.upgrade(store)
        begin(store)
        planning.plan_due(store, SETTINGS, now(), everything=True)
        with store.write() as planner:
            holdings.load(planner, ["m1"])
            with store.write() as sender:
                claimed = claims.take(sender, "a", now(), 100)
            assert {one.follow_up for one in claimed} == {"m0", "m2", "m3"}
        with store.write() as sender:
            assert {one.follow_up for one in claims.take(sender, "a", now(), 100)} == {"m1"}


@pytest.mark.real
def test_what_was_sent_is_settled_though_reports_stand_in_the_way(postgres_url: str) -> None:
    """A batch of reports has locked the last invitation and wants the first: PostgreSQL gives the
    settlement up, not the batch.
    """
    with closing(Store(postgres_url)) as store, ThreadPoolExecutor(2) as pool:
        migrate.upgrade(store)
        begin(store)
        planning.plan_due(store, SETTINGS, now(), everything=True)
        sent = deliveries.claim(store, "a", now(), Room(100))
        of = {one.follow_up: one.invitation for one in sent}

        with store.write() as reports:
            reports.exec_driver_sql("SET LOCAL deadlock_timeout = '1h'")
            invitations.lock(reports, [of["m3"]], wait=True)
            with store.write() as other:
                invitations.lock(other, [of["m1"]], wait=True)
                settling = pool.submit(
                    deliveries.settle,
                    store,
                    "a",
                    [
                        (one, Settlement(one.id, LetterState.SENT, True, Delivery.SENT), None)
                        for one in sent
                    ],
                    now(),
                )
                waiting.watch(lambda: collisions.blocked(store) == 1)
                wanting = pool.submit(invitations.lock, reports, [of["m0"]], wait=True)
                waiting.watch(lambda: collisions.blocked(store) == 2)
            assert wanting.result(30) == {of["m0"]}
        settling.result(30)
        with store.read() as connection:
            assert outbox.counts(connection) == {LetterState.SENT: len(sent)}


@pytest.mark.parametrize(
    ("bad", "good", "note"),
    [
        (
            "UPDATE follow_up SET start_at = '9999-12-31 23:30:00' WHERE key = 'm1'",
            "UPDATE follow_up SET start_at = '2099-12-01 08:00:00' WHERE key = 'm1'",
            "no letter: follow_up 'm1', start_at: '9999-12-31 23:30:00",
        ),
        (
            "INSERT INTO follow_up_date (follow_up, original_start) VALUES ('m1', '0001-01-01 00:00:00')",
            "DELETE FROM follow_up_date WHERE follow_up = 'm1'",
            "no letter: follow_up_date 'm1', original_start: '0001-01-01 00:00:00",
        ),
        (
            "INSERT INTO standing (participant, instance, reply) SELECT id, 'some day', 'perhaps' FROM participant WHERE follow_up = 'm1'",
            "DELETE FROM standing",
            "no letter: this program failed on it: ",
        ),
    ],
)
def test_a_record_on_which_we_fail_keeps_nobody_else_waiting(
    store: Store, bad: str, good: str, note: str
) -> None:
    """Beyond the calendar, or no word of ours: nobody foresees everything that others write."""
    begin(store)
    planning.plan_due(store, SETTINGS, now(), everything=True)
    rows.run(
        store,
        bad,
        "UPDATE follow_up SET title = '1' WHERE key IN ('m1', 'm2')",
        "UPDATE follow_up SET rrule = 'FREQ=DAILY' WHERE key = 'm1'",
    )
    assert planning.plan_due(store, SETTINGS, now(), everything=True) == INVITEES
    assert rows.marked(store) == []
    with store.read() as connection:
        assert {
            one.follow_up for one in outbox.pending(connection) if one.letter.edition.title == "1"
        } == {"m2"}
        notes = set(
            connection.exec_driver_sql(
                "SELECT note FROM participant WHERE follow_up = 'm1'"
            ).scalars()
        )
    assert len(notes) == 1
    assert notes.pop().startswith(note)
    rows.run(store, good, "UPDATE follow_up SET title = '2' WHERE key = 'm1'")
    assert planning.plan_due(store, SETTINGS, now(), everything=True) == INVITEES


def test_a_row_that_goes_to_another_follow_up_and_comes_back_begins_anew_each_time(
    store: Store,
) -> None:
    with store.write() as connection:
        load.load(
            connection,
            {
                "associates": [{"key": "kari"}],
                "persons": [{"key": "ola", "emails": ["ola@ext.example"]}],
                "follow_ups": [
                    {
                        "key": "m1",
                        "owner": "kari",
                        "title": "1",
                        "start": "2099-12-01T09:00:00",
                        "participants": [{"person": "ola", "email_invite": True}],
                    },
                    {"key": "m2", "owner": "kari", "title": "2", "start": "2099-12-01T09:00:00"},
                ],
            },
            SETTINGS,
            now(),
        )
    planning.plan_due(store, SETTINGS, now(), everything=True)
    post, replies = Post(), list[str]()
    for minutes, key in enumerate(("m2", "m1", "m1", "m2", "m2"), 1):
        at = now() + timedelta(minutes=minutes)
        send(store, post, "here")
        rows.run(store, "UPDATE participant SET set_status = 9")
        planning.plan_due(store, SETTINGS, at, everything=True)
        rows.run(store, f"UPDATE participant SET follow_up = '{key}'")
        planning.plan_due(store, SETTINGS, at, everything=True)
        with store.read() as connection:
            replies += [one.standings[None].reply for one in followups.members(connection)]
    assert replies == ["needs-action", "needs-action", "declined", "needs-action", "declined"]


def test_a_title_that_is_no_text_keeps_nobody_else_waiting(tmp_path: Path) -> None:
    """SQLite takes any bytes for a text, and fails whoever reads them with the class of error
    that a lock has, too.
    """
    with closing(Store(f"sqlite:///{tmp_path}/store.db")) as store:
        migrate.upgrade(store)
        begin(store)
        rows.run(store, "UPDATE follow_up SET title = CAST(X'FF41FE' AS TEXT) WHERE key = 'm1'")
        assert (
            planning.plan_due(store, SETTINGS, now(), everything=True)
            == (FOLLOW_UPS - 1) * INVITEES
        )
        assert rows.marked(store) == []


@pytest.mark.real  # for its size
def test_a_selection_of_two_thousand(store: Store) -> None:
    """Nobody learns who else was invited, and one person's coming, going or answering is nobody
    else's mail (P12).
    """
    members = [f"p{one}" for one in range(2_000)]
    with store.write() as connection:
        load.load(
            connection,
            {
                "associates": [{"key": "kari", "name": "Kari"}],
                "selections": [{"key": "s1", "members": members}],
                "persons": [
                    {"key": key, "name": key, "emails": [f"{key}@ext{number % 7}.example"]}
                    for number, key in enumerate(members)
                ],
                "follow_ups": [
                    {
                        "key": "m1",
                        "owner": "kari",
                        "title": "Open day",
                        "start": "2099-12-01T09:00:00",
                        "participants": [{"person": key, "email_invite": True} for key in members],
                    }
                ],
            },
            SETTINGS,
            now(),
        )
    assert planning.plan_due(store, SETTINGS, now(), everything=True) == 2_000
    with store.read() as connection:
        editions = {one.letter.edition for one in outbox.pending(connection)}
        assert (
            len({row.token for row in invitations.get(connection, range(1, 2_001)).values()})
            == 2_000
        )
    [edition] = editions
    assert (edition.guest_list_public, edition.guests) == (False, ())
    post = Post()
    while claimed := deliveries.claim(store, "here", now(), Room(500)):
        deliveries.settle(store, "here", [(one, post.take(one), None) for one in claimed], now())
    assert Counter(one.participant for one in post.arrived) == dict.fromkeys(range(1, 2_001), 1)
    rows.run(
        store,
        "UPDATE participant SET removed = TRUE WHERE person = 'p7'",
        "UPDATE participant SET set_status = 1 WHERE person = 'p8'",
    )
    assert planning.plan_due(store, SETTINGS, now(), everything=True) == 1
    rows.run(store, "UPDATE follow_up SET location = 'Hall'")
    assert planning.plan_due(store, SETTINGS, now(), everything=True) == 1_999, (
        "the withdrawal that still waits stays as it is: numbered anew it would stand above a"
        " REQUEST at another address (plan._says)"
    )
    with store.read() as connection:
        letters = Counter(
            (one.letter.method, one.letter.sequence) for one in outbox.pending(connection)
        )
    assert letters == {(Method.CANCEL, 1): 1, (Method.REQUEST, 2): 1_999}


@pytest.mark.parametrize(
    ("size", "took", "following"),
    [(4, 0.0, 8), (8, 0.01, 16), (40, 0.01, 50), (20, 0.4, 5), (1, 9.0, 1)],
)
def test_a_batch_is_as_large_as_fits_into_the_time_others_may_wait(
    size: int, took: float, following: int
) -> None:
    assert planning.next_size(size, took) == following
