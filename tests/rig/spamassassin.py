"""SpamAssassin, offline, as a judge of whole mails:
what its rules make of them, with nothing asked of the network.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from tests import rig
from tests.rig import process

# The receiving server's lines: without them the rules about the way of a mail have nothing to look
# at.
_RECEIVED = (
    b"Return-Path: <bounces@crm.example>\n"
    b"Received: from mail.crm.example (mail.crm.example [IPv6:2001:db8:25::1])\n"
    b"\tby mx.ext.example (Postfix) with ESMTPS id 4XyZ1a2b3c; %s\n"
)
_SETTINGS = ("use_bayes 0", "use_auto_welcomelist 0", "report_safe 0")
"""No learning: one mail must not colour the next. Spam is left as it is."""
_STATUS = re.compile(
    r"^X-Spam-Status: \w+, score=(-?[\d.]+) required=[\d.]+\s+tests=(.*?)\s+autolearn=.*?^X-Number: (\d+)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Points (5 is spam by default) and the names of the rules that gave or took them."""

    score: float
    rules: tuple[str, ...]


def verdicts(mails: Sequence[bytes]) -> list[Verdict]:
    """What a single run over an mbox of these mails gives each of them, in their order; about 60 ms
    of computing each.

    Raises process.StartError with its output if the program fails.
    """
    program = rig.need("spamassassin", "spamassassin")
    mbox = b"".join(
        b"From MAILER-DAEMON Fri Nov 20 04:15:00 2026\n" + _stored(mail, number) + b"\n"
        for number, mail in enumerate(mails)
    )
    with process.private_directory("spamassassin") as home:
        printed = process.run(
            [program, "--local", "--mbox", *(f"--cf={setting}" for setting in _SETTINGS)],
            what="SpamAssassin",
            stdin=mbox,
            seconds=300,
            cwd=home,
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(home),
                "LANG": "C.UTF-8",
                "TZ": "UTC",
            },
        )
    # It reads an mbox in the order of the dates in it.
    found = {
        int(number): Verdict(float(score), tuple(re.sub(r"\s", "", rules).split(",")))
        for score, rules, number in _STATUS.findall(printed)
    }
    if found.keys() != set(range(len(mails))):
        raise process.StartError(
            f"SpamAssassin judged {len(found)} of {len(mails)} mails\n{printed[-4_000:]}"
        )
    return [found[number] for number in range(len(mails))]


def _stored(mail: bytes, number: int) -> bytes:
    """A mail as it lies in an mbox of the recipient's."""
    text = mail.replace(b"\r\n", b"\n")
    [date, *_] = [*re.findall(rb"^Date: (.*)$", text, re.MULTILINE), b""]
    head: bytes = _RECEIVED % date
    quoted: bytes = re.sub(rb"^(>*From )", rb">\1", text, flags=re.MULTILINE)
    return head + b"X-Number: %d\n" % number + quoted
