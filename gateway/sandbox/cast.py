"""Who answers in the demonstration, and how: a robot for each kind of answer that there is."""

from datetime import timedelta

from gateway.sandbox import clients
from gateway.sandbox.clients import Invitee, Word
from gateway.sandbox.robots import Robot, Step

MAILBOX = "invites@crm.example"
GONE = "bounced@gone.example"
"""An invitee whose mail server says 550."""
SILENT = "dan@silent.example"
"""One who answers nothing, so that the audience can, on the answer page."""

PHONE = "Telefonmøte med Nordlys"
"""To this one Ola answers from elsewhere."""

PRIVATE = Invitee("Ola Hansen", "o.hansen@privat.example")
"""From where Ola answers once: nobody knows whether it is Ola."""
CRASHER = Invitee("Nina Ny", "nina.ny@partner.example")
"""She saw the invitation at Grete's, and was not invited herself."""

ACCEPTS = (Step(Word.ACCEPTED, after=1.0),)
HOURS = timedelta(hours=1)

CAST = (
    Robot(
        Invitee("Ola Hansen", "ola.hansen@nordlys.example"),
        clients.outlook,
        (Step(Word.ACCEPTED, after=1.5),),
        ACCEPTS,
        {PHONE: (Step(Word.DECLINED, "Da er jeg på ferie.", 2.0, who=PRIVATE),)},
    ),
    Robot(
        Invitee("Eva Lind", "eva.lind@gmail.example"),
        clients.outlook,
        (Step(Word.TENTATIVE, "Kan vi ta det kl. 13?", 2.5, clients.proposing(4 * HOURS)),),
        ACCEPTS,
    ),
    Robot(
        Invitee("Per Åsheim", "per@asheim.example"),
        clients.apple,
        (Step(Word.TENTATIVE, after=3.0),),
        ACCEPTS,
    ),
    Robot(
        Invitee("Liv Strand", "liv@strand.example"),
        clients.thunderbird,
        (
            Step(Word.ACCEPTED, after=1.0),
            Step(Word.DECLINED, "Jeg må likevel hente i barnehagen.", 3.0),
        ),
        ACCEPTS,
    ),
    Robot(
        Invitee("Tor Vik", "tor@vik.example"),
        clients.link,
        (Step(Word.ACCEPTED, after=3.5),),
        ACCEPTS,
    ),
    Robot(
        Invitee("Nina Berg", "nina@crm.example"), clients.outlook, (Step(Word.ACCEPTED, after=2.0),)
    ),
    Robot(
        Invitee("Anna Reid", "anna.reid@contoso.example"),
        clients.outlook,
        ACCEPTS,
        (Step(Word.ACCEPTED, "Even better.", 1.5),),
    ),
    Robot(
        Invitee("Ben Moore", "ben.moore@gmail.example"),
        clients.gmail,
        (Step(Word.ACCEPTED, after=1.5),),
        (Step(Word.TENTATIVE, "I will have to check with my team.", 2.5),),
    ),
    Robot(
        Invitee("Chloe Martin", "chloe@martin.example"),
        clients.apple,
        (Step(Word.ACCEPTED, after=2.0),),
    ),
    Robot(Invitee("Dan Silent", SILENT), clients.outlook),
    Robot(
        Invitee("Frank Olsen", "frank@olsen.example"),
        clients.by_hand,
        (Step(Word.ACCEPTED, "Hei! Jeg kommer gjerne. Er det parkering i nærheten?", 2.0),),
        ACCEPTS,
    ),
    Robot(
        Invitee("Grete Holm", "grete@holm.example"),
        clients.link,
        (
            Step(Word.DECLINED, "Jeg er på kurs den dagen.", 2.0),
            Step(Word.ACCEPTED, after=0.5, client=clients.uninvited(MAILBOX), who=CRASHER),
        ),
        ACCEPTS,
    ),
    Robot(
        Invitee("Hugo Lang", "hugo@lang.example"),
        clients.thunderbird,
        (Step(Word.TENTATIVE, "If the train is on time.", 2.5),),
        ACCEPTS,
    ),
)
