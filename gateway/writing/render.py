"""One letter as the mail that leaves: a pure function of its frozen facts, the account's settings
and keys, and the site secret.

The same letter gives the same bytes, so a repeat after a crash is recognised by its Message-ID and
by its content. Standards: RFC 6047 (iMIP), RFC 6068 (the answer links). On failure: `InputError`
names what cannot be written; the outbox row is then held. Security: every text from outside is
escaped by the template engine (HTML) or stripped of control characters; the HTML loads nothing from
anywhere; internal notes are not in an `Edition` and so cannot get out.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from urllib.parse import quote

import css_inline
import jinja2

from gateway import i18n
from gateway.followups import texts
from gateway.ical import blanks, ics
from gateway.mail import compose, dkim, links
from gateway.model import Guest, Letter, Method, Reply
from gateway.sections import Mail
from gateway.writing import news, wording

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_LINK_TITLE = 60
LINK, CHECK, PAGE = (f"{name}-{blanks.NOBODY}" for name in ("link", "check", "page"))
"""Marks of a blank's answer links."""
RANGE = re.compile(
    r"(\d{1,2}[.:]\d{2}(?:\s?[ap]\.?m\b\.?)?\s?[-–—]\s?\d{1,2}[.:]\d{2}(?:\s?[ap]\.?m\b\.?)?)",
    re.IGNORECASE,
)
""" "09.00–10.00", "9:00 AM - 10:00 AM": what is never broken at its dash."""
INLINER = css_inline.CSSInliner(
    keep_style_tags=False, keep_at_rules=True, load_remote_stylesheets=False
)
"""Mail clients drop <style>: everything but the media queries (dark mode) goes to the elements."""


@dataclass(frozen=True, slots=True)
class AnswerLink:
    """One of the ways to answer without calendar buttons.
    `word`: yes, maybe or no, for the template.
    """

    word: str
    label: str
    url: str


def render(
    letter: Letter,
    mail: Mail,
    secret: bytes,
    *,
    receipt: bool = False,
    signer: dkim.Signer | None = None,
    page: str = "",
) -> bytes:
    """The mail of a letter. `mail`: the settings of the letter's account; `secret`: the site secret
    behind the answer links.

    `receipt`: ask for a read receipt (`outbound.request_receipt`); `signer`: the account's (DKIM);
    `page`: the site of the public answer page, "" where there is none.
    Raises `InputError` for facts that no mail can carry.
    """
    if letter.method is Method.NONE:
        note = _forward(letter, mail)
        content = compose.note(note.envelope, note.subject, note.text, note.language)
    else:
        content = _invitation(letter, mail, _Ways(secret, page), receipt)
    return content if signer is None else signer.sign(content)


@dataclass(frozen=True, slots=True)
class _Ways:
    """What answer links are made of. `page`: the site of the answer page, or ""."""

    secret: bytes
    page: str


@dataclass(frozen=True, slots=True)
class Written:
    """A letter as its reader sees it; `html` is "" where it has none."""

    subject: str
    text: str
    html: str


def written(letter: Letter, mail: Mail, secret: bytes, page: str = "") -> Written:
    """The words of the mail that `render` makes. Raises `InputError` as it does."""
    if letter.method is Method.NONE:
        note = _forward(letter, mail)
        return Written(note.subject, compose.read(compose.quoted(note.text)), "")
    ways = _Ways(secret, page)
    blank, language = _filled(letter, mail, ways)
    content = _content(letter, mail, ways, blank, language)
    return Written(content.subject, compose.read(content.text), compose.read(content.html))


@dataclass(frozen=True, slots=True)
class _Blank:
    """A letter to nobody (ical.blanks). `author`: the display name of who writes."""

    author: str
    subject: str
    text: blanks.Text
    html: blanks.Text
    calendar: blanks.Calendar


@lru_cache(maxsize=64)
def _blank(letter: Letter, language: str, organisation: str, *, has_page: bool) -> _Blank:
    calendar = blanks.calendar(letter)  # first: it refuses what the words below take for granted
    teller = wording.Teller(letter, i18n.catalogue(language), organisation)
    text, html = _bodies(teller, has_page=has_page)
    return _Blank(_author(teller), teller.subject(), blanks.text(text), blanks.text(html), calendar)


