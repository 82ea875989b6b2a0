"""The outbox gives each letter to one gateway, keeps the order of each participant, and knows what
an invitee holds.
"""

import multiprocessing
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway.actions import deliveries
from gateway.invite import owing
from gateway.model import Delivery, LetterState, Method
from gateway.store import claims, holdings, invitations, leases, outbox, schema_letters
from gateway.store.engine import Store
from gateway.store.outbox import Attempt, Settlement
from gateway.store.pace import Room
from tests.store import rows

NOW = rows.NOW
MINUTE = timedelta(minutes=1)
ELSEWHERE = "another-host/boot/1:77:abcd"
"""A gateway of which only the clock can tell whether it lives."""


def queue(store: Store, *participants: int) -> list[int]:
    """One letter for each, in this order."""
    with store.write() as connection:
        made = {
            number: rows.invitation(connection, number, f"p{number}@ext.example")
            for number in dict.fromkeys(participants)
        }
        return [rows.letter(connection, made[number]) for number in participants]


def claim(
    store: Store, limit: int = 100, holder: str = "here", at: timedelta = timedelta()
) -> list[int]:
    with store.write() as connection:
        return [one.id for one in claims.take(connection, holder, NOW + at, limit)]


def settle(store: Store, *settlements: Settlement, holder: str = "here") -> set[int]:
    with store.write() as connection:
        return claims.settle(connection, settlements, [], holder, NOW)


def sent(letter: int) -> Settlement:
    return Settlement(letter, LetterState.SENT, True, Delivery.SENT)


def copy_of(store: Store, participant: int = 1) -> owing.Copy:
    with store.write() as connection:
        found, _ = holdings.copies(holdings.load(connection, ["m1"])["m1"])
    return next(one for one in found if one.participant == participant)


def state(store: Store, letter: int) -> str:
    with store.read() as connection:
        return str(
            connection.execute(
                sa.select(schema_letters.outbox.c.state).where(schema_letters.outbox.c.id == letter)
            ).scalar_one()
        )


def test_letters_are_claimed_oldest_first_and_once(store: Store) -> None:
    letters = queue(store, 1, 2, 3)
    assert claim(store, 2) == letters[:2]
    assert claim(store) == letters[2:]
    assert claim(store) == []


def test_what_is_claimed_is_the_letter_that_was_frozen(store: Store) -> None:
    [number] = queue(store, 1)
    with store.write() as connection:
        [one] = claims.take(connection, "here", NOW, 10)
    assert (one.id, one.state, one.follow_up, one.tries) == (number, LetterState.SENDING, "m1", 0)
    assert one.letter.edition == rows.MEETING
    assert (one.letter.method, one.letter.before, one.letter.sequence, one.letter.dtstamp) == (
        Method.REQUEST,
        None,
        0,
        NOW,
    )
    assert (one.letter.address, one.letter.token, one.letter.timezone) == (
        "p1@ext.example",
        "token1p1",
        "Europe/Oslo",
    )


def test_a_later_letter_waits_for_the_earlier_one_of_its_participant(store: Store) -> None:
    first, other, second = queue(store, 1, 2, 1)
    assert claim(store) == [first, other]
    assert claim(store) == []
    settle(
        store,
        Settlement(first, LetterState.WAITING, False, Delivery.DEFERRED, NOW + MINUTE, "451 later"),
    )
    assert claim(store) == []  # the first is not due, and the second stays behind it
    assert claim(store, at=MINUTE) == [first]
    settle(store, sent(first))
    assert claim(store) == [second]


@pytest.mark.parametrize("ending", [LetterState.SENT, LetterState.REFUSED, LetterState.DROPPED])
def test_a_letter_that_came_to_an_end_blocks_nobody(store: Store, ending: LetterState) -> None:
    first, second = queue(store, 1, 1)
    claim(store)
    settle(store, Settlement(first, ending, ending is LetterState.SENT, Delivery.SENT))
    assert claim(store) == [second]


def test_a_held_letter_keeps_the_later_ones_back(store: Store) -> None:
    first, second = queue(store, 1, 1)
    claim(store)
    settle(
        store, Settlement(first, LetterState.HELD, False, Delivery.QUEUED, note="preflight: P18")
    )
    assert claim(store) == []
    with store.write() as connection:
        outbox.supersede(connection, [first], NOW)
    assert claim(store) == [second]


