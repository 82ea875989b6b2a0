"""A public guest list is as long as a letter can carry, by the letter that is really written; a
longer one is private, and its rows say so.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gateway.followups import limits
from gateway.ical import preflight
from gateway.invite import owing, plan
from gateway.model import DateChange, Edition, GuestList, Recurrence, Role, Standing
from gateway.sections import Mail
from gateway.writing import render
from tests.core import specimens

MAIL = Mail(address="invites@crm.example", name="Firma AS")
SENDING = plan.Sending(datetime(2026, 11, 20, 8, tzinfo=UTC), account=True)
PUBLIC = replace(specimens.SINGLE, guest_list=GuestList.PUBLIC, guest_list_public=True)
WEEKLY = replace(PUBLIC, recurrence=Recurrence("FREQ=WEEKLY;COUNT=60"))
MOVED = replace(
    WEEKLY,
    dates=tuple(
        DateChange(original, original + timedelta(hours=1), original + timedelta(hours=2))
        for original in (specimens.START + week * specimens.WEEK for week in range(50))
    ),
)
LISTED = replace(
    PUBLIC,
    recurrence=Recurrence(
        rdates=tuple(specimens.START + timedelta(days=day, minutes=day) for day in range(1, 40))
    ),
)


def invitee(number: int, name: str) -> owing.Invitee:
    return owing.Invitee(
        participant=number,
        role=Role.INVITED,
        name=name,
        address=f"guest{number}@company-{number % 97}.example",
        language="nb",
        timezone="",
        email_invite=True,
        removed=False,
        standings={None: Standing()},
    )


@pytest.mark.parametrize("name", ["Per Pedersen", "Åse-Bjørg Østgård", "王" * 40])
@pytest.mark.parametrize("edition", [PUBLIC, MOVED, LISTED], ids=["single", "moved", "list"])
def test_the_longest_public_list_still_goes_into_a_letter(edition: Edition, name: str) -> None:
    everybody = [invitee(number, name) for number in range(4_000)]
    low, high = 1, len(everybody)
    while low + 1 < high:  # the longest list that stays public
        middle = (low + high) // 2
        public = owing.uncrowded(edition, everybody[:middle])
        assert public is not None
        low, high = (middle, high) if public.guest_list_public else (low, middle)
    listed = owing.listed(edition, everybody[:low])
    assert len(listed.guests) == low
    letter = specimens.letter(listed)
    content = render.render(letter, MAIL, specimens.SECRET)
    assert preflight.check(content, letter, MAIL.address) == []
    assert len(content) > preflight.MOST_BYTES // 2, "the bound is not much below what goes in"
    if edition is PUBLIC and name == "Per Pedersen":
        assert 2_000 < low < 2_600


def test_a_list_that_is_too_long_is_private_and_says_so() -> None:
    everybody = [invitee(number, "Per Pedersen") for number in range(3_000)]
    made = plan.plan(PUBLIC, None, everybody, [], SENDING)
    assert len(made.owed) == 3_000
    assert {(one.edition.guest_list_public, one.edition.guests) for one in made.owed} == {
        (False, ())
    }
    assert set(made.notes.values()) == {limits.CROWD}
    again = plan.plan(PUBLIC, made.edition, everybody[:20], [], SENDING)
    assert again.edition is not None
    assert again.edition.guest_list_public
    assert not again.notes


def test_a_list_that_grows_tells_nobody_again() -> None:
    few = [invitee(number, "Per Pedersen") for number in range(2)]
    known = plan.plan(PUBLIC, None, few, [], SENDING).edition
    assert known is not None
    copies = [
        owing.Copy(
            one.participant,
            one.participant,
            one.address,
            specimens.letter().method,
            known,
            known.sequence,
            SENDING.now,
            refused=False,
        )
        for one in few
    ]
    many = [*few, *(invitee(number, "Per Pedersen") for number in range(2, 3_000))]
    made = plan.plan(PUBLIC, known, many, copies, SENDING)
    assert {one.participant for one in made.owed} == set(range(2, 3_000))


def test_both_warnings_stand_in_one_note() -> None:
    odd = replace(
        PUBLIC,
        guest_list_public=False,
        recurrence=Recurrence("FREQ=YEARLY;BYYEARDAY=335"),
    )
    note = owing.warned(odd, [invitee(1, "Per")])[1]
    assert note.startswith(limits.PREFIX)
    assert note.endswith(limits.CROWD)
    assert limits.shown(note, "refused") == f"refused; {note}"
