"""The journal of a follow-up as people read it (page.md §2): no code of the program stands there, and
no moment on another clock than the reader's; what people and servers said is a quotation.
"""

import html
import re
from dataclasses import replace

import sqlalchemy as sa

from gateway.followups.decisions import Choice, DecisionKind, Ending
from gateway.model import Channel
from gateway.store import journal, schema
from gateway.web.pages import details
from tests.web.test_pages import signed_in
from tests.web.world import Office

ENTRIES = [
    (journal.Entry("created", "own", by="load", channel=Channel.STORE), "Opprettet ved import"),
    (journal.Entry("changed", "own", by="SQL"), "Endret av et annet program"),
    (
        journal.Entry("applied", before="invitation", after="not_started", detail="accepted"),
        "Svarte: Har ikke svart → Kommer · ja",
    ),
    (
        journal.Entry("applied", before="not_started", after="seen", detail="tentative"),
        "Svarte: Kommer → Kanskje · kanskje",
    ),
    (
        journal.Entry("applied", before="seen", after="declined", detail="Jeg er syk."),
        "Svarte: Kommer ikke · «Jeg er syk.»",
    ),
    (journal.Entry("seen", before="invitation", after="seen"), "Sett"),
    (
        journal.Entry("proposal", before="invitation", after="seen", detail="Kl. 13?"),
        "Ber om en annen tid · «Kl. 13?»",
    ),
    (
        journal.Entry("proposed", detail="2026-12-01T12:00:00Z – 2026-12-01T13:00:00Z, Fjord"),
        "Ber om en annen tid · tirsdag 1. desember, 13.00–14.00, Fjord",
    ),
    (
        journal.Entry("rescheduled", detail="2026-12-02 – 2026-12-04"),
        "Flyttet til en annen tid · onsdag 2. desember – torsdag 3. desember",
    ),
    (
        journal.Entry("rescheduled", detail="some day"),
        "Flyttet til en annen tid · «some day»",
    ),
    (journal.Entry("sent", after="sent"), "Brevet er sendt"),
    (
        journal.Entry("undeliverable", after="undeliverable", detail="550 5.1.1 unknown"),
        "Brevet kunne ikke leveres · «550 5.1.1 unknown»",
    ),
    (journal.Entry("queued", detail="CANCEL"), "Et brev venter på å bli sendt · avlysning"),
    (journal.Entry("switched", detail="off"), "E-postinvitasjon slått av eller på · Får ikke brev"),
    (
        journal.Entry("assigned", after="assigned", detail="to per, from nobody"),
        "Tilordnet: Tilordnet · ingen → Per Hansen",
    ),
    (
        journal.Entry("party_crasher", detail="nina.ny@partner.example was not invited"),
        "Svarte uten å være invitert",
    ),
    (
        journal.Entry("decision_opened", detail="words"),
        "Venter på en avgjørelse · ord til eieren",
    ),
    (
        journal.Entry("decision_closed", detail="declined: reschedule: Kl. 9: eller 10"),
        "Avgjort · et avslag: Planlegg på nytt · «Kl. 9: eller 10»",
    ),
    (
        journal.Entry("decision_closed", detail="proposal: answered"),
        "Avgjort · en annen tid: et nytt svar kom",
    ),
]


async def test_an_entry_is_in_the_words_of_its_reader(office: Office) -> None:
    with office.store.write() as connection:
        connection.execute(sa.update(schema.associate).values(language="nb"))
        entries = [replace(entry, follow_up="own") for entry, _ in ENTRIES]
        journal.write(connection, entries, office.now)
    page = await signed_in(office, "kari").get("/follow-ups/own/journal")
    _, *lines = page.text.partition('<ol class="journal">')[2].split("<li>")
    newest = [said(line.partition("</li>")[0]) for line in lines[: len(ENTRIES)]]
    assert newest == [words for _, words in reversed(ENTRIES)]


def said(markup: str) -> str:
    """An entry as it is read, without when it happened."""
    quoted = re.sub(r"<q>(.*?)</q>", r"«\1»", markup.partition("</span>")[2])
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", quoted)).split())


def test_whatever_closes_a_decision_has_words() -> None:
    assert set(details.CAUSES) == set(DecisionKind)
    assert set(details.CLOSED) == {*Choice, *Ending}
