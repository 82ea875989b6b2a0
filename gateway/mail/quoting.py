"""What a person themselves wrote in a mail: beside quotations and what their client and their
company add; and what it seems to say.

Patterns for reply headers come from mail-parser-reply, behind one guard; the separators that
calendar clients put above a copy of the appointment are our own. A suggestion is never applied by
itself (P23).
"""

import itertools
import re
from collections.abc import Iterable, Sequence
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

SEPARATOR = re.compile(
    r"^\s*(?:-{3,}\s*(?:Original Appointment|Opprinnelig avtale|Ursprünglicher Termin|Rendez-vous"
    r" d'origine|"
    r"Oorspronkelijke afspraak|Ursprunglig avtalad tid|Oprindelig aftale|Cita original|Appuntamento"
    r" originale)\s*-{3,}"
    r"|\*~\*~\*~\*~\*[*~]*)\s*$",
    re.IGNORECASE | re.MULTILINE,
)
"""Outlook's and Exchange's lines between the answerer's words and the copy of the appointment (2003
to 2024).
"""
WHEN = re.compile(
    r"^\s*(?:When|Tidspunkt|Når|Hvornår|När|Zeit|Wann|Quand|Wanneer|Cuándo|Quando|Milloin)\s*:\s.*$",
    re.IGNORECASE | re.MULTILINE,
)
WHERE = re.compile(
    r"^\s*(?:Where|Sted|Hvor|Var|Plats|Ort|Wo|Où|Lieu|Emplacement|Waar|Locatie|Dónde|Ubicación|Dove"
    r"|Luogo|Missä|Paikka)\s*:",
    re.IGNORECASE,
)
NEAR = 3
"""Lines below a "When:" in which its "Where:" stands. Alone it begins no copy of the appointment:
Roundcube and people write one, too.
"""
TITLE_BELOW = re.compile(r"^[^\n]*:[ \t]*\n\s*\*[^*\n]+\*[ \t]*$", re.MULTILINE)
"""Roundcube's sentence, whatever its language, with the title below ("Ola has accepted the
invitation to the following event:", "*Kick-off*"; 2012 to 2025).
"""

BROKEN_OFF = re.compile(
    r"^\s*(?:-{2,}\s*(?:Original Message|Opprinnelig melding|Ursprüngliche Nachricht)\s*-{2,}"
    r"|_{20,}\s*$)",
    re.IGNORECASE,
)
"""Lines below which nothing is the sender's own, up to the next quotation."""
DATED = re.compile(r"\d{4}|\d{1,2}[:.]\d\d")
"""What the line above a quotation has in every language ("2.3.2027 klo 9.00 Kari kirjoitti:"); "My
answers:" has it not.
"""
FOOTER = re.compile(
    r"^(?:(?:sent|send) (?:from|with|via)|sendt fra|skickat från|gesendet (?:von|mit)|von meinem"
    r"|envoyé (?:de|depuis)|verzonden vanaf|verstuurd vanaf|enviado (?:desde|do)|inviato da"
    r"|lähetetty|wysłano z|get outlook|hent outlook|holen sie sich outlook|outlook for"
    r"|télécharger outlook)\b.{0,100}$",
    re.IGNORECASE,
)
PICTURE = re.compile(
    r"^(?:\[(?:image|cid|bilde|bild|billede|afbeelding|imagen|immagine|kuva)\b[^\]]*\]"
    r"|<(?:image|img)[^>]*>|\ufffc|\s)+$",
    re.IGNORECASE,
)
"""What a client writes in the place of a picture."""
QUOTED = re.compile(r"^[ \t]*>")
SIGNATURE = re.compile(r"^--\s*$")  # RFC 3676 §4.3; its blank is often lost

