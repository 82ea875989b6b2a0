"""Finds the rows that received messages may be about (itip.md §5), for many messages at once.

What all of them name is looked up in sets, with a fixed number of statements, however many messages
there are; then each message gets what its own keys lead to. `candidates` tells what is known of the
rows.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from gateway.answer import facts
from gateway.mail import address
from gateway.model import Method
from gateway.store import candidates, followups, inbox, returning
from gateway.store.schema import (
    associate,
    follow_up,
    known_address,
    participant,
    person_email,
)
from gateway.store.schema_letters import invitation, outbox
from gateway.store.stated import Site

MOST_VALUES = 20_000
"""So many values are looked up at once; SQLite takes 32 766 in a statement."""


def _given(name: str) -> sa.BindParameter[Sequence[str]]:
    """A list of values, however long."""
    return sa.bindparam(name, expanding=True)


PRESENT = sa.select(follow_up.c.uid, follow_up.c.key).where(follow_up.c.uid.in_(_given("uids")))
GONE = (
    sa.select(invitation.c.uid, invitation.c.follow_up)
    .where(invitation.c.uid.in_(_given("uids")))
    .order_by(invitation.c.id)
)
BY_TOKEN = sa.select(invitation.c.token, invitation.c.participant).where(
    invitation.c.token.in_(_given("tokens"))
)
# A text that was passed on to the owner is no letter to the invitee: an answer to it does not speak
# for the row.
BY_MESSAGE_ID = sa.select(outbox.c.message_id, outbox.c.participant).where(
    outbox.c.message_id.in_(_given("message_ids")), outbox.c.method != Method.NONE
)


def _spelled(
    column: sa.ColumnElement[str], *joins: tuple[sa.Table, sa.ColumnElement[bool]]
) -> sa.Select[tuple[int, str, str]]:
    """Rows of these follow-ups that have one of the addresses in a column, in any case."""
    lower = sa.func.lower(column)
    query = sa.select(participant.c.id, participant.c.follow_up, lower.label("address"))
    for table, condition in joins:
        query = query.join(table, condition)
    return query.where(
        participant.c.follow_up.in_(_given("follow_ups")), lower.in_(_given("addresses"))
    )


def _learned(holder: sa.ColumnElement[bool]) -> sa.Select[tuple[int, str, str]]:
    """The same of addresses that somebody taught us; these are spelled alike (`address.plain`)."""
    return (
        sa.select(participant.c.id, participant.c.follow_up, known_address.c.plain.label("address"))
        .join(known_address, holder)
        .where(
            participant.c.follow_up.in_(_given("follow_ups")),
            known_address.c.plain.in_(_given("addresses")),
            known_address.c.revoked_at.is_(None),
        )
    )


LEARNED = (
    _learned(known_address.c.person == participant.c.person),
    _learned(known_address.c.participant == participant.c.id),
)
BY_LEARNED_ADDRESS = sa.union_all(*LEARNED)
BY_ADDRESS = sa.union_all(
    _spelled(person_email.c.address, (person_email, person_email.c.person == participant.c.person)),
    _spelled(participant.c.email),
    _spelled(associate.c.email, (associate, associate.c.key == participant.c.associate)),
    *LEARNED,
)
OF_ROWS = sa.select(participant.c.follow_up).where(participant.c.id.in_(_given("numbers")))
DATED = (
    sa.select(participant.c.follow_up)
    .where(participant.c.follow_up.in_(OF_ROWS), participant.c.original_start.is_not(None))
    .limit(1)
)


def _of_the_same() -> sa.Select[tuple[int, int]]:
    """The other rows of an invitee who is invited to single dates, each by a row of its own."""
    other = participant.alias("other")
    same = [participant.c[name] == other.c[name] for name in ("person", "associate")]
    email = sa.func.lower(participant.c.email) == sa.func.lower(other.c.email)
    in_one_follow_up = participant.c.follow_up == other.c.follow_up
    is_another = participant.c.id != other.c.id
    single = [row.original_start.is_not(None) for row in (participant.c, other.c)]
    return (
        sa.select(participant.c.id, other.c.id)
        .join(other, sa.and_(in_one_follow_up, is_another, sa.or_(*same, email)))
        .where(participant.c.id.in_(_given("numbers")), sa.or_(*single))
    )


OF_THE_SAME = _of_the_same()


_ByAddress = dict[str, dict[str, set[int]]]
"""Participants by follow-up and address."""


@dataclass
class _Directory:
    """What the keys of all messages lead to."""

    follow_ups: dict[str, str] = field(default_factory=dict)
    # By UID.
    tokens: dict[str, set[int]] = field(default_factory=dict)
    message_ids: dict[str, set[int]] = field(default_factory=dict)
    addresses: _ByAddress = field(default_factory=dict)
    # For messages that name a row by something else.
    spellings: _ByAddress = field(default_factory=dict)
    # For messages whose sender is all there is: compared the thorough way.

    def follow_ups_of(self, keys: facts.Keys) -> dict[str, str]:
        return {uid: self.follow_ups[uid] for uid in keys.uids if uid in self.follow_ups}

    def named(self, keys: facts.Keys) -> set[int]:
        """Rows of a token or of a letter: what an address is not needed for."""
        return _all(self.tokens, keys.tokens) | _all(self.message_ids, keys.message_ids)

    def rows(self, keys: facts.Keys, appointed: int | None) -> set[int]:
        """Every row that a message may be about."""
        numbers = self.named(keys)
        by_follow_up, people = self.addresses if numbers else self.spellings, set(keys.addresses)
        for key in set(self.follow_ups_of(keys).values()):
            by_address = by_follow_up.get(key, {})
            numbers |= _all(by_address, by_address.keys() & people)
        if appointed is not None:
            numbers.add(appointed)
        return numbers


def portion(asked: Sequence[facts.Keys]) -> int:
    """How many of these may be looked up at once: one at least."""
    values = 0
    for number, keys in enumerate(asked):
        values += 5 * len(keys.addresses) + len(keys.uids) + len(keys.message_ids) + 10
        if values > MOST_VALUES:
            return max(number, 1)
    return len(asked)


def find(
    connection: Connection,
    asked: Sequence[facts.Keys],
    site: Site,
    appointed: int | None = None,
    number: int | None = None,
) -> list[facts.Lookup]:
    """Everything the store knows under these keys, message by message; removed rows too, and rows
    that are gone altogether. Their follow-ups are locked: what is decided on these facts is written
    before the planner changes them.

    `appointed`: a row that a person named, to be found besides. `number`: of a message that is
    judged anew.
    """
    directory = _looked_up(connection, asked)
    numbers = [directory.rows(keys, appointed) for keys in asked]
    others = _others(connection, set().union(*numbers))
    numbers = [of_message | _all(others, of_message) for of_message in numbers]
    everybody = set().union(*numbers)
    followups.lock_rows(connection, everybody)
    dated = {
        row_number
        for keys, of_message in zip(asked, numbers, strict=True)
        if keys.dates
        for row_number in of_message
    }
    candidate_rows = candidates.load(connection, everybody, dated, site)
    gone = {row.follow_up for row in candidate_rows.values() if row.key is None}
    if gone and returning.take_up(connection, gone, site).rows:
        return find(connection, asked, site, appointed, number)  # rows have other numbers now
    copies = inbox.copies(connection, {keys.digest for keys in asked if keys.digest})
    traces = inbox.traces(connection, everybody, asked, number)
    answers = list[facts.Lookup]()
    for keys, of_message in zip(asked, numbers, strict=True):
        follow_ups = directory.follow_ups_of(keys)
        answers.append(
            facts.Lookup(
                tuple(_rows(keys, of_message, candidate_rows)),
                frozenset(follow_ups),
                follow_ups,
                copies=tuple(copies.get(keys.digest, ())),
                traces=tuple(
                    trace
                    for row_number in sorted(of_message)
                    for trace in traces.get(row_number, ())
                ),
            )
        )
    return answers


def _rows(
    keys: facts.Keys, numbers: Iterable[int], candidate_rows: Mapping[int, facts.Row]
) -> Iterator[facts.Row]:
    """The rows of one message, with what its keys ask of their letters."""
    for number in sorted(numbers):
        if (row := candidate_rows.get(number)) is not None:
            yield replace(
                row,
                message_ids=row.message_ids.intersection(keys.message_ids),
                earlier=row.earlier if keys.dates else (),
            )


def _looked_up(connection: Connection, asked: Sequence[facts.Keys]) -> _Directory:
    named = _Directory()
    named.follow_ups = _follow_ups(connection, {uid for keys in asked for uid in keys.uids})
    tokens = {token for keys in asked for token in keys.tokens}
    if tokens:
        named.tokens = _numbers(connection.execute(BY_TOKEN, {"tokens": list(tokens)}))
    message_ids = {message_id for keys in asked for message_id in keys.message_ids}
    if message_ids:
        values = {"message_ids": list(message_ids)}
        named.message_ids = _numbers(connection.execute(BY_MESSAGE_ID, values))
    quick = [keys for keys in asked if named.named(keys)]
    thorough = [keys for keys in asked if not named.named(keys)]
    named.addresses = _by_address(connection, BY_ADDRESS, named, quick)
    named.spellings = _by_spelling(connection, named, thorough)
    return named


def _follow_ups(connection: Connection, uids: Set[str]) -> dict[str, str]:
    """By UID, those that are gone, too, if somebody was invited to them."""
    if not uids:
        return {}
    present = {row.uid: row.key for row in connection.execute(PRESENT, {"uids": list(uids)})}
    others = uids - present.keys()
    if not others:
        return present
    deleted = {row.uid: row.follow_up for row in connection.execute(GONE, {"uids": list(others)})}
    return deleted | present


def _by_spelling(
    connection: Connection, named: _Directory, asked: Sequence[facts.Keys]
) -> _ByAddress:
    """The same compared the thorough way (`address.plain`)."""
    by_follow_up = _by_address(connection, BY_LEARNED_ADDRESS, named, asked)
    follow_ups = {key for keys in asked for key in named.follow_ups_of(keys).values()}
    for holder in candidates.addresses(connection, follow_ups, invited=True):
        by_address = by_follow_up.setdefault(holder.follow_up, {})
        by_address.setdefault(address.plain(holder.address), set()).add(holder.participant)
    return by_follow_up


def _by_address(
    connection: Connection,
    query: sa.CompoundSelect[tuple[int, str, str]],
    named: _Directory,
    asked: Sequence[facts.Keys],
) -> _ByAddress:
    """Participants who have one of the addresses. `BY_ADDRESS`: as on every answer with a token,
    only spellings that differ in case are found.
    """
    follow_ups = {key for keys in asked for key in named.follow_ups_of(keys).values()}
    addresses = {
        spelling for keys in asked if named.follow_ups_of(keys) for spelling in keys.addresses
    }
    if not follow_ups or not addresses:
        return {}
    values = {"follow_ups": list(follow_ups), "addresses": list(addresses)}
    by_follow_up = _ByAddress()
    for row in connection.execute(query, values):
        by_follow_up.setdefault(row.follow_up, {}).setdefault(row.address, set()).add(row.id)
    return by_follow_up


def _others(connection: Connection, numbers: Collection[int]) -> dict[int, set[int]]:
    """Other rows of the same invitees. Asked only where somebody is invited to a single date: it
    compares every participant with every other.
    """
    values = {"numbers": list(numbers)}
    if not numbers or connection.execute(DATED, values).first() is None:
        return {}
    return _numbers(connection.execute(OF_THE_SAME, values))


def _numbers(pairs: Iterable[tuple[Any, int]]) -> dict[Any, set[int]]:
    numbers = dict[Any, set[int]]()
    for name, number in pairs:
        numbers.setdefault(name, set()).add(number)
    return numbers


def _all(by_name: Mapping[Any, set[int]], names: Iterable[Any]) -> set[int]:
    return set().union(*(by_name[name] for name in names if name in by_name))