def test_a_new_address_waits_for_the_old_one_until_that_is_put_off(store: Store) -> None:
    with store.write() as connection:
        old, new = (
            rows.invitation(connection, 1, f"{name}@ext.example") for name in ("old", "new")
        )
        first, second, third, fourth = [rows.letter(connection, to) for to in (old, old, new, new)]
    assert claim(store) == [first]
    settle(
        store,
        Settlement(
            first,
            LetterState.WAITING,
            False,
            Delivery.DEFERRED,
            NOW + MINUTE,
            "the account rests",
            counts=False,
        ),
    )
    assert claim(store) == []
    assert claim(store, at=MINUTE) == [first]
    settle(
        store,
        Settlement(
            first, LetterState.WAITING, False, Delivery.DEFERRED, NOW + 2 * MINUTE, "451 later"
        ),
    )
    assert claim(store, at=MINUTE) == [
        third
    ]  # what stands behind the first keeps back no more than that does
    settle(store, sent(third))
    assert claim(store, at=2 * MINUTE) == [first, fourth]
    settle(store, sent(first), sent(fourth))
    assert claim(store) == [second]


def queue_to(store: Store, *places: tuple[int, str, str]) -> list[int]:
    """One letter for each participant, address and follow-up."""
    with store.write() as connection:
        made = {place: rows.invitation(connection, *place) for place in dict.fromkeys(places)}
        return [rows.letter(connection, made[place]) for place in places]


def put_off(letter: int) -> Settlement:
    return Settlement(
        letter, LetterState.WAITING, None, Delivery.DEFERRED, NOW + MINUTE, "connection lost"
    )


def test_letters_of_two_rows_to_one_address_keep_their_order(store: Store) -> None:
    """What takes a date back came after the series, and took that date out of it."""
    first, second, elsewhere, other = queue_to(
        store,
        (1, "Ola@ext.example", "m1"),
        (2, "ola@EXT.example", "m1"),
        (3, "eva@ext.example", "m1"),
        (4, "ola@ext.example", "m2"),
    )
    assert claim(store) == [first, elsewhere, other]
    settle(store, put_off(first), sent(elsewhere), sent(other))
    assert claim(store) == []
    assert claim(store, at=MINUTE) == [first]
    settle(store, sent(first))
    assert claim(store) == [second]


def test_what_is_held_at_an_address_keeps_no_other_row_waiting(store: Store) -> None:
    places = [(number, "ola@ext.example", "m1") for number in (1, 1, 2)]
    first, behind, other = queue_to(store, *places)
    assert claim(store) == [first]
    settle(
        store, Settlement(first, LetterState.HELD, False, Delivery.QUEUED, note="preflight: P18")
    )
    assert claim(store) == [other]
    settle(store, sent(other))
    with store.write() as connection:
        outbox.supersede(connection, [first], NOW)
    assert claim(store) == [behind]


def test_another_account_does_not_wait_at_an_address(store: Store) -> None:
    first, second = queue_to(store, (1, "ola@ext.example", "m1"), (2, "ola@ext.example", "m1"))
    rows.run(store, f"UPDATE outbox SET account = 'rests' WHERE id = {first}")
    assert claim(store) == [second]


def test_letters_of_the_past_are_not_walked_through(store: Store) -> None:
    """To claim a hundred out of a hundred thousand took over a second: the index of the open ones
    was not seen to fit.
    """
    queue(store, 1, 2)
    if store.is_sqlite:
        with rows.explained(store, "NOT (EXISTS") as told:
            assert len(claim(store)) == 2
        assert any(
            "SEARCH outbox USING INDEX ix_outbox_due (account=? AND due_at<?)" in one
            for one in told
        ), told
        assert any(
            "SEARCH older USING INDEX ix_outbox_open (participant=? AND id<?)" in one
            for one in told
        ), told
        way = "ix_outbox_open_to (address_key=? AND follow_up=? AND id<?)"
        assert any(f"SEARCH earlier USING INDEX {way}" in one for one in told), told
        return
    with store.write() as connection:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        seen = list[str]()
        sa.event.listen(
            connection, "before_cursor_execute", lambda *arguments: seen.append(arguments[2])
        )
        assert len(claims.take(connection, "here", NOW, 100)) == 2
    [chosen] = [one for one in seen if "NOT (EXISTS" in one]
    assert "state = 'waiting'" in chosen
    assert "state IN ('waiting', 'sending', 'held')" in chosen


