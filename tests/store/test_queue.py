"""The queue in an administrator's hands, and the pace at which it empties, on both databases."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from gateway import sections
from gateway import settings as configuration
from gateway.actions import deliveries, load, mail_accounts, planning, queue
from gateway.actions.queue import Verb
from gateway.errors import ConfigurationError, NotFound, Refused
from gateway.model import Delivery, LetterState, Method
from gateway.sections import Outbound
from gateway.store import claims, invitations, journal, outbox, pace, schema_letters
from gateway.store.engine import Store
from gateway.store.outbox import Selection, Settlement
from gateway.store.pace import Rest, Room
from tests.store import rows

NOW = datetime.now(UTC) + timedelta(hours=1)
"""Later than any mark that the database's own clock makes meanwhile."""
MINUTE = timedelta(minutes=1)
HERE = "here/boot/1:77:abcd"


def queued(store: Store, *addresses: str) -> list[int]:
    """A first letter to each, each another participant's."""
    with store.write() as connection:
        return [
            rows.letter(connection, rows.invitation(connection, number, address), at=NOW)
            for number, address in enumerate(addresses, 1)
        ]


def claim(
    store: Store,
    limit: int = 100,
    at: timedelta = timedelta(),
    room: Room | None = None,
    **limits: int,
) -> list[int]:
    return [
        one.id
        for one in deliveries.claim(
            store, HERE, NOW + at, room or Room(limit), limits=Outbound.model_validate(limits)
        )
    ]


def state(store: Store, number: int) -> tuple[LetterState, str]:
    [one] = queue.listed(store, Selection(numbers=(number,))).letters
    return one.state, one.note


def delivery(store: Store, participant: int = 1) -> Delivery:
    with store.read() as connection:
        return invitations.deliveries(connection, [participant])[participant].delivery


def settle(store: Store, number: int, ending: LetterState, delivered: Delivery) -> None:
    with store.write() as connection:
        claims.settle(
            connection,
            [Settlement(number, ending, ending is LetterState.SENT, delivered)],
            [],
            HERE,
            NOW,
        )


# By hand


def test_a_held_letter_stays_until_it_is_released(store: Store) -> None:
    one, two = queued(store, "a@x.example", "b@y.example")
    assert [
        letter.id
        for letter in queue.change(store, Verb.HOLD, Selection(numbers=(one,)), NOW, "root")
    ] == [one]
    assert claim(store) == [two]
    queue.change(store, Verb.RELEASE, Selection(numbers=(one,)), NOW, "root")
    assert claim(store) == [one]
    with store.read() as connection:
        told = [
            (entry.event, entry.letter, entry.by, entry.before, entry.after)
            for entry in journal.after(connection, 0)
        ]
    assert told == [
        ("held", one, "root", "waiting", "held"),
        ("released", one, "root", "held", "waiting"),
    ]


@pytest.mark.parametrize(
    "selection",
    [Selection(domain="x.example"), Selection(follow_up="m1"), Selection(account="default")],
)
def test_letters_are_chosen_by_what_they_have_in_common(store: Store, selection: Selection) -> None:
    numbers = queued(store, "a@x.example", "b@X.example", "c@y.example")
    expected = numbers[:2] if selection.domain else numbers
    assert [one.id for one in queue.change(store, Verb.HOLD, selection, NOW, "root")] == expected
    assert claim(store) == [one for one in numbers if one not in expected]
    assert queue.change(store, Verb.HOLD, selection, NOW, "root") == []


def test_what_takes_the_place_of_a_held_letter_is_held_too(store: Store) -> None:
    begin(store, "eva")
    planning.plan_due(store, sites(), NOW, everything=True)
    [first] = queue.change(store, Verb.HOLD, Selection(follow_up="m1"), NOW, "root")
    rows.run(store, "UPDATE follow_up SET title = 'Changed' WHERE key = 'm1'")
    planning.plan_due(store, sites(), NOW + MINUTE, everything=True)
    assert state(store, first.id)[0] is LetterState.SUPERSEDED
    [second] = queue.listed(store, Selection(follow_up="m1", states=outbox.OPEN)).letters
    assert (second.state, second.letter.edition.title) == (LetterState.HELD, "Changed")
    assert claim(store, at=2 * MINUTE) == []


