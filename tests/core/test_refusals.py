"""Whose fault a refusal is: what servers say, word by word, and rows of refusals with the same words.

`refusals.txt` has a line for each answer; the public collection is read from $GATEWAY_CORPUS.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mail import refusals
from gateway.mail.refusals import Fault, Refusal, Said

ANSWERS = Path(__file__).with_name("refusals.txt")

MEANS = {
    "account": {Fault.ACCOUNT},
    "recipient": {Fault.RECIPIENT, Fault.UNKNOWN},
    "letter": {Fault.LETTER},
    "temporary": {Fault.TEMPORARY, Fault.LIMIT, Fault.CONNECTIONS},
    "letter-or-account": {Fault.LETTER, Fault.ACCOUNT, Fault.DOUBTFUL},
    "temporary-or-recipient": {Fault.TEMPORARY, Fault.RECIPIENT},
}


def answers() -> Iterator[tuple[str, Said]]:
    for line in ANSWERS.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            fault, step, code, status, text = line.split(" ", 4)
            yield fault, Said(step, int(code), status.strip("-"), text)


@pytest.mark.parametrize(
    ("fault", "said"), [pytest.param(*one, id=one[1].text[:60]) for one in answers()]
)
def test_each_answer_is_somebodys_fault(fault: str, said: Said) -> None:
    assert refusals.fault(said) is Fault(fault), refusals.rule(said)


@pytest.mark.real
def test_the_public_collection_is_judged_right(corpus: Path) -> None:
    answers = corpus / "corpus-wild" / "smtp-answers.json"
    collected = json.loads(answers.read_text(encoding="utf-8"))
    wrong = {
        one["id"]: judged
        for one in collected
        if (judged := refusals.fault(said(one))) not in MEANS[one["fault"]]
    }
    assert wrong == {}
    assert len(collected) >= 28


def said(one: dict[str, str]) -> Said:
    return Said(one["step"].lower(), int(one["code"]), one["enhanced"], one["text"])


@given(
    st.text(max_size=2000),
    st.sampled_from(["rcpt", "data", "body", "report"]),
    st.integers(400, 599),
)
def test_any_words_are_judged_and_what_is_for_now_stays_for_now(
    text: str, step: str, code: int
) -> None:
    fault = refusals.fault(Said(step, code, "", text))
    if code < 500:
        assert fault in (Fault.LIMIT, Fault.CONNECTIONS, Fault.TEMPORARY)
    else:
        assert fault is not Fault.LIMIT


def test_a_finding_of_our_own_is_judged_by_its_code_alone() -> None:
    for status, fault in (
        ("5.1.3", Fault.RECIPIENT),
        ("5.1.7", Fault.ACCOUNT),
        ("5.3.4", Fault.LETTER),
        ("5.6.7", Fault.LETTER),
        ("4.4.2", Fault.TEMPORARY),
    ):
        words = "relay.example: too many connections, relaying denied"
        assert refusals.fault(Said("rcpt", None, status, words)) is fault


def row(*texts: str, letter: int = 1, domain: str = "ext.example", **more: object) -> list[Refusal]:
    """Refusals one after another, of another letter and recipient each."""
    return [
        Refusal(
            letter + number,
            letter + number,
            f"p{letter + number}@{domain}",
            Said("rcpt", 550, str(more.get("status", "")), text),
        )
        for number, text in enumerate(texts)
    ]


def blamed(since: list[Refusal], before: list[Refusal] | None = None) -> list[list[int]]:
    rows = refusals.blamed(since, before or [])
    return [[refusal.letter for refusal in one] for one in rows]


ODD = "the stars are not right"


def test_three_different_recipients_in_a_row_with_the_same_words_are_the_accounts() -> None:
    assert blamed(row(ODD, ODD)) == []
    assert blamed(row(ODD, ODD, ODD)) == [[1, 2, 3]]
    assert blamed(row(ODD, ODD, "the moon is not right", ODD)) == [[1, 2, 4]]
    assert blamed(row(*[ODD] * 6)) == [[1, 2, 3, 4, 5, 6]]


def test_one_recipient_three_times_is_one() -> None:
    again = [
        Refusal(number, number, "ola@ext.example", Said("rcpt", 550, "", ODD))
        for number in range(9)
    ]
    assert blamed(again) == []


def test_what_differs_from_letter_to_letter_is_no_difference() -> None:
    texts = [
        "5.7.1 <p1@ext.example>: not today, ask p1 (id A1B2C3 at 09:15:07) mx1.relay.example",
        "5.7.1 <p2@ext.example>: not today, ask p2 (id D4E5F6 at 09:15:09) mx2.relay.example",
        "5.7.1 <p3@ext.example>: Not today, ask p3 (id 7G8H9I at 10:00:00) mx7.relay.example",
    ]
    assert blamed(row(*texts)) == [[1, 2, 3]]
    assert blamed(row(*texts[:2], "5.7.1 <p3@ext.example>: never, ask p3 (id 7)")) == []


def test_people_who_left_are_no_fault_of_ours_unless_it_is_everybody_everywhere() -> None:
    gone = "user unknown"
    assert blamed(row(*[gone] * 5)) == []
    assert blamed(row(*[gone] * 12)) == [], "one company that moved"
    elsewhere = row(*[gone] * 3) + row(*[gone] * 3, letter=7, domain="other.example")
    assert blamed(elsewhere) == [[1, 2, 3, 7, 8, 9]]


def test_a_letter_that_is_too_big_for_all_is_too_big() -> None:
    assert blamed(row(*["message too big"] * 6)) == []


def test_a_letter_refused_again_after_others_were_taken_is_refused_for_itself() -> None:
    three = row(ODD, ODD, ODD)
    assert blamed(three, three + three) == [[1, 2, 3]]
    assert blamed(three, three * 3) == []
    spam = row(*["spam message rejected"] * 3)
    assert blamed(spam) == [[1, 2, 3]]
    assert blamed(spam, spam) == []
    assert blamed(spam + row(*["spam message rejected"] * 3, letter=7), spam) == [[7, 8, 9]]


def test_a_report_is_read_like_an_answer() -> None:
    for status, diagnostic, fault in (
        ("5.7.1", "smtp; 550 5.7.1 Service unavailable, client host blocked", Fault.ACCOUNT),
        ("5.1.1", "smtp;550 5.1.1 user unknown", Fault.RECIPIENT),
        ("5.0.0", "Your account has exceeded its daily sending quota", Fault.ACCOUNT),
        ("", "", Fault.UNKNOWN),
    ):
        assert refusals.fault(refusals.reported(status, diagnostic)) is fault
