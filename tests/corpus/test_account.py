"""Why did this mail end so? Every mail of the corpus has an answer that begins at the beginning and
gives no token away.
"""

import pytest

from gateway.answer import judge
from gateway.model import Policy
from tests.corpus import playing

CASES = list(playing.cases())


@pytest.mark.parametrize("case", CASES, ids=[one.file for one in CASES])
def test_every_mail_is_accounted_for(case: playing.Case) -> None:
    here = playing.installation(case, Policy(authserv_id="mx.crm.example"))
    reading = judge.read(case.raw, playing.ARRIVED, here)
    if reading.message is None:
        return  # its one rule is the reason itself
    found = playing.look_up(case.rows, reading.asked)
    judgement = judge.judge(reading, found, here)
    steps = judge.account_of(reading, found, judgement, here.policy)
    assert [one.name for one in steps[:3]] == ["kind", "sender", "token_key"]
    assert all(one.text.strip() for one in steps)
    assert judgement.rules
    told = " ".join(one.text for one in steps).lower()
    assert not [token for row in case.rows for token in row.tokens if token.lower() in told]
    assert ("the token of" in told) == bool(
        {token.lower() for row in case.rows for token in row.tokens} & set(reading.asked.tokens)
    )