def test_a_letter_that_waits_is_tried_at_once(store: Store) -> None:
    [one] = queued(store, "a@x.example")
    claim(store)
    with store.write() as connection:
        claims.settle(
            connection,
            [
                Settlement(
                    one,
                    LetterState.WAITING,
                    False,
                    Delivery.DEFERRED,
                    NOW + 9 * MINUTE,
                    "451 later",
                )
            ],
            [],
            HERE,
            NOW,
        )
    assert claim(store) == []
    queue.change(store, Verb.RETRY, Selection(domain="x.example"), NOW, "root")
    assert claim(store) == [one]


SELECTIONS = (
    lambda number: Selection(numbers=(number,)),
    lambda _: Selection(follow_up="m1"),
    lambda _: Selection(domain="x.example"),
    lambda _: Selection(account="default"),
)


@pytest.mark.parametrize("selection", SELECTIONS, ids=("number", "follow-up", "domain", "account"))
def test_a_refused_letter_is_listed_and_tried_again_until_a_newer_one_takes_its_place(
    store: Store, selection: Callable[[int], Selection]
) -> None:
    [one] = queued(store, "a@x.example")
    claim(store)
    settle(store, one, LetterState.REFUSED, Delivery.UNDELIVERABLE)
    shown = queue.listed(store, queue.unfinished(Selection(), NOW)).letters
    assert [(letter.id, letter.state) for letter in shown] == [(one, LetterState.REFUSED)]
    changed = queue.change(store, Verb.RETRY, selection(one), NOW, "root")
    assert [letter.id for letter in changed] == [one]
    assert delivery(store) is Delivery.QUEUED
    assert held(store) == (None, None), "nothing of it arrived"
    assert claim(store) == [one]
    settle(store, one, LetterState.REFUSED, Delivery.UNDELIVERABLE)
    with store.write() as connection:
        [to] = invitations.get(connection, [1]).values()
        newer = rows.letter(connection, to, sequence=1, at=NOW)
    assert [one.id for one in queue.listed(store, queue.unfinished(Selection(), NOW)).letters] == [
        newer
    ]
    with pytest.raises(
        Refused, match=r"^letter \d+ cannot be retried: a newer one has taken its place$"
    ):
        queue.change(store, Verb.RETRY, Selection(numbers=(one,)), NOW, "root")


def held(store: Store) -> tuple[int | None, str | None]:
    """What the first invitation holds: edition and method."""
    with store.read() as connection:
        row = connection.execute(
            sa.select(schema_letters.invitation).order_by(schema_letters.invitation.c.id)
        ).first()
    assert row is not None
    return row.sent_edition, row.sent_method


def test_what_was_given_up_is_tried_again_and_what_was_dropped_by_hand_only_when_it_is_named(
    store: Store,
) -> None:
    one, two = queued(store, "a@x.example", "b@x.example")
    queue.change(store, Verb.DROP, Selection(numbers=(two,)), NOW, "root")
    claim(store)
    with store.write() as connection:
        words = f"{outbox.GIVEN_UP}450 4.2.0 not now"
        given_up = Settlement(one, LetterState.DROPPED, False, Delivery.UNDELIVERABLE, note=words)
        claims.settle(connection, [given_up], [], HERE, NOW)
    changed = queue.change(store, Verb.RETRY, Selection(account="default"), NOW, "root")
    assert [letter.id for letter in changed] == [one]
    assert [
        one.id for one in queue.change(store, Verb.RETRY, Selection(numbers=(two,)), NOW, "root")
    ] == [two]


def test_whoever_was_removed_since_is_not_asked_by_a_refused_letter(store: Store) -> None:
    begin(store, "eva")
    planning.plan_due(store, sites(), NOW, everything=True)
    [one] = claim(store)
    settle(store, one, LetterState.REFUSED, Delivery.UNDELIVERABLE)
    rows.run(store, "UPDATE participant SET removed = TRUE")
    assert queue.change(store, Verb.RETRY, Selection(account="default"), NOW, "root") == []
    with pytest.raises(Refused, match="whom it asks is not invited any more"):
        queue.change(store, Verb.RETRY, Selection(numbers=(one,)), NOW, "root")


def test_to_try_again_ends_the_accounts_rest(store: Store) -> None:
    queued(store, "a@x.example")
    until = NOW + timedelta(hours=1)
    deliveries.rest(store, Rest("default", NOW, until, 3, "account", "535 no"), NOW)
    deliveries.rest(store, Rest("other", NOW, until, 3, "account", "535 no"), NOW)
    queue.change(store, Verb.RETRY, Selection(account="default"), NOW + MINUTE, "root")
    with store.read() as connection:
        resting = {one.account: one.until for one in pace.resting(connection)}
    assert resting == {"default": NOW + MINUTE, "other": until}