def _filled(letter: Letter, mail: Mail, ways: _Ways) -> tuple[_Blank, str]:
    """The blank that a letter is made from, and its language."""
    language = i18n.choose((letter.language, mail.language))
    nobodys, organisation = blanks.blank(letter), texts.line(mail.name)
    return _blank(nobodys, language, organisation, has_page=bool(ways.page)), language


def _content(
    letter: Letter, mail: Mail, ways: _Ways, blank: _Blank, language: str
) -> compose.Content:
    own = [
        (blanks.ADDRESS, letter.address),
        (blanks.ORGANIZER, letter.organizer_address),
        (LINK, _link_address(letter)),
        (CHECK, _check(letter, ways.secret)),
    ]
    if ways.page:
        own.append((PAGE, page_address(letter, ways.page, ways.secret)))
    shown = tuple((mark, escape(value, quote=False)) for mark, value in own)
    return compose.Content(
        subject=blank.subject,
        text=blank.text.filled(tuple(own)),
        html=blank.html.filled(shown),
        calendar=blank.calendar.filled(letter),
        method=letter.method.value,
        language=language,
        attach=mail.attach_ics,
    )


def _invitation(letter: Letter, mail: Mail, ways: _Ways, receipt: bool) -> bytes:
    blank, language = _filled(letter, mail, ways)
    envelope = compose.Envelope(
        author=compose.Mailbox(blank.author, mail.address),
        recipient=compose.Mailbox(ics.common_name(letter.address_name), letter.address),
        reply_to=letter.organizer_address,
        message_id=letter.message_id,
        date=letter.dtstamp,
        receipt_to=letter.organizer_address if receipt and letter.method is Method.REQUEST else "",
    )
    return compose.message(envelope, _content(letter, mail, ways, blank, language))


@dataclass(frozen=True, slots=True)
class _Note:
    """A mail of plain text."""

    envelope: compose.Envelope
    subject: str
    text: str
    language: str


def _forward(letter: Letter, mail: Mail) -> _Note:
    """A person's words for the owner: plain text, in the gateway's name, marked with who really
    wrote them (quality.md §3).
    """
    words = i18n.catalogue(i18n.choose((letter.language, mail.language)))
    teller, remarks = wording.Teller(letter, words, texts.line(mail.name)), letter.remarks
    writer = remarks.writer.address if remarks.writer is not None else ""
    name = ics.common_name(remarks.writer.name) if remarks.writer is not None else ""
    shown = name or writer or words.gettext("Somebody unknown")
    answered = letter.reply is not Reply.NEEDS_ACTION
    suggestion = words.gettext(wording.REPLIES[letter.reply]) if answered else ""
    values = {
        "writer": f"{name} <{writer}>" if name and writer else shown,
        "stranger_to": _stranger_to(remarks.row),
        "title": teller.title(),
        "when": teller.short(),
        "lines": texts.text(remarks.words).split("\n"),
        "suggestion": suggestion,
        "reply_to": remarks.reply_to,
        "organisation": teller.organisation or mail.address,
    }
    envelope = compose.Envelope(
        author=compose.Mailbox(_via(words, shown, teller.organisation), mail.address),
        recipient=compose.Mailbox(ics.common_name(letter.address_name), letter.address),
        reply_to=remarks.reply_to,
        message_id=letter.message_id,
        date=letter.dtstamp,
    )
    subject = words.gettext("%(name)s wrote: %(title)s (%(when)s)") % {
        "name": texts.clip(shown, LONGEST_LINK_TITLE),
        "title": texts.clip(teller.title(), 120),
        "when": teller.short(),
    }
    text = _engine(words.language, html=False).get_template("forward.txt.j2").render(values)
    return _Note(envelope, subject, text, words.language)


def _stranger_to(row: Guest | None) -> str:
    """Whose row it is, where another person wrote."""
    return ics.common_name(row.name) or row.address if row is not None else ""


