"""The tag at the end of a Subject:
what we write is read back, what others write is not believed.
"""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail import links
from gateway.model import Moment, Reply

SECRET, TOKEN = b"a site secret", "abcdefgh234567"
ANSWERS = st.sampled_from(sorted(links.WORDS))
INSTANCES = (
    st.none()
    | st.dates(date(1970, 1, 1))
    | st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC)).map(
        lambda moment: moment.replace(microsecond=0)
    )
)


def written(answer: Reply, instance: Moment | None, sequence: int, token: str = TOKEN) -> str:
    name = links.instance_name(instance)
    return links.subject_tag(answer, name, sequence, links.check(SECRET, token, name, sequence))


@given(ANSWERS, INSTANCES, st.integers(0, 999_999_999), st.text(max_size=80), st.booleans())
def test_what_is_written_is_read_back(
    answer: Reply, instance: Moment | None, sequence: int, before: str, shout: bool
) -> None:
    tag = written(answer, instance, sequence)
    read = links.parse(f"{before} {tag.upper() if shout else tag} \r\n")
    assert read is not None
    assert (read.answer, read.moment, read.sequence) == (answer, instance, sequence)
    assert links.valid(SECRET, TOKEN, read)
    assert links.valid(SECRET, TOKEN.upper(), read), "relays turn local parts into upper case"


@given(ANSWERS, INSTANCES, st.integers(0, 99))
def test_the_check_binds_token_instance_sequence_and_secret(
    answer: Reply, instance: Moment | None, sequence: int
) -> None:
    read = links.parse(written(answer, instance, sequence))
    assert read is not None
    other = links.instance_name(date(2001, 1, 1) if instance != date(2001, 1, 1) else None)
    assert not links.valid(b"another secret", TOKEN, read)
    assert not links.valid(SECRET, TOKEN + "a", read)
    assert not links.valid(SECRET, TOKEN, links.Tag(read.answer, other, read.sequence, read.check))
    assert not links.valid(
        SECRET, TOKEN, links.Tag(read.answer, read.instance, read.sequence + 1, read.check)
    )


def test_the_check_is_short_and_strong() -> None:
    check = links.check(SECRET, TOKEN, "all", 0)
    assert (len(check), check) == (16, check.lower())


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "yes",
        "[yes all 0]",
        "[yes all 0 short]",
        "[perhaps all 0 abcdefghijklmnop]",
        "[yes all -1 abcdefghijklmnop]",
        "[yes 20261301 0 abcdefghijklmnop]",
        "[yes 20261201T250000Z 0 abcdefghijklmnop]",
        "[yes all 0 abcdefghijklmn0p]",
        "[yes all 9999999999 abcdefghijklmnop]",
        "[yes all \u0661 abcdefghijklmnop]",
        "[yes 20261201T080000 0 abcdefghijklmnop]",
    ],
)
def test_other_subjects_are_no_answers(subject: str) -> None:
    assert links.parse(subject) is None


@given(st.text())
def test_no_subject_raises(subject: str) -> None:
    links.parse(subject + "[yes all 0 " + subject)


@given(st.text(min_size=1, max_size=60), st.binary(min_size=8, max_size=32))
def test_the_token_of_the_page_leads_back_to_the_invitation(token: str, secret: bytes) -> None:
    page = links.page_token(secret, token)
    assert page == links.page_token(secret, token), "each letter has the same"
    assert page.isalnum()
    assert links.of_page(secret, page) == links.of_page(secret, page.upper()) == token
    assert links.of_page(secret + b"x", page) == ""
    assert links.of_page(secret, page[:-1]) == ""


@given(st.text(max_size=80))
def test_what_others_write_opens_no_page(text: str) -> None:
    assert links.of_page(SECRET, text) == ""
    assert links.of_form(SECRET, "page", "", text) is None


def test_a_form_is_bound_to_its_page_date_and_sequence() -> None:
    form = links.form(SECRET, "page", "20261208", 3, 1_700_000_000)
    assert links.of_form(SECRET, "page", "20261208", form) == 3
    assert links.of_form(SECRET, "PAGE", "20261208", form) == 3
    for page, name, text in (
        ("other", "20261208", form),
        ("page", "", form),
        ("page", "20261208", form.replace("3.", "4.", 1)),
        ("page", "20261208", form[:-1]),
    ):
        assert links.of_form(SECRET, page, name, text) is None
    assert links.of_form(b"another", "page", "20261208", form) is None