# Refused in a row


def tries(
    store: Store, number: int, words: str, verdict: str = "refused", **more: object
) -> deliveries.Blame | None:
    """Claim a letter and settle it as a worker does whose server said this."""
    gateway = str(more.get("gateway", HERE))
    at = NOW + timedelta(seconds=int(str(more.get("second", 0))))
    with store.write() as connection:
        [row] = [one for one in outbox.pending(connection) if one.id == number]
        connection.execute(
            sa.update(schema_letters.outbox)
            .where(schema_letters.outbox.c.id == number)
            .values(state=LetterState.SENDING, claimed_by=gateway)
        )
        connection.execute(
            sa.update(schema_letters.invitation)
            .where(schema_letters.invitation.c.id == row.invitation)
            .values(sent_edition=1, sent_method=Method.REQUEST)
        )
    taken = verdict == "sent"
    settlement = Settlement(
        number,
        LetterState.SENT if taken else LetterState.REFUSED,
        taken,
        Delivery.SENT if taken else Delivery.UNDELIVERABLE,
        note=words,
    )
    code = 250 if taken else 550
    attempt = outbox.Attempt(
        number, at, 0.1, verdict, "body" if taken else "rcpt", code, "", words, "mx"
    )
    return deliveries.settle(store, gateway, [(row, settlement, attempt)], at)


ODD = "the stars are not right"


def test_several_different_recipients_refused_with_the_same_words_are_put_back(
    store: Store,
) -> None:
    one, two, three, four = queued(store, *(f"p{n}@x{n}.example" for n in range(4)))
    assert tries(store, one, ODD) is None
    assert state(store, one) == (LetterState.REFUSED, ODD)
    assert tries(store, two, ODD, gateway="another/boot/1:78:abcd") is None
    blame = tries(store, three, ODD)
    assert blame is not None
    assert blame.words == f"550 {ODD}"
    for number, participant in ((one, 1), (two, 2), (three, 3)):
        assert state(store, number) == (LetterState.WAITING, f"550 {ODD}")
        assert delivery(store, participant) is Delivery.QUEUED
    assert held(store) == (None, None), "nothing of it arrived"
    assert tries(store, four, ODD) is not None, "the fourth at once"
    assert tries(store, one, "ok", "sent") is None
    assert tries(store, two, ODD) is None, "one was taken between"
    assert state(store, two) == (LetterState.REFUSED, ODD)
    with store.read() as connection:
        told = [(one.event, one.letter) for one in journal.after(connection, 0)]
    assert told == [
        ("undeliverable", one),
        ("undeliverable", two),
        ("put_back", one),
        ("put_back", two),
        ("put_back", three),
        ("put_back", four),
        ("sent", one),
        ("undeliverable", two),
    ]


def test_a_letter_that_is_refused_while_others_are_taken_is_refused_in_the_end(
    store: Store,
) -> None:
    *bad, good = queued(store, *(f"p{n}@x{n}.example" for n in range(4)))
    for _ in range(3):
        assert [tries(store, number, ODD) is None for number in bad] == [True, True, False]
        with store.write() as connection:
            to = invitations.get(connection, [4])[4]
            good = rows.letter(connection, to, at=NOW)
        tries(store, good, "ok", "sent")
    assert [tries(store, number, ODD) for number in bad] == [None, None, None]
    assert {state(store, number)[0] for number in bad} == {LetterState.REFUSED}


def test_who_is_really_gone_is_put_back_for_so_long_and_then_undeliverable(store: Store) -> None:
    """Nobody else is written to, so nothing is ever taken between."""
    gone = queued(store, *(f"p{n}@x{n}.example" for n in range(3)))
    give_up = int(sections.Outbound().give_up_seconds)
    for number in gone * 4:
        tries(store, number, ODD, second=number)
    assert {state(store, number)[0] for number in gone} == {LetterState.WAITING}
    deliveries.rest(store, Rest("default", NOW, NOW + MINUTE, 1, "account", ODD), NOW)
    for number in gone:
        tries(store, number, ODD, second=give_up - MINUTE.seconds)
        assert state(store, number)[0] is LetterState.WAITING, "often, and not for long"
    for number in gone:
        assert len(queue.shape(store, NOW)[1]) == 1
        assert tries(store, number, ODD, second=give_up) is None
    for number in gone:
        assert state(store, number) == (LetterState.REFUSED, ODD)
        assert delivery(store, number) is Delivery.UNDELIVERABLE
    assert queue.shape(store, NOW)[1] == [], "no letter is left that could end the rest"