def test_letters_that_are_not_due_are_left(store: Store) -> None:
    [number] = queue(store, 1)
    assert claim(store, at=-MINUTE) == []
    with store.read() as connection:
        assert outbox.next_due(connection) == NOW
    assert claim(store) == [number]
    with store.read() as connection:
        assert outbox.next_due(connection) is None


def test_threads_share_the_letters_and_none_gets_two(store: Store) -> None:
    letters = queue(store, *range(1, 121))
    start = threading.Barrier(6)

    def work(name: int) -> list[int]:
        start.wait(30)
        taken = list[int]()
        while batch := claim(store, 7, f"gateway{name}"):
            taken += batch
        return taken

    with ThreadPoolExecutor(6) as pool:
        taken = [letter for batch in pool.map(work, range(6)) for letter in batch]
    # On PostgreSQL a worker may find everything locked by others and stop early; nothing may be
    # left or taken twice.
    taken += claim(store)
    assert sorted(taken) == letters


def _drain(url: str, name: str, start: object, results: object) -> None:
    """A gateway of its own: claims and settles until nothing is left."""
    with closing(Store(url)) as store:
        start.wait(60)  # type: ignore[attr-defined]
        taken = list[int]()
        while batch := claim(store, 5, name):
            taken += batch
            settle(store, *(sent(letter) for letter in batch), holder=name)
        results.put(taken)  # type: ignore[attr-defined]


def test_processes_share_the_letters_and_none_gets_two(store: Store) -> None:
    letters = queue(store, *(number for number in range(1, 41) for _ in range(2)))
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(3), context.Queue()
    url = store.url.render_as_string(hide_password=False)
    workers = [
        context.Process(target=_drain, args=(url, f"gateway{number}", start, results))
        for number in range(3)
    ]
    for worker in workers:
        worker.start()
    taken = [letter for _ in workers for letter in results.get(timeout=120)]
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    while batch := claim(store):
        taken += batch
        settle(store, *(sent(letter) for letter in batch))
    assert Counter(taken) == Counter(letters)


def test_a_claimed_letter_counts_as_sent(store: Store) -> None:
    [number] = queue(store, 1)
    assert copy_of(store).method is None
    claim(store)
    held = copy_of(store)
    assert (held.method, held.edition, held.top_sequence, held.queued) == (
        Method.REQUEST,
        rows.MEETING,
        0,
        (),
    )
    settle(store, sent(number))
    assert copy_of(store) == held
    assert state(store, number) == "sent"


def test_a_letter_that_was_not_taken_takes_the_claim_back(store: Store) -> None:
    [number] = queue(store, 1)
    claim(store)
    settle(
        store,
        Settlement(
            number, LetterState.WAITING, False, Delivery.DEFERRED, NOW + MINUTE, "451 later"
        ),
    )
    held = copy_of(store)
    assert (held.method, held.edition) == (None, None)
    assert [(one.letter, one.tries) for one in held.queued] == [(number, 1)]


def test_an_update_that_was_not_taken_leaves_what_was_held_before(store: Store) -> None:
    [first] = queue(store, 1)
    claim(store)
    settle(store, sent(first))
    with store.write() as connection:
        to = next(iter(invitations.get(connection, [1]).values()))
        before = invitations.keep_edition(connection, "m1", rows.MEETING, None, NOW)
        moved = replace(rows.MEETING, location="Elsewhere", sequence=1, significant=1)
        second = rows.letter(connection, to, edition=moved, before=before, sequence=1)
    claim(store)
    assert copy_of(store).edition == moved
    settle(store, Settlement(second, LetterState.WAITING, False, Delivery.DEFERRED, NOW + MINUTE))
    assert (copy_of(store).method, copy_of(store).edition) == (Method.REQUEST, rows.MEETING)
    assert copy_of(store).top_sequence == 1  # a server saw it: no other letter may have that number


def test_a_cancel_that_was_not_taken_leaves_the_invitation_standing(store: Store) -> None:
    [first] = queue(store, 1)
    claim(store)
    settle(store, sent(first))
    with store.write() as connection:
        to = next(iter(invitations.get(connection, [1]).values()))
        before = invitations.keep_edition(connection, "m1", rows.MEETING, None, NOW)
        second = rows.letter(connection, to, method=Method.CANCEL, before=before, sequence=1)
    claim(store)
    assert copy_of(store).method is Method.CANCEL
    settle(store, Settlement(second, LetterState.WAITING, False, Delivery.DEFERRED, NOW + MINUTE))
    assert (copy_of(store).method, copy_of(store).edition) == (Method.REQUEST, rows.MEETING)


