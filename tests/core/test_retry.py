"""The delivery policy: every combination of step and answer has one verdict,
and waits stay within their bounds.
"""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import sections
from gateway.outbound import retry
from gateway.outbound.receipts import Receipt, Step
from gateway.outbound.retry import Verdict

NOW = datetime(2026, 12, 8, 8, 0, tzinfo=UTC)
LIMITS = sections.Outbound()

BEFORE_MAIL = (Step.CONNECT, Step.GREETING, Step.EHLO, Step.STARTTLS, Step.AUTH)
FROM_MAIL = (Step.MAIL, Step.RCPT, Step.DATA, Step.BODY)

steps = st.sampled_from(Step)
enhanced = st.one_of(
    st.just(""),
    st.builds("{}.{}.{}".format, st.sampled_from("245"), st.integers(0, 7), st.integers(0, 20)),
)
receipts = st.builds(
    lambda step, code, status: Receipt(
        step=step, code=code, text="", enhanced=status, started=NOW, ended=NOW
    ),
    steps,
    st.none() | st.integers(200, 599),
    enhanced,
)
jitter = st.floats(0, 1, exclude_max=True)
limits = st.builds(
    lambda first, longest: sections.Outbound(
        first_retry_seconds=first, longest_retry_seconds=max(first, longest)
    ),
    st.floats(0.01, 600),
    st.floats(0.01, 86_400),
)


def _judge(step: Step, code: int | None, status: str = "") -> Verdict:
    return retry.judge(
        Receipt(step=step, code=code, text="", enhanced=status, started=NOW, ended=NOW)
    )


@pytest.mark.parametrize(
    ("step", "code", "status", "verdict"),
    [
        (Step.BODY, 250, "2.0.0", Verdict.SENT),
        (Step.BODY, 251, "", Verdict.SENT),
        # Temporary, and about this letter at most.
        *((step, code, "", Verdict.RETRY) for step in FROM_MAIL for code in (421, 450, 451, 452)),
        *((step, None, "4.4.2", Verdict.RETRY) for step in FROM_MAIL),
        (Step.DATA, 250, "", Verdict.RETRY),
        (Step.BODY, 354, "", Verdict.RETRY),
        (
            Step.RCPT,
            450,
            "5.1.1",
            Verdict.RETRY,
        ),  # the code decides, not a status code that contradicts it
        # The server as such.
        *((step, None, "4.4.2", Verdict.CONNECTION) for step in BEFORE_MAIL),
        *((step, 421, "4.7.0", Verdict.CONNECTION) for step in BEFORE_MAIL),
        (Step.STARTTLS, 454, "4.7.0", Verdict.CONNECTION),
        (Step.AUTH, 454, "4.7.0", Verdict.CONNECTION),
        (Step.STARTTLS, None, "4.7.5", Verdict.CONNECTION),
        # The account (itip.md §2): 5xx to greeting, EHLO, AUTH, MAIL, 5.7.x after DATA.
        *(
            (step, code, "", Verdict.ACCOUNT)
            for step in (*BEFORE_MAIL[1:], Step.MAIL)
            for code in (500, 530, 535, 550, 554)
        ),
        (Step.AUTH, None, "5.7.4", Verdict.ACCOUNT),
        (Step.MAIL, 550, "5.7.1", Verdict.ACCOUNT),
        (Step.MAIL, None, "5.1.7", Verdict.ACCOUNT),
        (Step.BODY, 550, "5.7.1", Verdict.ACCOUNT),
        (Step.BODY, 554, "5.7.26", Verdict.ACCOUNT),
        (Step.DATA, 554, "5.7.1", Verdict.ACCOUNT),
        (Step.BODY, 554, "5.3.0", Verdict.ACCOUNT),
        (Step.RCPT, 530, "5.7.0", Verdict.ACCOUNT),
        (Step.RCPT, 553, "5.1.8", Verdict.ACCOUNT),
        # The row (itip.md §2): 5xx to RCPT, or after DATA with 5.1.x or 5.2.x …
        *(
            (Step.RCPT, code, status, Verdict.REFUSED)
            for code in (550, 551, 552, 553, 554)
            for status in ("", "5.1.1", "5.7.1")
        ),
        (Step.RCPT, None, "5.1.3", Verdict.REFUSED),
        (Step.RCPT, None, "5.6.7", Verdict.REFUSED),
        (Step.BODY, 550, "5.1.1", Verdict.REFUSED),
        (Step.BODY, 552, "5.2.2", Verdict.REFUSED),
        (Step.DATA, 554, "5.1.1", Verdict.REFUSED),
        # … and what is about this letter as far as anybody can tell.
        (Step.DATA, 554, "", Verdict.REFUSED),
        (Step.BODY, 554, "", Verdict.REFUSED),
        (Step.BODY, 552, "", Verdict.REFUSED),
        (Step.BODY, 552, "5.3.4", Verdict.REFUSED),
        (Step.BODY, 554, "5.6.0", Verdict.REFUSED),
        (Step.BODY, 554, "5.4.6", Verdict.REFUSED),
        (Step.BODY, 550, "5.5.2", Verdict.REFUSED),
        (Step.MAIL, 552, "", Verdict.REFUSED),
        (Step.MAIL, 552, "5.3.4", Verdict.REFUSED),
        (Step.MAIL, None, "5.3.4", Verdict.REFUSED),
        (Step.MAIL, None, "5.6.3", Verdict.REFUSED),
    ],
)
def test_each_answer_has_its_verdict(
    step: Step, code: int | None, status: str, verdict: Verdict
) -> None:
    assert _judge(step, code, status) is verdict