def test_who_is_put_back_for_long_is_put_back_often_before_it_ends(store: Store) -> None:
    gone = queued(store, *(f"p{n}@x{n}.example" for n in range(3)))
    give_up = int(sections.Outbound().give_up_seconds)
    for number in gone:
        tries(store, number, ODD, second=give_up)
    assert {state(store, number)[0] for number in gone} == {LetterState.WAITING}


def test_what_may_have_arrived_is_not_forgotten_when_it_is_put_back(store: Store) -> None:
    one, two, three = queued(store, *(f"p{n}@x{n}.example" for n in range(3)))
    assert claim(store, 1) == [one]
    with store.write() as connection:
        cut = Settlement(one, LetterState.WAITING, None, Delivery.DEFERRED, NOW, "closed")
        claims.settle(connection, [cut], [], HERE, NOW)
    for number in (one, two, three):
        tries(store, number, ODD)
    assert state(store, one)[0] is LetterState.WAITING
    assert held(store) == (1, Method.REQUEST)


def test_the_letter_that_tries_after_a_rest_is_of_another_follow_up(store: Store) -> None:
    with store.write() as connection:
        for number, key in enumerate(("m1", "m1", "m2"), 1):
            to = rows.invitation(connection, number, f"p{number}@x.example", follow_up=key)
            rows.letter(connection, to, at=NOW)
    room = Room(1, last=frozenset({"m1"}))
    with store.read() as connection:
        follow_up = {one.id: one.follow_up for one in outbox.pending(connection)}
    order = [follow_up[claim(store, room=room)[0]] for _ in range(3)]
    assert order == ["m2", "m1", "m1"]


def test_a_dropped_letter_is_owed_again_by_the_next_change_only(store: Store) -> None:
    begin(store, "eva")
    planning.plan_due(store, sites(), NOW, everything=True)
    [first] = queue.change(store, Verb.DROP, Selection(follow_up="m1"), NOW, "root")
    assert state(store, first.id) == (LetterState.DROPPED, "dropped by hand")
    assert delivery(store, first.participant) is Delivery.NONE
    assert planning.plan_due(store, sites(), NOW, everything=True) == 0
    rows.run(store, "UPDATE follow_up SET title = 'Changed' WHERE key = 'm1'")
    assert planning.plan_due(store, sites(), NOW + MINUTE, everything=True) == 1
    [letter] = queue.listed(store, Selection(follow_up="m1", states=outbox.OPEN)).letters
    assert (letter.letter.method, letter.letter.before) == (Method.REQUEST, None)


@pytest.mark.parametrize("verb", Verb)
def test_what_is_being_sent_or_was_sent_is_left_alone_and_said(store: Store, verb: Verb) -> None:
    one, two = queued(store, "a@x.example", "b@x.example")
    assert claim(store, 1) == [one]
    with pytest.raises(Refused, match="being sent at this moment"):
        queue.change(store, verb, Selection(numbers=(one,)), NOW, "root")
    settle(store, one, LetterState.SENT, Delivery.SENT)
    with pytest.raises(Refused, match="it is sent"):
        queue.change(store, verb, Selection(numbers=(one, two)), NOW, "root")
    assert state(store, two) == (LetterState.WAITING, ""), "all or nothing"
    with pytest.raises(NotFound, match="there is no letter 99"):
        queue.change(store, verb, Selection(numbers=(99,)), NOW, "root")
    with pytest.raises(NotFound, match="there is no follow-up 'mm'"):
        queue.change(store, verb, Selection(follow_up="mm"), NOW, "root")


def test_shape_tells_where_letters_go_and_how_old_they_are(store: Store) -> None:
    queued(store, "a@x.example", "b@x.example", "c@y.example")
    queue.change(store, Verb.HOLD, Selection(numbers=(1,)), NOW, "root")
    [x, y], resting = queue.shape(store, NOW + 12 * MINUTE)
    assert (x.domain, x.letters, x.held, x.oldest) == ("x.example", 2, 1, 12 * MINUTE)
    assert {age: number for age, number in x.ages.items() if number} == {"20 min": 2}
    assert (y.domain, y.letters, y.held) == ("y.example", 1, 0)
    assert resting == []
    [x, y], _ = queue.shape(store, NOW + timedelta(days=2))
    assert {age: number for age, number in x.ages.items() if number} == {"more": 2}