def test_a_letter_whose_fate_nobody_knows_counts_as_sent_and_is_repeated(store: Store) -> None:
    [number] = queue(store, 1)
    claim(store)
    settle(
        store,
        Settlement(
            number, LetterState.WAITING, None, Delivery.DEFERRED, NOW + MINUTE, "connection lost"
        ),
    )
    held = copy_of(store)
    assert held.method is Method.REQUEST
    assert [one.letter for one in held.queued] == [number]
    assert claim(store, at=MINUTE) == [number]


def test_a_refusal_is_remembered_until_a_letter_is_taken(store: Store) -> None:
    first, second, third = queue(store, 1, 1, 1)
    claim(store)
    settle(
        store,
        Settlement(
            first, LetterState.REFUSED, False, Delivery.UNDELIVERABLE, note="550 5.1.1 unknown"
        ),
    )
    assert copy_of(store).refused
    claim(store)
    settle(
        store,
        Settlement(
            second, LetterState.WAITING, False, Delivery.QUEUED, NOW, "no connection", counts=False
        ),
    )
    assert copy_of(store).refused
    with store.write() as connection:
        outbox.supersede(connection, [second], NOW)
    assert claim(store) == [third]
    settle(store, sent(third))
    assert not copy_of(store).refused


def test_an_invitation_is_held_without_what_was_refused(store: Store) -> None:
    changed = replace(rows.MEETING, title="Start")

    def refuse(number: int) -> None:
        settle(store, Settlement(number, LetterState.REFUSED, False, Delivery.UNDELIVERABLE))

    with store.write() as connection:
        to = rows.invitation(connection, 1, "p1@ext.example")
        first = rows.letter(connection, to)
    claim(store)
    refuse(first)
    one = copy_of(store)
    assert (one.method, one.edition, one.tried, one.refused) == (None, None, rows.MEETING, True)
    with store.write() as connection:
        second = rows.letter(connection, to, edition=changed)
    assert copy_of(store) == replace(one, queued=copy_of(store).queued)  # it waits
    claim(store)
    one = copy_of(store)  # it may arrive, so it would be taken back
    assert (one.method, one.edition, one.tried, one.refused) == (
        Method.REQUEST,
        changed,
        None,
        False,
    )
    refuse(second)
    one = copy_of(store)
    assert (one.method, one.edition, one.tried, one.refused) == (None, None, changed, True)
    with store.write() as connection:
        invitations.let_go(connection, one, None)
    one = copy_of(store)
    assert (one.method, one.edition, one.tried, one.refused) == (None, None, None, True)


def test_a_failed_connection_does_not_count_against_the_letter(store: Store) -> None:
    [number] = queue(store, 1)
    claim(store)
    settle(
        store,
        Settlement(
            number,
            LetterState.WAITING,
            False,
            Delivery.QUEUED,
            NOW,
            "connection refused",
            counts=False,
        ),
    )
    with store.read() as connection:
        [one] = outbox.pending(connection)
    assert (one.tries, one.note, one.state) == (0, "connection refused", LetterState.WAITING)


def test_attempts_are_kept(store: Store) -> None:
    [number] = queue(store, 1)
    claim(store)
    tried = Attempt(
        number, NOW, 0.25, "temporary", "rcpt", 451, "4.7.1", "greylisted", "mx.ext.example"
    )
    with store.write() as connection:
        claims.settle(
            connection,
            [Settlement(number, LetterState.WAITING, False, Delivery.DEFERRED, NOW)],
            [tried],
            "here",
            NOW,
        )
    with store.read() as connection:
        row = connection.execute(sa.select(schema_letters.attempt)).one()
    assert (
        row.letter,
        row.started_at,
        row.verdict,
        row.step,
        row.code,
        row.enhanced,
        row.text,
        row.host,
    ) == (number, NOW, "temporary", "rcpt", 451, "4.7.1", "greylisted", "mx.ext.example")