@given(receipts)
def test_nothing_but_a_2xx_to_the_final_dot_is_sent(receipt: Receipt) -> None:
    good = receipt.step is Step.BODY and receipt.code is not None and 200 <= receipt.code < 300
    assert (retry.judge(receipt) is Verdict.SENT) == good


@given(receipts)
def test_final_only_what_is_permanent(receipt: Receipt) -> None:
    """A letter is given up, or an account stopped,
    only for a 5xx or for a permanent finding of our own.
    """
    if retry.judge(receipt) in (Verdict.REFUSED, Verdict.ACCOUNT):
        assert receipt.code is None or receipt.code >= 500
        assert receipt.code is not None or receipt.enhanced.startswith("5.")


@given(receipts.filter(lambda receipt: receipt.step in BEFORE_MAIL))
def test_before_a_letter_is_named_no_letter_is_blamed(receipt: Receipt) -> None:
    assert retry.judge(receipt) in (Verdict.CONNECTION, Verdict.ACCOUNT)


@given(st.integers(1, 10_000_000), limits, jitter)
def test_a_wait_stays_within_its_limits(
    tries: int, outbound: sections.Outbound, dice: float
) -> None:
    wait = (retry.next_attempt(tries, NOW, outbound, dice) - NOW).total_seconds()
    rounding = 1e-6
    assert (
        outbound.first_retry_seconds - rounding <= wait <= outbound.longest_retry_seconds + rounding
    )


@given(st.integers(1, 60), limits, jitter)
def test_waits_never_shrink_and_the_dice_matter_little(
    tries: int, outbound: sections.Outbound, dice: float
) -> None:
    assert retry.next_attempt(tries, NOW, outbound, dice) <= retry.next_attempt(
        tries + 1, NOW, outbound, dice
    )
    earliest, latest = (retry.next_attempt(tries, NOW, outbound, d) - NOW for d in (0.0, 0.999))
    assert earliest <= latest <= 2 * earliest + timedelta(microseconds=2)


def test_defaults_are_one_minute_to_four_hours() -> None:
    waits = [
        (retry.next_attempt(tries, NOW, LIMITS, 0.5) - NOW).total_seconds()
        for tries in range(1, 12)
    ]
    assert waits == [90, 180, 360, 720, 1440, 2880, 5760, *[10_800] * 4]
    assert retry.next_attempt(1, NOW, LIMITS, 0.0) - NOW == timedelta(minutes=1)
    assert retry.next_attempt(99, NOW, LIMITS, 0.9999) - NOW > timedelta(hours=3, minutes=59)


def test_a_burst_that_failed_together_does_not_return_together() -> None:
    for tries in (1, 20):
        times = {retry.next_attempt(tries, NOW, LIMITS, dice / 100) for dice in range(100)}
        assert len(times) == 100
        assert max(times) - min(times) >= timedelta(seconds=59)