def test_a_rest_is_shown_while_it_lasts_and_told_once(store: Store) -> None:
    for failures in (1, 2, 3):
        deliveries.rest(
            store, Rest("default", NOW, NOW + failures * MINUTE, failures, "account", "535 no"), NOW
        )
    _, [rest] = queue.shape(store, NOW)
    assert (rest.failures, rest.until, rest.words) == (3, NOW + 3 * MINUTE, "535 no")
    deliveries.resume(store, "default", NOW)
    deliveries.resume(store, "default", NOW)
    assert queue.shape(store, NOW)[1] == []
    with store.read() as connection:
        assert [(one.event, one.detail) for one in journal.after(connection, 0)] == [
            ("account_paused", "default: 535 no"),
            ("account_resumed", "default"),
        ]


def test_the_end_of_a_rest_ends_no_newer_one(store: Store) -> None:
    """A letter of this gateway is taken that left before another one met the trouble anew."""
    ours = Rest("default", NOW, NOW + MINUTE, 1, "account", "550 quota")
    newer = Rest("default", NOW, NOW + 5 * MINUTE, 2, "account", "550 quota")
    deliveries.rest(store, ours, NOW)
    deliveries.rest(store, newer, NOW)
    deliveries.resume(store, "default", NOW, ours)
    assert queue.shape(store, NOW)[1] == [newer]
    with store.write() as connection:
        pace.end_early(connection, ["default"], NOW)
    deliveries.resume(store, "default", NOW, newer)
    assert queue.shape(store, NOW)[1] == [], "one that was ended early is over"


# Pace


def test_an_account_sends_so_many_in_a_minute(store: Store) -> None:
    numbers = queued(store, *(f"p{one}@x.example" for one in range(7)))
    assert claim(store, per_minute=3) == numbers[:3]
    assert claim(store, at=MINUTE - timedelta(seconds=1), per_minute=3) == []
    assert claim(store, 2, at=MINUTE, per_minute=3) == numbers[3:5]
    assert claim(store, at=MINUTE, per_minute=3) == numbers[5:6]


def test_a_domain_gets_so_many_in_a_minute_and_keeps_no_other_waiting(store: Store) -> None:
    numbers = queued(
        store,
        *(f"p{one}@x.example" for one in range(30)),
        "a@y.example",
        "b@Y.example",
        "c@z.example",
    )
    assert claim(store, 5, domain_per_minute=2) == [*numbers[:2], *numbers[30:]]
    assert claim(store, domain_per_minute=2) == []
    assert claim(store, at=MINUTE, domain_per_minute=2) == numbers[2:4]


def test_room_is_kept_per_domain_and_oldest_first(store: Store) -> None:
    numbers = queued(
        store, "a@x.example", "b@x.example", "c@y.example", "d@x.example", "e@z.example"
    )
    assert claim(store, room=Room(100, 2, {"y.example": 0})) == [numbers[0], numbers[1], numbers[4]]
    assert claim(store, room=Room(1, 2)) == [numbers[2]]
    assert claim(store, room=Room(0)) == []


def test_the_daily_budget_ends_with_one_alarm(store: Store) -> None:
    numbers = queued(store, *(f"p{one}@x.example" for one in range(5)))
    assert claim(store, 2, per_day=3) == numbers[:2]
    assert claim(store, per_day=3) == numbers[2:3]
    assert claim(store, at=23 * 60 * MINUTE, per_day=3) == []
    assert claim(store, at=24 * 60 * MINUTE, per_day=3) == numbers[3:]
    with store.read() as connection:
        assert [(one.event, one.detail) for one in journal.after(connection, 0)] == [
            ("budget_spent", "default: 3 letters in 24 hours")
        ]


def test_a_clock_that_was_put_back_stops_nobody_for_long(store: Store) -> None:
    numbers = queued(store, *(f"p{one}@x.example" for one in range(4)))
    with store.write() as connection:
        pace.spend(
            connection, "default", Outbound(per_minute=2), {"x.example": 2}, NOW + timedelta(days=3)
        )
    assert claim(store, per_minute=2) == numbers[:2]


# Accounts