UNSEEN = re.compile(
    "[\u00ad\u034f\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)
"""Characters that draw nothing."""
JOINER = re.compile(
    "(?<![^\\x00-\\x7f\\s\u200c\u200d])[\u200c\u200d]|[\u200c\u200d](?![^\\x00-\\x7f\\s\u200c\u200d])"
)
"""Joiners that join nothing. One between two letters of Persian or two halves of an emoji is
left.
"""

MAIL_WORD = re.compile(
    r"e-?mail|e-?post|messag|melding|meddelan|meddelelse|nachricht|courriel|bericht|mensaje|correo"
    r"|messaggi|viesti|wiadomo|mensagem",
    re.IGNORECASE,
)
SECRECY = re.compile(
    r"confiden|konfiden|vertraul|vertrouwel|fortrol|förtrol|taushet|riservat|luottamuks|poufn"
    r"|intended\s+(?:only|solely|recipient|for)|privileged|sekretess|virus|in\s+error|par\s+erreur"
    r"|per\s+errore|por\s+error|irrtümlich|ved\s+en\s+fe[ij]l|av\s+misstag|unauthori[sz]ed"
    r"|outside\s+(?:of\s+)?(?:the|your|our)\s+organi[sz]ation",
    re.IGNORECASE,
)
HEADING = re.compile(
    r"^\W*(?:(?:legal |e-?mail )?disclaimer|confidentiality|confidential notice|aviso legal"
    r"|haftungsausschluss|caution|warning|external (?:e-?mail|sender))\b",
    re.IGNORECASE,
)
SMALL_PRINT = re.compile(
    HEADING.pattern
    + r"|^\W*(?:this|the information|denne|detta|dette|diese|der inhalt|ce|dit|de informatie|este"
    r"|questo|tämä)\b",
    re.IGNORECASE,
)
"""How the small print of a company begins, which its server puts below or above every mail."""
SMALL_PRINT_LENGTH = 150
"""Characters from which a paragraph about mail and secrecy is small print."""
WRAPPED = (50, 100)
"""Characters of a line in a paragraph that a program broke into lines."""

NEGATIVE = re.compile(
    r"\b(?:kan\s+(?:dessverre\s+)?ikke|kan\s+dessverre\s+ikke|dessverre|må\s+(?:dessverre\s+)?avslå|avslår|rekker\s+ikke|"
    r"passer\s+(?:dessverre\s+)?ikke|kommer\s+(?:dessverre\s+)?ikke|takker\s+nei|nei|forhindret|"
    r"can(?:'|’)?t|can\s*not|cannot|unable|decline[ds]?|declining|won(?:'|’)?t|will\s+not|no|not\s+able|unfortunately|regret)\b",
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
SUBJECT = 2_000
"""Characters of a Subject that are looked at."""
REPLY_PREFIX = re.compile(
    r"\s*(?:(?:re|sv|vs|aw|wg|antw|antwort|fw|fwd|vb|rv|rif|res|ref|tr|odp|doorst)(?:\s?\[\d+\])?\s?:"
    r"|\[[^\[\]]{1,60}\]|\*{1,5}[A-Z ]{3,30}\*{1,5})\s*",
    re.IGNORECASE,
)
"""What programs put before a Subject: "Re:", and tags of filters ("[EXTERNAL]")."""
LINK_TAG = re.compile(r"\[\s*(?:yes|maybe|no)\s[^\[\]]{1,80}\]", re.IGNORECASE)
LABEL = re.compile(r"(?:\w+(?: \w+){0,3}: )?")
TIME = re.compile(r"(?: \([^()]*\d[^()]*\))?")
SENTENCE = re.compile(r"[.!?\n]")
GREETING = re.compile(
    r"^(?:hei|hi|hello|hallo|dear|kjære|god\s+\w+|good\s+\w+)\b[^,.!\n]{0,40}[,.!]?\s*",
    re.IGNORECASE,
)


def own_words(body: str) -> str:
    """What the sender themselves wrote: the lines that are not quoted, above, below or between the
    quoted ones. "" where that is nothing: a signature, a picture or small print alone are no words.
    At most 5 000 characters.
    """
    text = _unquoted(visible(body).replace("\r\n", "\n").replace("\ue000", ""))
    text = EMPTY_LINES.sub("\n\n", BLANKS.sub("  ", text[:LONGEST]))
    aside = list[str]()

    def put_aside(match: re.Match[str]) -> str:
        aside.append(match[2])
        return f"{match[1]}\ue000{len(aside) - 1}\ue001"

    try:
        sections = [
            (section.headers or "", section.content)
            for section in _parser().read(LONG_LINE.sub(put_aside, text)).replies
        ]
        sections = [
            (head, ASIDE.sub(lambda match: aside[int(match[1])], words)) for head, words in sections
        ]
    # Behind one guard (architecture.md §3): a text that its patterns trip over is cut at our own
    # marks only.
    except (ValueError, IndexError, AttributeError, TypeError, RecursionError, re.error):
        sections = [("", text)]
    own_lines = list[str]()
    for head, words in sections:
        lines = words.split("\n")[len(head.split("\n")) if head else 0 :]
        first = next((line for line in lines if line.strip()), "")
        if head and first and not first.startswith(">") and not head.endswith("\n>"):
            break  # Outlook's way: all below the header is quoted, without a mark
        end = _copy_of_appointment("\n".join(lines))
        own_lines += [*_own("\n".join(lines)[:end].split("\n")), ""]
        if end is not None:
            break
    words = EMPTY_LINES.sub("\n\n", "\n".join(_without_small_print(own_lines))).strip()
    return words if _says_anything(words) else ""


def remark(body: str) -> str:
    """What an answerer put above their client's copy of the appointment; "" without such a mark.

    Most clients write a sentence of their own into the text part ("Kari has accepted ..."), which
    is no remark: only a mark tells the two apart.
    """
    text = visible(body[:LONGEST]).replace("\r\n", "\n")
    end = _copy_of_appointment(text)
    if end is None:
        return ""
    title = TITLE_BELOW.search(text, 0, end)
    words = text[: title.start() if title else end]
    words = "\n".join(_without_small_print(words.split("\n"))).strip()
    return words if _says_anything(words) else ""


def visible(text: str) -> str:
    """A text without the characters that draw nothing."""
    return JOINER.sub("", UNSEEN.sub("", text))


def subject_words(subject: str, titles: Iterable[str]) -> str:
    """What the Subject of an answer says beside ours, "" where that is nothing: `titles` are those
    of the follow-up, which our Subjects have between a label and the time ("Invitation: Kick-off
    (2 March 2027, 09:00)").
    """
    text = LINK_TAG.sub(" ", visible(subject)[:SUBJECT])
    text = " ".join(text.split())
    while match := REPLY_PREFIX.match(text):
        text = text[match.end() :]
    for title in sorted({" ".join(title.split()) for title in titles if title.strip()}, key=len)[
        ::-1
    ]:
        before, title_in_text, after = text.partition(title)
        if title_in_text and LABEL.fullmatch(before) and TIME.fullmatch(after):
            return text if suggestion(before) is not None else ""
    return text


def suggestion(words: str) -> Reply | None:
    """The answer that the first sentence seems to give (Norwegian, English), for the owner to
    confirm; None where unclear.
    """
    sentences = SENTENCE.split(GREETING.sub("", words.strip()[:1000]))
    first = next((sentence for sentence in sentences if sentence.strip()), "")
    if DOUBTFUL.search(first):
        return Reply.TENTATIVE
    if NEGATIVE.search(first):
        return Reply.DECLINED
    return Reply.ACCEPTED if POSITIVE.search(first) else None


def _unquoted(text: str) -> str:
    """The text with one ">" in the place of each quotation. What stands below a long quotation is
    then among the characters that are looked at, and no pattern has to look into a quotation.
    """
    lines = list[str]()
    for line in text.split("\n"):
        if not QUOTED.match(line):
            lines.append(line)
        elif not lines or lines[-1] != ">":
            lines.append(">")
    return "\n".join(lines)


def _copy_of_appointment(text: str) -> int | None:
    """Where a client's copy of the appointment begins, None where there is none."""
    separator = SEPARATOR.search(text)
    end = separator.start() if separator else len(text)
    for when in WHEN.finditer(text, 0, end):
        _, *below = text[when.end() : when.end() + LONGEST].split("\n")
        if separator or any(WHERE.match(line) for line in below[:NEAR]):
            return when.start()
    return separator.start() if separator else None


def _own(lines: Sequence[str]) -> list[str]:
    """The lines of one section that are its writer's: without quotations and what announces them,
    and up to a line that breaks it off.
    """
    own_lines = list[str]()
    for line in itertools.takewhile(lambda line: not BROKEN_OFF.match(line), lines):
        if QUOTED.match(line):
            del own_lines[_attribution(own_lines) :]
            own_lines.append("")
        else:
            own_lines.append(line.rstrip())
    return own_lines


def _attribution(lines: Sequence[str]) -> int:
    """Where "... wrote:" begins at the end of the lines above a quotation. It may go over two."""
    end = len(lines)
    while end and not lines[end - 1].strip():
        end -= 1
    if not end or not lines[end - 1].endswith(":"):
        return len(lines)
    if DATED.search(lines[end - 1]):
        return end - 1
    if end > 1 and DATED.search(lines[end - 2]):
        return end - 2
    return end - 1 if "@" in lines[end - 1] else len(lines)


def _without_small_print(lines: Sequence[str]) -> list[str]:
    """The lines without what a company writes below or above every mail of its people."""
    lines_left = list[str]()
    for _, run in itertools.groupby(lines, key=lambda line: not line.strip()):
        paragraph = list(run)
        above = paragraph[: _small_print_of(paragraph)]
        lines_left += [line for line in above if not _is_small_print([line])]
    return lines_left


def _small_print_of(paragraph: Sequence[str]) -> int:
    """Where small print begins in a paragraph; its end where there is none."""
    for at, line in enumerate(paragraph):
        may_begin = at == 0 or SMALL_PRINT.match(line)
        if may_begin and _is_small_print(paragraph[at:]):
            return at
    return len(paragraph)


def _is_small_print(lines: Sequence[str]) -> bool:
    if len(lines) > 1 and not _is_wrapped(lines):
        return False  # lines that are sentences of their own
    text = " ".join(lines)
    if not MAIL_WORD.search(text) or not SECRECY.search(text):
        return False
    if len(text) >= SMALL_PRINT_LENGTH:
        return True
    return len(lines) == 1 and HEADING.match(text) is not None


def _is_wrapped(lines: Sequence[str]) -> bool:
    """Whether the lines are as long as those of one text that was wrapped. The last may be short,
    and the first where it is a heading.
    """
    least, most = WRAPPED
    has_heading = len(lines[0]) < least
    between = lines[1:-1] if has_heading else lines[:-1]
    is_short = any(len(line) < least for line in between)
    is_long = any(len(line) > most for line in lines)
    return not is_short and not is_long


def _says_anything(words: str) -> bool:
    """Whether there is more than a signature, a program's footer and marks of pictures."""
    lines = itertools.takewhile(lambda line: not SIGNATURE.match(line), words.split("\n"))
    return any(
        line.strip() and not FOOTER.match(line.strip()) and not PICTURE.match(line)
        for line in lines
    )


@lru_cache(maxsize=1)
def _parser() -> EmailReplyParser:
    return EmailReplyParser(languages=list(LANGUAGES))