def _bodies(teller: wording.Teller, *, has_page: bool) -> tuple[str, str]:
    """The letter as plain text and as HTML with its style inlined."""
    language = teller.words.language
    values = _told(teller) | _shown(teller)
    asks = teller.letter.method is Method.REQUEST
    values["page"] = PAGE if has_page and asks else ""
    plain = _engine(language, html=False).get_template("letter.txt.j2")
    styled = _engine(language, html=True).get_template("letter.html.j2")
    text = plain.render(values)
    return text, INLINER.inline(styled.render(values))


def _told(teller: wording.Teller) -> dict[str, object]:
    """What a letter says of itself and of what changed."""
    return {
        "language": teller.words.language,
        "heading": teller.heading(),
        "change": news.of(teller.letter).value,
        "subject": teller.subject(),
        "title": teller.title(),
        "lead": teller.lead(),
        "scope": teller.scope(),
        "reason": teller.reason(),
        "differences": teller.differences(),
        "owner": teller.owner(),
    }


def _shown(teller: wording.Teller) -> dict[str, object]:
    """What it shows of the follow-up, and how it is answered."""
    letter, shown = teller.letter, ics.facts(teller.letter)
    return {
        "facts": teller.facts(),
        "agenda": texts.text(shown.agenda),
        "agenda_label": teller.agenda_label(),
        "video_url": texts.line(shown.video_url),
        "video_link": texts.web_link(shown.video_url),
        "answers": answer_links(teller, LINK, CHECK),
        "address": letter.address,
        "cancelled": letter.method is Method.CANCEL,
    }


def _check(letter: Letter, secret: bytes) -> str:
    return links.check(secret, letter.token, links.instance_name(letter.date), letter.sequence)


def page_address(letter: Letter, page: str, secret: bytes) -> str:
    """Where the reader of a letter answers on the web."""
    address = f"{page}/a/{links.page_token(secret, letter.token)}"
    return address if letter.date is None else f"{address}/{links.instance_name(letter.date)}"


def _link_address(letter: Letter) -> str:
    """A bare + would be read as a space by programs that take mailto: for a form (RFC 6068 §5)."""
    return ics.mailto(letter.organizer_address).removeprefix("mailto:").replace("+", "%2B")


def answer_links(teller: wording.Teller, to: str, check: str) -> list[AnswerLink]:
    """Yes, maybe, no: `mailto:` links whose Subject ends in the checked tag; none in a letter that
    asks nothing.
    """
    letter, words = teller.letter, teller.words
    if letter.method is not Method.REQUEST:
        return []
    title = texts.clip(teller.title(), LONGEST_LINK_TITLE)
    instance = links.instance_name(letter.date)
    answers = []
    for reply, label in (
        (Reply.ACCEPTED, words.gettext("Yes")),
        (Reply.TENTATIVE, words.gettext("Maybe")),
        (Reply.DECLINED, words.gettext("No")),
    ):
        subject = f"{label}: {title} {links.subject_tag(reply, instance, letter.sequence, check)}"
        address = f"mailto:{to}?subject={quote(subject, safe='')}"
        answers.append(AnswerLink(links.WORDS[reply], label, address))
    return answers


def _author(teller: wording.Teller) -> str:
    """ "Kari Nordmann via Firma AS": the owner's name on the account's address (itip.md §2)."""
    return _via(
        teller.words, ics.common_name(ics.facts(teller.letter).organizer), teller.organisation
    )


def _via(words: i18n.Catalogue, person: str, organisation: str) -> str:
    if person and organisation:
        return words.gettext("%(owner)s via %(organisation)s") % {
            "owner": person,
            "organisation": organisation,
        }
    return person or organisation


@lru_cache(maxsize=64)
def _engine(language: str, *, html: bool) -> jinja2.Environment:
    """A template engine per language; autoescape is off for plain text only."""
    engine = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=html,  # noqa: S701 (off for plain text only)
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.i18n"],
        auto_reload=False,
    )
    engine.filters["parted"] = RANGE.split
    words = i18n.catalogue(language)
    engine.install_gettext_callables(words.gettext, words.ngettext, newstyle=True)  # type: ignore[attr-defined]
    return engine