ACCOUNTS = {
    "sales": {"groups": ["Sales"], "owners": ["per"], "mail": {"address": "sales@crm.example"}}
}


def sites(**more: object) -> configuration.Settings:
    return configuration.load(
        overrides={"mail": {"address": "invites@crm.example"}, "accounts": ACCOUNTS, **more}
    )


def begin(store: Store, owner: str) -> None:
    with store.write() as connection:
        load.load(
            connection,
            {
                "associates": [
                    {"key": "kari", "name": "Kari", "group": "Sales"},
                    {"key": "per", "name": "Per"},
                    {"key": "eva", "name": "Eva"},
                ],
                "follow_ups": [
                    {
                        "key": "m1",
                        "owner": owner,
                        "title": "Kick-off",
                        "start": "2099-12-01T09:00:00",
                        "end": "2099-12-01T10:00:00",
                        "participants": [{"email": "ola@ext.example", "email_invite": True}],
                    }
                ],
            },
            sites(),
            NOW,
        )


def letters(store: Store) -> list[tuple[str, str, str]]:
    return [
        (
            one.letter.account,
            one.letter.method.value,
            one.letter.organizer_address.rpartition("+")[0],
        )
        for one in queue.listed(
            store, Selection(follow_up="m1", states=(*outbox.OPEN, LetterState.SENT))
        ).letters
    ]


@pytest.mark.parametrize(
    ("owner", "account"), [("kari", "sales"), ("per", "sales"), ("eva", "default")]
)
def test_a_follow_up_is_sent_from_the_account_of_its_owner_or_his_group(
    store: Store, owner: str, account: str
) -> None:
    begin(store, owner)
    planning.plan_due(store, sites(), NOW, everything=True)
    assert letters(store) == [(account, "REQUEST", "sales" if account == "sales" else "invites")]
    assert [
        one.id for one in deliveries.claim(store, HERE, NOW, Room(10), account="nobody's")
    ] == []
    assert len(deliveries.claim(store, HERE, NOW, Room(10), account=account)) == 1


def test_an_invitation_keeps_its_account_whoever_owns_the_follow_up_later(store: Store) -> None:
    begin(store, "kari")
    planning.plan_due(store, sites(), NOW, everything=True)
    [one] = deliveries.claim(store, HERE, NOW, Room(10), account="sales")
    settle(store, one.id, LetterState.SENT, Delivery.SENT)
    rows.run(
        store,
        "UPDATE follow_up SET owner = 'eva', title = 'Other' WHERE key = 'm1'",
        "INSERT INTO participant (follow_up, email, email_invite) VALUES ('m1', 'new@ext.example', TRUE)",
    )
    planning.plan_due(store, sites(), NOW + MINUTE, everything=True)
    assert letters(store) == [
        ("sales", "REQUEST", "sales"),
        ("sales", "REQUEST", "sales"),
        ("default", "REQUEST", "invites"),
    ]


def test_where_nobody_has_an_account_any_more_the_follow_up_goes_on_with_its_own(
    store: Store,
) -> None:
    begin(store, "kari")
    alone = configuration.load(overrides={"accounts": ACCOUNTS})
    planning.plan_due(store, alone, NOW, everything=True)
    rows.run(
        store,
        "UPDATE follow_up SET owner = 'eva' WHERE key = 'm1'",
        "INSERT INTO participant (follow_up, email, email_invite) VALUES ('m1', 'new@ext.example', TRUE)",
    )
    planning.plan_due(store, alone, NOW + MINUTE, everything=True)
    assert {account for account, _, _ in letters(store)} == {"sales"}


def test_an_account_that_an_invitation_needs_cannot_be_removed(store: Store) -> None:
    begin(store, "kari")
    planning.plan_due(store, sites(), NOW, everything=True)
    mail_accounts.require(store, sites(), NOW)
    without = sites(accounts={})
    with pytest.raises(
        ConfigurationError, match=r"^accounts\.sales\.mail\.address: not set, .*'m1'"
    ):
        mail_accounts.require(store, without, NOW)
    [one] = deliveries.claim(store, HERE, NOW, Room(10), account="sales")
    settle(store, one.id, LetterState.SENT, Delivery.SENT)
    with pytest.raises(ConfigurationError, match=r"^accounts\.sales"):
        mail_accounts.require(store, without, NOW)
    mail_accounts.require(store, without, datetime(2100, 1, 1, tzinfo=UTC))  # over by then
