"""What a person wrote himself in a mail: above quotations, signatures and what his client adds; and
what it seems to say.

Patterns for reply headers come from mail-parser-reply, behind one guard; the separators that
calendar clients put above a copy of the appointment are our own. A suggestion is never applied by
itself (P23).
"""

import re
from functools import lru_cache

from mailparser_reply import EmailReplyParser

from gateway.model import Reply

LONGEST = 5_000
"""Characters that are looked at. The library's patterns take quadratic time (20 000 line ends: half
a minute).
"""
LONG_LINE = re.compile(r"^([ \t>]*)([^\n]{300,})$", re.MULTILINE)
"""No line above a quotation is so long, and the library's patterns for those take cubic time in it
(5 000 characters: 20 s).
"""
ASIDE = re.compile("\ue000(\\d+)\ue001")
"""What stands for a long line meanwhile."""
BLANKS = re.compile(r"[ \t]{3,}")
EMPTY_LINES = re.compile(r"\n(?:[ \t]*\n){2,}")
LANGUAGES = ("en", "de", "fr", "da", "no", "sv", "nl", "es", "it", "pl")

APPOINTMENT = re.compile(
    r"^\s*(?:-{3,}\s*(?:Original Appointment|Opprinnelig avtale|Ursprünglicher Termin|Rendez-vous"
    r" d'origine|"
    r"Oorspronkelijke afspraak|Ursprunglig avtalad tid|Oprindelig aftale|Cita original|Appuntamento"
    r" originale)\s*-{3,}"
    r"|\*~\*~\*~\*~\*[*~]*|(?:When|Tidspunkt|Når|Zeit|Quand|Wann)\s*:\s.*\d)\s*$",
    re.IGNORECASE | re.MULTILINE,
)
"""Outlook's and Exchange's lines between the answerer's words and the copy
of the appointment (2003 to 2024).
"""

QUOTED = re.compile(
    r"^\s*(?:>|-{2,}\s*(?:Original Message|Opprinnelig melding|Ursprüngliche Nachricht)\s*-{2,}"
    r"|_{20,}\s*$)",
    re.IGNORECASE,
)

NEGATIVE = re.compile(
    r"\b(?:kan\s+(?:dessverre\s+)?ikke|kan\s+dessverre\s+ikke|dessverre|må\s+(?:dessverre\s+)?avslå|avslår|rekker\s+ikke|"
    r"passer\s+(?:dessverre\s+)?ikke|kommer\s+(?:dessverre\s+)?ikke|takker\s+nei|nei|forhindret|"
    r"can(?:'|’)?t|can\s*not|cannot|unable|decline|declining|won(?:'|’)?t|will\s+not|no|not\s+able|unfortunately|regret)\b",
    re.IGNORECASE,
)
DOUBTFUL = re.compile(
    r"\b(?:kanskje|muligens|usikker|vet\s+ikke|foreløpig|maybe|perhaps|possibly|tentative(?:ly)?|"
    r"not\s+sure|might|don(?:'|’)?t\s+know)\b",
    re.IGNORECASE,
)
POSITIVE = re.compile(
    r"\b(?:ja|jeg\s+kommer|kommer|passer|godtar|takker\s+ja|gjerne|stiller|sees|"
    r"yes|i(?:'|’)?ll\s+be\s+there|will\s+attend|will\s+be\s+there|accept|accepted|works\s+for\s+me|"
    r"see\s+you|count\s+me\s+in|looking\s+forward)\b",
    re.IGNORECASE,
)
SENTENCE = re.compile(r"[.!?\n]")
GREETING = re.compile(
    r"^(?:hei|hi|hello|hallo|dear|kjære|god\s+\w+|good\s+\w+)\b[^,.!\n]{0,40}[,.!]?\s*",
    re.IGNORECASE,
)


def own_words(body: str) -> str:
    """What the sender wrote above everything that he quotes; "" where that is nothing.
    At most 5 000 characters.
    """
    text = EMPTY_LINES.sub(
        "\n\n", BLANKS.sub("  ", body[:LONGEST].replace("\r\n", "\n").replace("\ue000", ""))
    )
    aside = list[str]()

    def put_aside(found: re.Match[str]) -> str:
        aside.append(found[2])
        return f"{found[1]}\ue000{len(aside) - 1}\ue001"

    try:
        latest = str(_parser().parse_reply(LONG_LINE.sub(put_aside, text)) or "")
        latest = ASIDE.sub(lambda found: aside[int(found[1])], latest)
    # Behind one guard (architecture.md §3): a text that its patterns trip over is cut at our own
    # marks only.
    except (ValueError, IndexError, AttributeError, TypeError, RecursionError, re.error):
        latest = text
    kept = list[str]()
    for line in APPOINTMENT.split(latest)[0].split("\n"):
        if QUOTED.match(line):
            break
        kept.append(line.rstrip())
    return "\n".join(kept).strip()


def remark(body: str) -> str:
    """What an answerer put above his client's copy of the appointment; "" without such a mark.

    Most clients write a sentence of their own into the text part ("Kari has accepted ..."), which
    is no remark: only a mark tells the two apart.
    """
    found = APPOINTMENT.search(body[:LONGEST])
    return body[: found.start()].strip() if found else ""


def suggestion(words: str) -> Reply | None:
    """The answer that the first sentence seems to give (Norwegian, English), for the owner to
    confirm; None where unclear.
    """
    first = next(
        (
            piece
            for piece in SENTENCE.split(GREETING.sub("", words.strip()[:1000]))
            if piece.strip()
        ),
        "",
    )
    if DOUBTFUL.search(first):
        return Reply.TENTATIVE
    if NEGATIVE.search(first):
        return Reply.DECLINED
    return Reply.ACCEPTED if POSITIVE.search(first) else None


@lru_cache(maxsize=1)
def _parser() -> EmailReplyParser:
    return EmailReplyParser(languages=list(LANGUAGES))