def test_superseding_a_letter_leaves_the_delivery_of_the_last_one(store: Store) -> None:
    first, second = queue(store, 1, 1)
    claim(store)
    settle(store, sent(first))
    with store.write() as connection:
        outbox.supersede(connection, [second], NOW)
        assert invitations.deliveries(connection, [1])[1].delivery is Delivery.SENT
    assert state(store, second) == "superseded"
    assert claim(store) == []


def test_letters_of_a_gateway_that_died_are_free_again(store: Store) -> None:
    [number] = queue(store, 1)
    with store.write() as connection:
        leases.take(connection, f"gateway:{ELSEWHERE}", ELSEWHERE, NOW)
    claim(store, holder=ELSEWHERE)
    with store.write() as connection:
        assert claims.stranded(connection, "here")
        assert claims.free_dead(connection, NOW + leases.LIFE - timedelta(seconds=1)) == 0
        assert claims.free_dead(connection, NOW + leases.LIFE) == 1
    assert copy_of(store).method is Method.REQUEST  # it may have left
    assert claim(store, holder="here") == [number]


def test_whoever_comes_back_from_the_dead_settles_nothing(store: Store) -> None:
    [number] = queue(store, 1)
    claim(store, holder=ELSEWHERE)
    with store.write() as connection:
        assert claims.free_dead(connection, NOW) == 1
    claim(store, holder="here")
    refused = Settlement(number, LetterState.REFUSED, False, Delivery.UNDELIVERABLE)
    assert settle(store, refused, holder=ELSEWHERE) == set()
    assert state(store, number) == "sending"
    assert settle(store, sent(number)) == {number}


def test_a_stopping_gateway_gives_its_letters_back(store: Store) -> None:
    first, second = queue(store, 1, 2)
    claim(store, 1, holder="stopping")
    claim(store, 1, holder="other")
    with store.write() as connection:
        claims.release(connection, "stopping")
    assert (state(store, first), state(store, second)) == ("waiting", "sending")
    with store.read() as connection:
        assert outbox.counts(connection) == {LetterState.WAITING: 1, LetterState.SENDING: 1}


def test_the_same_letter_cannot_be_queued_twice(store: Store) -> None:
    queue(store, 1)
    with pytest.raises(sa.exc.IntegrityError), store.write() as connection:
        connection.execute(
            sa.insert(schema_letters.outbox).from_select(
                [column.name for column in schema_letters.outbox.c if column.name != "id"],
                sa.select(*(column for column in schema_letters.outbox.c if column.name != "id")),
            )
        )


def test_a_clock_that_was_set_back_keeps_no_letter(store: Store) -> None:
    """Two hours back: what was due by the wrong clock would wait until the right one has caught
    up. A wait that can be true is believed.
    """
    fresh, far, near = queue(store, 1, 2, 3)
    early = NOW - 2 * 60 * MINUTE

    def wait(letter: int, due: datetime, made: datetime) -> None:
        values = {"due_at": due, "created_at": made}
        with store.write() as connection:
            connection.execute(
                sa.update(schema_letters.outbox)
                .where(schema_letters.outbox.c.id == letter)
                .values(values)
            )

    wait(fresh, NOW, NOW)
    wait(far, early + 5 * 60 * MINUTE, early - MINUTE)
    wait(near, early + 60 * MINUTE, early - MINUTE)
    claimed = deliveries.claim(store, "here", early, Room(10))
    assert {one.id for one in claimed} == {fresh, far}


def test_what_may_be_held_may_be_so_still_when_its_cancel_is_turned_away(store: Store) -> None:
    """One try of the first letter may have arrived, the next were refused."""
    with store.write() as connection:
        to = rows.invitation(connection, 1, "p1@ext.example")
        first = rows.letter(connection, to)
    refused = LetterState.REFUSED
    for settlement in (put_off(first), Settlement(first, refused, False, Delivery.UNDELIVERABLE)):
        assert claim(store, at=MINUTE) == [first]
        settle(store, settlement)
    for edition, method, state in (
        (replace(rows.MEETING, title="Course"), Method.REQUEST, refused),
        (replace(rows.MEETING, cancelled=True), Method.CANCEL, LetterState.WAITING),
    ):
        assert copy_of(store).may_hold == [rows.MEETING]
        with store.write() as connection:
            number = rows.letter(connection, to, edition=edition, method=method, before=1)
        assert claim(store) == [number]
        settle(store, Settlement(number, state, False, Delivery.DEFERRED, NOW + 9 * MINUTE))
    assert copy_of(store).may_hold == [rows.MEETING]
