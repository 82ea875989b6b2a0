"""A filled blank is the letter that would have been written for its recipient alone."""

import email
import email.policy
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InputError
from gateway.ical import blanks, ics
from gateway.mail import compose
from gateway.model import Guest, Remarks, Reply
from gateway.writing import render
from tests.core import specimens

RECIPIENTS = {
    "plain": {},
    "nameless": {"address_name": ""},
    "odd": {"address": "o'la&co+x@ext.example", "address_name": 'Hansen; "Ola", <b>'},
    "folded": {"address": "ola@bücher.example", "address_name": "Ærlig Øst " * 9},
    "long": {"address": f"{'a' * 60}@{'b' * 40}.example"},
    "listed": {"address": "OLA@ext.example"},
    "both sides": {
        "address": "per@other.example",
        "remarks": Remarks(
            delegated_from=Guest("Per", "per@other.example"),
            delegated_to=Guest("Kim", "kim@other.example", Reply.ACCEPTED),
        ),
    },
}


@pytest.mark.parametrize("recipient", RECIPIENTS)
@pytest.mark.parametrize("change", specimens.CHANGES)
def test_a_filled_blank_is_the_object_written_for_him(change: str, recipient: str) -> None:
    for kind in specimens.KINDS:
        for organizer in ("Nordmann, Kari", ""):
            one = specimens.changed(kind, change)
            one = replace(
                one, edition=replace(one.edition, organizer=organizer), **RECIPIENTS[recipient]
            )  # type: ignore[arg-type]
            assert blanks.calendar(blanks.blank(one)).filled(one) == ics.calendar(one), kind


def test_those_who_are_told_the_same_have_one_blank() -> None:
    one = specimens.letter()
    other = replace(
        one,
        address="per@other.example",
        address_name="Per",
        token="other",
        message_id="other@crm.example",
        organizer_address="invites+other@crm.example",
        bounce_address="invites+b_other@crm.example",
    )
    assert blanks.blank(one) == blanks.blank(other)
    assert blanks.blank(one) != blanks.blank(replace(one, reply=Reply.ACCEPTED))


def test_nothing_of_a_blank_is_left_in_a_letter() -> None:
    for kind in specimens.KINDS:
        for change in specimens.CHANGES:
            one = specimens.changed(kind, change)
            nameless = replace(one, edition=replace(one.edition, organizer=""), address_name="")
            for letter in (one, nameless):
                content = render.render(
                    letter, specimens.MAIL.model_copy(update={"name": ""}), specimens.SECRET
                )
                message = email.message_from_bytes(content, policy=email.policy.default)
                said = [
                    str(part.get_payload(decode=True))
                    for part in message.walk()
                    if not part.is_multipart()
                ]
                assert len(said) == 4
                assert not any(
                    blanks.NOBODY in part for part in [*said, *map(str, message.items())]
                )
                assert all(letter.address in part for part in said)


@given(
    st.lists(
        st.one_of(
            st.text(max_size=30),
            st.sampled_from(["", ".", " ", "=", "a \t", "\r", f"til {blanks.ADDRESS}.", "æ" * 90]),
            st.just(f"{'x' * 60} {blanks.ADDRESS} {'y' * 60} {blanks.ORGANIZER}"),
        )
    ),
    st.sampled_from(["ola@ext.example", "ærlig=øst@ext.example", "a" * 200, ""]),
)
def test_a_filled_text_is_encoded_as_a_whole(lines: list[str], address: str) -> None:
    values = ((blanks.ADDRESS, address), (blanks.ORGANIZER, "invites@crm.example"))
    blank = "\n".join([*lines, "slutt"])
    whole = blank
    for mark, value in values:
        whole = whole.replace(mark, value)
    assert blanks.text(blank).filled(values) == compose.quoted(whole)


def test_an_address_that_is_none_is_refused() -> None:
    one = specimens.letter()
    with pytest.raises(InputError, match="not a mail address"):
        blanks.calendar(blanks.blank(one)).filled(replace(one, address="nobody"))