@given(st.integers(1, 10_000_000), limits, jitter)
def test_a_server_rests_for_minutes_an_account_for_an_hour_at_most(
    failures: int, outbound: sections.Outbound, dice: float
) -> None:
    server = retry.pause(Verdict.CONNECTION, failures, NOW, outbound, dice) - NOW
    account = retry.pause(Verdict.ACCOUNT, failures, NOW, outbound, dice) - NOW
    assert timedelta(0) < server <= timedelta(minutes=5)
    assert timedelta(0) < account <= timedelta(hours=1)
    assert server <= account


def test_the_first_rests_are_short() -> None:
    assert retry.pause(Verdict.CONNECTION, 1, NOW, LIMITS, 0.0) - NOW == timedelta(seconds=5)
    assert retry.pause(Verdict.ACCOUNT, 1, NOW, LIMITS, 0.0) - NOW == timedelta(minutes=1)


@given(st.timedeltas(timedelta(0), timedelta(days=30)))
def test_a_letter_is_given_up_after_three_days(age: timedelta) -> None:
    assert retry.expired(NOW - age, NOW, LIMITS) == (age >= timedelta(days=3))


@pytest.mark.parametrize(
    ("step", "code", "status", "text", "alone", "beside_others"),
    [
        (Step.RCPT, 554, "5.7.1", "Relay access denied", Verdict.ACCOUNT, Verdict.ACCOUNT),
        (Step.BODY, 550, "5.4.5", "Daily quota exceeded", Verdict.ACCOUNT, Verdict.ACCOUNT),
        (Step.BODY, 554, "5.7.1", "Spam message rejected", Verdict.ACCOUNT, Verdict.REFUSED),
        (Step.BODY, 554, "5.7.1", "", Verdict.ACCOUNT, Verdict.REFUSED),
        (Step.BODY, 550, "", "virus found", Verdict.REFUSED, Verdict.REFUSED),
        (Step.RCPT, 550, "5.1.1", "user unknown", Verdict.REFUSED, Verdict.REFUSED),
        (Step.MAIL, 550, "5.1.1", "user unknown", Verdict.ACCOUNT, Verdict.ACCOUNT),
        (Step.MAIL, 432, "4.3.2", "too many connections", Verdict.CONNECTION, Verdict.CONNECTION),
        (Step.BODY, 454, "", "Throttling failure", Verdict.CONNECTION, Verdict.CONNECTION),
        (Step.RCPT, 450, "4.7.1", "Greylisted", Verdict.RETRY, Verdict.RETRY),
        (Step.BODY, 554, "5.2.122", "The recipient has exceeded", Verdict.RETRY, Verdict.RETRY),
        (Step.DATA, 250, "", "relaying denied", Verdict.RETRY, Verdict.RETRY),
    ],
)
def test_words_and_what_becomes_of_the_others_decide_whose_fault_it_is(
    step: Step, code: int, status: str, text: str, alone: Verdict, beside_others: Verdict
) -> None:
    receipt = Receipt(step=step, code=code, text=text, enhanced=status, started=NOW, ended=NOW)
    assert retry.judge(receipt) is alone
    assert retry.judge(receipt, others_taken=True) is beside_others


@pytest.mark.parametrize(
    ("step", "code", "text", "verdict"),
    [
        (Step.BODY, 550, "Email rejected per DMARC policy", Verdict.REFUSED),
        (Step.RCPT, 554, "Relay access denied", Verdict.REFUSED),
        (Step.RCPT, 450, "Sender address rejected: Domain not found", Verdict.RETRY),
        (Step.AUTH, 535, "authentication failed", Verdict.ACCOUNT),
        (Step.BODY, 432, "too many connections", Verdict.CONNECTION),
    ],
)
def test_what_names_our_side_for_long_beside_others_is_the_letters(
    step: Step, code: int, text: str, verdict: Verdict
) -> None:
    receipt = Receipt(step=step, code=code, text=text, started=NOW, ended=NOW)
    assert retry.judge(receipt, others_taken=True, for_long=True) is verdict
    alone = retry.judge(receipt, for_long=True)
    assert alone is retry.judge(receipt), "whether others are taken decides"
