"""Every mail of the corpus ends in the outcome, row, date and answer that its line in
`expected.jsonl` names.
"""

import pytest

from gateway.model import Policy
from tests.corpus import playing

CASES = list(playing.cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.file)
def test_meaning(case: playing.Case) -> None:
    meaning = playing.play(case)
    expect = case.expect
    words = [expect["outcome"]] if isinstance(expect["outcome"], str) else expect["outcome"]
    assert meaning.outcome.value in words, meaning
    assert meaning.rules or meaning.outcome.value == "malformed", "explain must be able to say why"
    if meaning.outcome.value != words[0]:
        return
    if expect["address"]:
        assert {one.row.address for one in meaning.answers if one.row} == {expect["address"]}
    several = expect["instance"] if isinstance(expect["instance"], list) else [expect]
    left = playing.answers(case, meaning)
    for one in several:
        if one["reply"]:
            assert (
                left.get(playing.moment(one["instance"], case.zone), "needs-action") == one["reply"]
            )
    if not isinstance(expect["instance"], list) and expect["instance"]:
        assert set(left) == {playing.moment(expect["instance"], case.zone)}, (
            "only the date that was answered (P9)"
        )
    if "status_change" in expect.get("must_not", []):
        assert None not in left
    comments = " ".join(one.conclusion.comment for one in meaning.answers)
    assert expect.get("comment_contains", "") in comments
    assert comments.strip() == expect.get("comment", comments.strip())
    for name in ("proposed_start", "proposed_end"):
        if name in expect:
            proposals = [
                one.conclusion.proposal for one in meaning.answers if one.conclusion.proposal
            ]
            found = [one.start if name == "proposed_start" else one.end for one in proposals]
            assert [playing.moment(one, case.zone) for one in found] == [
                playing.moment(expect[name], case.zone)
            ]
    if "added" in expect:
        assert [delegate for one in meaning.answers for delegate in one.conclusion.delegates] == [
            expect["added"]
        ]


STRANGERS = {
    "own/no-token-uid-attendee.eml": "held",
    "own/forwarded-reply-as-attachment.eml": "held",
    "own/dsn-forged.eml": "ignored",
    "own/party-crasher.eml": "party_crasher",
    "own/google-twice-auto-submitted.eml": "applied",
}


@pytest.mark.parametrize(("file", "outcome"), STRANGERS.items())
def test_authentication_required(file: str, outcome: str) -> None:
    """Without a token nothing is applied while our server does not vouch for the sender; a token
    needs no vouching.
    """
    case = next(case for case in CASES if case.file == file)
    assert playing.play(case, Policy(require_authentication=True)).outcome.value == outcome


def test_corpus_is_complete() -> None:
    """No mail lies there unplayed."""
    files = {
        str(path.relative_to(playing.FOLDER))
        for name in ("own", "clients")
        for path in (playing.FOLDER / name).glob("*.eml")
    }
    assert files == {case.file for case in CASES}
