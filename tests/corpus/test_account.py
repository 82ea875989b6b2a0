"""Why did this mail end so? Every mail of the corpus has an answer that begins at the beginning and
gives no token away.
"""

from dataclasses import replace

import pytest

from gateway.errors import Unreadable
from gateway.inbound import account, classify, correlate
from gateway.mail import parse, trust
from gateway.settings import Policy
from tests.corpus import playing

CASES = list(playing.cases())


@pytest.mark.parametrize("case", CASES, ids=[one.file for one in CASES])
def test_every_mail_is_accounted_for(case: playing.Case) -> None:
    ours = classify.Ours((case.mailbox,))
    try:
        message = parse.read(case.raw)
    except Unreadable:
        return  # its one rule is the reason itself
    finding = classify.classify(message, ours, playing.ARRIVED.date())
    asked = correlate.keys(message, finding, ours)
    policy = Policy(authserv_id="mx.crm.example")
    found = replace(
        playing.look_up(case.rows, asked), statement=trust.statement(message, policy.authserv_id)
    )
    steps = account.first_steps(message, finding, asked, found, policy)
    assert [one.name for one in steps[:3]] == ["kind", "sender", "token_key"]
    assert all(one.text.strip() for one in steps)
    meaning = playing.play(case)
    assert meaning.rules
    told = " ".join(one.text for one in (*steps, *meaning.rules)).lower()
    assert not [token for row in case.rows for token in row.tokens if token.lower() in told]
    assert ("the token of" in told) == bool(
        {token.lower() for row in case.rows for token in row.tokens} & set(asked.tokens)
    )
