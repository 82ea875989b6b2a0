"""What mail systems say in words of a letter: failed, late, or neither; in eleven languages and the
shapes of their programs. All mails are made up here.
"""

from pathlib import Path

import pytest

from gateway.answer import classify
from gateway.mail import bounce, parse, prose
from tests import costs
from tests.corpus import playing

OURS = classify.Ours(("invites@crm.example",))
MARK = "invites+b_k7f2q3mzk7f2q3mz_abcdefghij@crm.example"
F, D, N = "failed", "delayed", ""


def mail(subject: str, body: str, *head: str, sender: str = "MAILER-DAEMON@mx.example") -> bytes:
    lines = [f"From: {sender}", f"To: {MARK}", f"Subject: {subject}", *head]
    kind = ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"]
    return "\r\n".join([*lines, *kind, "", body, ""]).encode()


SENTENCES = [
    # English
    (F, "Message status", "We were unable to deliver your message to ola@ext.example."),
    (F, "Delivery failure", "ola@ext.example: mailbox is full"),
    (F, "Report", "The account ola@ext.example is disabled."),
    (F, "Report", "We tried for 5 days and have given up. The message was delayed too long."),
    (D, "Report", "Your message to ola@ext.example has been delayed. We will keep trying."),
    (D, "Status", "Delivery attempts for this message will continue for two more days."),
    (
        D,
        "Delivery incomplete",
        "There was a temporary problem delivering your message to ola@ext.example. We will retry for 46 more hours. You will be notified if the delivery fails permanently.",
    ),
    (
        D,
        "Mail delivery failed",
        "This is not a permanent error: the message is still being retried.",
    ),
    (N, "Your order", "Your parcel has left our warehouse."),
    (N, "Re: Kick-off", "Thank you, we have received your message and will answer soon."),
    # Norwegian
    (F, "Meldingen kom tilbake", "Meldingen kunne dessverre ikke leveres til ola@ext.example."),
    (F, "Ikke levert", "Adressen ola@ext.example finnes ikke."),
    (F, "Rapport", "Vi har gitt opp å levere meldingen. Den ble forsinket i fem døgn."),
    (D, "Forsinket levering", "Meldingen til ola@ext.example er ennå ikke levert."),
    (
        D,
        "Melding om levering",
        "Levering er utsatt. Serveren vil prøve igjen i tre døgn; du trenger ikke å sende på nytt.",
    ),
    (N, "Takk", "Takk for meldingen, vi svarer så snart vi kan."),
    # Swedish
    (F, "Leveransfel", "Meddelandet gick inte att skicka."),
    (F, "Rapport", "Ditt brev kunde tyvärr inte levereras. Brevlådan är full."),
    (D, "Rapport", "Ditt meddelande har försenats och har ännu inte levererats."),
    (D, "Meddelande", "Servern kommer att försöka igen under två dygn."),
    (N, "Tack", "Vi har tagit emot ditt ärende."),
    # Danish
    (F, "Rapport", "Din besked kunne desværre ikke afleveres. Modtageren findes ikke."),
    (F, "Leveringsfejl", "ola@ext.example"),
    (D, "Rapport", "Din besked er forsinket og er endnu ikke leveret til ola@ext.example."),
    (
        D,
        "Advarsel",
        "Serveren forsøger at aflevere igen i to døgn. Du behøver ikke at sende den igen.",
    ),
    (N, "Tak", "Vi har modtaget din henvendelse."),
    # German
    (F, "Unzustellbar: Terminanfrage", "Empfänger nicht gefunden."),
    (F, "Bericht", "Ihre Nachricht an ola@ext.example konnte leider nicht ausgeliefert werden."),
    (F, "Bericht", "Die Zustellung ist verzögert worden und wurde nun endgültig aufgegeben."),
    (
        D,
        "Bericht",
        "Ihre Nachricht wurde noch nicht zugestellt. Die Zustellversuche werden fortgesetzt.",
    ),
    (D, "Verzögerte Zustellung", "Sie müssen die Nachricht nicht erneut senden."),
    (N, "Eingangsbestätigung", "Wir haben Ihre Anfrage erhalten und melden uns."),
    # French
    (F, "Échec de remise", "L'adresse ola@ext.example est introuvable."),
    (F, "Rapport", "Il est impossible de remettre votre message à ola@ext.example."),
    (F, "Rapport", "Le message, en retard depuis cinq jours, a été abandonné."),
    (D, "Rapport", "Votre message n'a pas encore été remis à ola@ext.example."),
    (D, "Remise différée", "Les tentatives de remise continueront pendant deux jours."),
    (N, "Accusé", "Nous avons bien reçu votre demande."),
    # Dutch
    (F, "Onbestelbaar: uitnodiging", "ola@ext.example"),
    (F, "Rapport", "Uw bericht kon niet worden bezorgd. De mailbox van de ontvanger is vol."),
    (D, "Rapport", "Uw bericht is vertraagd en nog niet afgeleverd bij ola@ext.example."),
    (
        D,
        "Bericht",
        "De server zal twee dagen blijven proberen; u hoeft het bericht niet opnieuw te sturen.",
    ),
    (N, "Bedankt", "Wij hebben uw vraag ontvangen."),
    # Finnish
    (F, "Raportti", "Viestiäsi ei voitu toimittaa vastaanottajalle ola@ext.example."),
    (F, "Toimitus epäonnistui", "Osoitetta ei löytynyt."),
    (D, "Raportti", "Viestin toimitus viivästyy. Palvelin yrittää toimittaa sen uudelleen."),
    (D, "Tieto", "Viestiä ei ole vielä toimitettu osoitteeseen ola@ext.example."),
    (N, "Kiitos", "Olemme saaneet yhteydenottosi."),
    # Spanish
    (F, "Informe", "No se pudo entregar su mensaje a ola@ext.example."),
    (F, "Informe", "El buzón del destinatario está lleno: la dirección no existe."),
    (F, "Informe", "La entrega se ha retrasado y no se realizarán más intentos."),
    (D, "Informe", "Su mensaje todavía no ha sido entregado. Se reintentará durante dos días."),
    (D, "Entrega retrasada", "No es necesario que vuelva a enviar el mensaje."),
    (N, "Gracias", "Hemos recibido su consulta."),
    # Italian
    (F, "Mancato recapito", "ola@ext.example"),
    (F, "Rapporto", "Non è stato possibile consegnare il messaggio. L'indirizzo è inesistente."),
    (
        D,
        "Rapporto",
        "Il messaggio non è stato ancora consegnato. I tentativi continueranno per due giorni.",
    ),
    (D, "Consegna in ritardo", "Non è necessario inviare di nuovo il messaggio."),
    (N, "Grazie", "Abbiamo ricevuto la sua richiesta."),
    # Portuguese, Polish, Russian, Japanese, Chinese
    (F, "Relatório", "A sua mensagem não foi entregue. O destinatário não existe."),
    (D, "Relatório", "A entrega está atrasada; as tentativas vão continuar."),
    (F, "Raport", "Nie można dostarczyć wiadomości do ola@ext.example."),
    (D, "Raport", "Doręczenie wiadomości jest opóźnione, kolejne próby nastąpią."),
    (F, "Отчёт", "Ваше письмо не удалось доставить: такой адрес не существует."),
    (D, "Отчёт", "Доставка задерживается, попытки будут продолжены."),
    (F, "配信エラー", "ola@ext.example"),
    (D, "お知らせ", "配信が遅れています。"),
    (F, "系统退信", "您的邮件无法投递。"),
]


@pytest.mark.parametrize(("said", "subject", "body"), SENTENCES)
def test_sentences(said: str, subject: str, body: str) -> None:
    assert prose.verdict(parse.read(mail(subject, body))) == said


def more_sentences() -> list[tuple[str, str, str]]:
    lines = (Path(__file__).parent / "prose.txt").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return [
        (said.replace("neither", N), subject, body.replace("\\n", "\r\n"))
        for said, subject, body in rows
    ]


@pytest.mark.parametrize(("said", "subject", "body"), more_sentences())
def test_more_sentences(said: str, subject: str, body: str) -> None:
    """Also by their stems: nobody has a list of all phrases."""
    assert prose.verdict(parse.read(mail(subject, body))) == said


SHAPES = [
    # (what is said, system, Subject, body, why)
    (
        F,
        "postfix 1",
        "Undelivered Mail Returned to Sender",
        "I'm sorry, but your message could not be delivered.\n\n<ola@ext.example>: host mx.ext.example[192.0.2.7] said: 550 5.1.1 no such\n    user here (in reply to RCPT TO command)",
        "<ola@ext.example>: host mx.ext.example[192.0.2.7] said: 550 5.1.1 no such user here (in reply to RCPT TO command)",
    ),
    (
        D,
        "postfix 2",
        "Delayed Mail (still being retried)",
        "YOU DO NOT NEED TO RESEND YOUR MESSAGE.\n\n<ola@ext.example>: connect to mx.ext.example: Connection timed out",
        "connect to mx.ext.example: Connection timed out",
    ),
    (
        F,
        "sendmail 1",
        "Returned mail: see transcript for details",
        "   ----- The following addresses had permanent fatal errors -----\n<ola@ext.example>\n    (reason: 553 5.3.0 no such user)",
        "(reason: 553 5.3.0 no such user)",
    ),
    (
        D,
        "sendmail 2",
        "Warning: could not send message for past 4 hours",
        "    **********************************************\n    **      THIS IS A WARNING MESSAGE ONLY      **\n\n   ----- The following addresses had transient non-fatal errors -----\n<ola@ext.example>\n\n   ----- Transcript of session follows -----\n<ola@ext.example>... Deferred: Connection refused by mx.ext.example.",
        "Deferred: Connection refused by mx.ext.example",
    ),
    (
        F,
        "exim 1",
        "Mail delivery failed: returning message to sender",
        "The following address(es) failed:\n\n  ola@ext.example\n    Unrouteable address: no such host",
        "Unrouteable address: no such host",
    ),
    (
        D,
        "exim 2",
        "Warning: message 1AbCdE-000001-00 delayed 24 hours",
        "The address to which it has not yet been delivered is:\n\n  ola@ext.example\n    Delay reason: mx.ext.example refused to talk\n\nNo action is required on your part.",
        "Delay reason: mx.ext.example refused to talk",
    ),
    (
        F,
        "qmail",
        "failure notice",
        "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message.\n\n<ola@ext.example>:\nSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\nI'm not going to try again; this message has been in the queue too long.",
        "Sorry, I wasn't able to establish an SMTP connection. (#4.4.1) I'm not going to try again; this message has been in the queue too long.",
    ),
    (
        F,
        "courier",
        "NOTICE: mail delivery status.",
        "UNDELIVERABLE MAIL\n\nola@ext.example:\n    mx.ext.example [192.0.2.7]:\n    >>> RCPT TO:<ola@ext.example>\n    <<< 550 User unknown.",
        "<<< 550 User unknown.",
    ),
    (
        F,
        "exchange 5.5",
        "Undeliverable: Delay of the project",
        "Your message\n\n  To: ola@ext.example\n  Subject: Delay of the project\n\ndid not reach the following recipient(s):\n\nola@ext.example on Mon, 2 Nov 2026 10:00:00 +0000\n    The recipient name is not recognized",
        "The recipient name is not recognized",
    ),
    (
        F,
        "exchange nb",
        "Kan ikke leveres: Prosjektet er forsinket",
        "Meldingen nådde ikke disse mottakerne: ola@ext.example",
        "Meldingen nådde ikke disse mottakerne: ola@ext.example",
    ),
    (
        F,
        "domino",
        "DELIVERY FAILURE: User ola (ola@ext.example) not listed in Domino Directory",
        "Your message\n\n  Subject: Invitation: Budget\n\nwas not delivered to:\n\n  ola@ext.example\n\nbecause:\n\n  User ola (ola@ext.example) not listed in Domino Directory",
        "not listed in Domino Directory",
    ),
    (
        F,
        "groupwise",
        "Message status - undeliverable",
        "The message that you sent was undeliverable to the following:\n\tola@ext.example (user not found)",
        "(user not found)",
    ),
    (
        F,
        "1&1",
        "Mail delivery failed: returning message to sender",
        "ola@ext.example:\nSMTP error from remote server for RCPT command, host: mx.ext.example reason: 550 mailbox unavailable",
        "SMTP error from remote server for RCPT command, host: mx.ext.example reason: 550 mailbox unavailable",
    ),
    (
        F,
        "mailenable",
        "Message Delivery Failure",
        "MailEnable: Message could not be delivered to some recipients.\n\n\tRecipient: [SMTP:ola@ext.example]\n\tReason: The message could not be delivered because the domain name (ext.example) does not appear to be registered.",
        "Reason: The message could not be delivered because the domain name (ext.example) does not appear to be registered.",
    ),
    (
        F,
        "mail.ru",
        "Ваше сообщение не доставлено. Mail failure.",
        "К сожалению, Ваше письмо не может быть доставлено, потому что:\n\n  Local mailbox ola@ext.example is unavailable: user not found",
        "is unavailable: user not found",
    ),
    (
        F,
        "yandex",
        "Недоставленное сообщение",
        "К сожалению, письмо не было доставлено: ola@ext.example\nтакого получателя нет",
        "такого получателя нет",
    ),
    (
        F,
        "yahoo",
        "Delivery failure",
        "Sorry, we were unable to deliver your message to the following address.\n\n<ola@ext.example>:\nThis user doesn't have an ext.example account (ola@ext.example) [0]",
        "This user doesn't have an ext.example account (ola@ext.example) [0]",
    ),
    (
        F,
        "aol",
        "Mail Delivery Problem",
        "Your mail to the following recipients could not be delivered because they are not accepting mail from crm.example:\n\tola",
        "Your mail to the following recipients could not be delivered because they are not accepting mail from crm.example: ola",
    ),
    (
        F,
        "gmail",
        "Delivery Status Notification (Failure)",
        "** Address not found **\n\nYour message wasn't delivered to ola@ext.example because the address couldn't be found, or is unable to receive mail.",
        "Address not found",
    ),
    (
        D,
        "gmail late",
        "Delivery Status Notification (Delay)",
        "** Delivery incomplete **\n\nThere was a temporary problem delivering your message to ola@ext.example. Gmail will retry for 47 more hours. You'll be notified if the delivery fails permanently.",
        "Gmail will retry for 47 more hours. You'll be notified if the delivery fails permanently",
    ),
    (
        F,
        "surgemail",
        "Message delivery failure",
        "Your message was not delivered to ola@ext.example\nFailed: no such mailbox",
        "Failed: no such mailbox",
    ),
    (
        F,
        "mdaemon",
        "Permanent Delivery Failure",
        "The attached message had PERMANENT fatal delivery errors!\n\nola@ext.example: mailbox does not exist",
        "mailbox does not exist",
    ),
    (
        D,
        "mdaemon late",
        "Warning: Transient Delivery Failure",
        "The attached message had temporary non-fatal delivery errors.\n\nola@ext.example: connection refused",
        "connection refused",
    ),
    (
        F,
        "barracuda",
        "**Message you sent blocked by our bulk email filter**",
        "Your message to: ola@ext.example\nwas blocked by our Spam Firewall.",
        "was blocked by our Spam Firewall.",
    ),
    (
        F,
        "symantec",
        "Delivery failure notification",
        "Your message could not be delivered to the following recipients:\n\nola@ext.example\n\nThe host was not found.",
        "The host was not found.",
    ),
    (
        D,
        "symantec late",
        "Delivery failure notification",
        "Your message could not be delivered to the following recipients:\n\nola@ext.example\n\nDelivery attempts will continue to be made for 5 days.",
        "Your message could not be delivered to the following recipients:",
    ),
    (
        F,
        "kddi",
        "Mail System Error - Returned Mail",
        "The following recipients did not receive this message:\n\n  <ola@ext.example>\n\nBecause the mailbox is full.",
        "Because the mailbox is full.",
    ),
    (
        F,
        "docomo",
        "Undeliverable",
        "Unknown User: ola@ext.example",
        "Unknown User: ola@ext.example",
    ),
    (
        F,
        "dma",
        "Mail delivery failed",
        "There was an error delivering your mail to <ola@ext.example>.\n\nmx.ext.example [192.0.2.7] did not like our RCPT TO:\n550 user unknown",
        "550 user unknown",
    ),
    (
        F,
        "x1",
        "Returned Mail: User unknown",
        "I was not able to deliver the following message to ola@ext.example\nReason: the destination host is unknown",
        "Reason: the destination host is unknown",
    ),
]

GIVEN_UP_OR_NOT = [
    (F, "Meldingen er forsinket. Det gjøres ikke flere forsøk."),
    (F, "Leveringen ble forsinket, og flere forsøk blir ikke gjort."),
    (F, "Meddelandet var försenat. Ytterligare försök kommer inte att göras."),
    (F, "Meddelandet var försenat. Inga fler försök kommer att göras."),
    (F, "Meddelelsen var forsinket. Der gøres ikke yderligere forsøg."),
    (F, "Weitere Zustellversuche werden nicht unternommen."),
    (F, "Die Nachricht war verzögert. Es erfolgt kein weiterer Zustellversuch."),
    (F, "Le message a été retardé. Aucune nouvelle tentative ne sera effectuée."),
    (F, "Le message a été retardé. Il n'y aura pas d'autre tentative."),
    (F, "Het bericht was vertraagd. Verdere pogingen worden niet ondernomen."),
    (F, "Het bericht was vertraagd. Er wordt niet meer geprobeerd het te bezorgen."),
    (F, "Viesti viivästyi. Uusia yrityksiä ei tehdä."),
    (F, "Viesti viivästyi. Toimitusta ei enää yritetä."),
    (F, "El mensaje se retrasó. No se intentará de nuevo."),
    (F, "El mensaje se retrasó. No se harán más intentos."),
    (F, "Il messaggio era in ritardo. Non verranno effettuati ulteriori tentativi."),
    (F, "Your message was delayed. Further delivery attempts will not be made."),
    (F, "Your message was delayed for 5 days. Delivery attempts have been stopped."),
    (
        F,
        "Your message has been delayed and could not be delivered within the maximum queue lifetime. It is being returned.",
    ),
    (F, "After being deferred for 3 days your message was removed from the queue."),
    (F, "A mensagem atrasou. Não serão feitas novas tentativas."),
    (D, "Meldingen er forsinket. Hvis den ikke er levert innen 5 dager, gjøres ikke flere forsøk."),
    (
        D,
        "Your message is delayed. If it cannot be delivered in 5 days, no further attempts will be made.",
    ),
    (
        D,
        "Die Nachricht ist verzögert. Wird sie nicht innerhalb von 3 Tagen zugestellt, erhalten Sie eine Unzustellbarkeitsmeldung. Weitere Versuche folgen.",
    ),
    (
        D,
        "Le message n'a pas encore été remis. Vous n'avez pas besoin de le renvoyer. Nous réessaierons.",
    ),
    (D, "Message delivery delayed. This is not a permanent failure. The system will try again."),
    (
        D,
        "Your message has not been delivered yet. The server will keep trying for 2 days before giving up.",
    ),
    (D, "Wiadomość nie została jeszcze dostarczona. Kolejne próby będą podejmowane."),
    (D, "Message still queued. Delivery will be retried until Friday."),
    (D, "Viestiä ei ole vielä toimitettu. Sitä ei tarvitse lähettää uudelleen."),
    (D, "Mensaje retrasado. Se volverá a intentar la entrega."),
    (D, "Zustellung vorübergehend nicht möglich. Es wird weiter versucht."),
    (D, "Levering midlertidig utsatt. Nytt forsøk om 30 minutter."),
    (D, "Temporarily unable to deliver your message. No action needed; we will retry."),
    (D, "Your mail could not be delivered at this time. Next attempt in 15 minutes."),
    (D, "La consegna non è ancora avvenuta. Il server riproverà."),
    (N, "The mailbox of ola is almost full. Your message was delivered."),
    (N, "Your mailbox is 95% full."),
    (N, "Postkassen er nesten full. Meldingen ble levert."),
    (N, "Das Postfach ist fast voll. Ihre Nachricht wurde zugestellt."),
    (N, "La boîte est presque pleine. Votre message a été remis."),
    (N, "Your earlier message, which had been delayed, has now been delivered."),
    (N, "Your message was delivered successfully."),
    (N, "Thank you for your message. We will answer soon."),
    (F, "Your message was delivered to the server, but the mailbox is full."),
    (F, "The mailbox is full."),
    (F, "Delivery has failed to these recipients. Your message was delivered to the others."),
]
"""Late and given up, late and not, arrived after all, nearly full."""


@pytest.mark.parametrize(("said", "body"), GIVEN_UP_OR_NOT)
def test_what_is_given_up_failed_and_what_arrived_did_not(said: str, body: str) -> None:
    assert prose.verdict(parse.read(mail("Mail system", body))) == said


@pytest.mark.parametrize(
    ("said", "subject", "body", "why"),
    [(a, c, d, e) for a, _, c, d, e in SHAPES],
    ids=[b for _, b, *_ in SHAPES],
)
def test_shapes_of_mail_systems(said: str, subject: str, body: str, why: str) -> None:
    message = parse.read(mail(subject, body.replace("\n", "\r\n")))
    assert prose.verdict(message) == said
    assert prose.reason(message) == why


AWAY = [
    ("Automatic reply: Budget", "Your message was not delivered to me: I am out of the office."),
    ("Automatisk svar: Budsjett", "Jeg er på ferie. Meldinger blir ikke levert videre."),
    ("Automatiskt svar: Budget", "Jag har semester, meddelanden kan inte skickas vidare."),
    ("Autosvar: Budget", "Jeg er ikke på kontoret; beskeden er forsinket."),
    ("Automatische Antwort: Budget", "Ihre Nachricht wird nicht weitergeleitet."),
    ("Réponse automatique : Budget", "Votre message n'a pas été transmis."),
    ("Automatisch antwoord: Budget", "Uw bericht wordt niet doorgestuurd."),
    ("Automaattinen vastaus: Budget", "Viestiä ei ole vielä luettu."),
    ("Respuesta automática: Budget", "Su mensaje no ha sido enviado a otra persona."),
    ("Risposta automatica: Budget", "Il messaggio non è stato inoltrato."),
]


@pytest.mark.parametrize(("subject", "body"), AWAY)
@pytest.mark.parametrize("sender", ["ola@ext.example", "MAILER-DAEMON@ext.example"])
def test_a_vacation_subject_beats_words_of_failure(subject: str, body: str, sender: str) -> None:
    raw = mail(subject, body, "Return-Path: <>", "Auto-Submitted: auto-replied", sender=sender)
    assert isinstance(classified(raw), classify.AutoReply)


def classified(raw: bytes) -> classify.Finding:
    return classify.classify(parse.read(raw), OURS, playing.ARRIVED.date())


FAILS, WAITS = "Your message could not be delivered.", "Your message has been delayed."


@pytest.mark.parametrize(
    "submitted", ["auto-replied", "auto-generated", "auto-generated (failure)"]
)
@pytest.mark.parametrize("words", [FAILS, WAITS])
@pytest.mark.parametrize(
    "sender",
    [
        "MAILER-DAEMON@mx.example",
        "MAILER-DAEMON <>",
        "amazonses.com",
        "post_master@x.example",
        "scan@x.example",
    ],
)
def test_reports_come_before_auto_submitted(submitted: str, words: str, sender: str) -> None:
    finding = classified(mail("Report", words, f"Auto-Submitted: {submitted}", sender=sender))
    assert isinstance(finding, classify.Bounce)
    assert finding.reports[0].action == (F if words == FAILS else D)


@pytest.mark.parametrize(
    "head",
    ["Return-Path: <>", "Return-Path: <MAILER-DAEMON>", "Return-Path: <mailer-daemon@crm.example>"],
)
def test_the_null_sender_in_its_spellings(head: str) -> None:
    raw = mail("Report", FAILS, head, sender="scan@x.example").replace(
        MARK.encode(), b"invites@crm.example"
    )
    assert isinstance(classified(raw), classify.Bounce)
    assert not isinstance(classified(raw.replace(head.encode() + b"\r\n", b"")), classify.Bounce)


def test_a_person_who_complains_at_the_bounce_address_is_a_person() -> None:
    raw = mail("Re: Budget", FAILS, "In-Reply-To: <a@b.example>", sender="ola@ext.example")
    assert isinstance(classified(raw), classify.HumanText)


def test_somebody_away_is_no_report_without_a_servers_own_words() -> None:
    head, words = (
        ("X-Autoreply: yes", "Return-Path: <>"),
        "I am on leave. Mail is not delivered to others.",
    )
    assert isinstance(
        classified(mail("Hello", words, *head, sender="ola@ext.example")), classify.AutoReply
    )
    words += " 550 5.1.1 user unknown"
    assert isinstance(
        classified(mail("Hello", words, *head, sender="ola@ext.example")), classify.Bounce
    )


NOBODY_THERE = [
    ("Takk for e-posten", "Jeg er bortreist. Meldingen din blir ikke lest før mandag."),
    ("Svar", "Jeg har sluttet i Firma AS. Adressen min er ikke lenger i bruk."),
    ("Danke", "Ich bin nicht im Haus. Ihre E-Mail wird nicht gelesen."),
    ("Merci", "Je ne suis pas là et n'ai aucun accès à mes messages."),
    ("Gracias", "No podré leer su correo hasta el lunes."),
    ("Receipt", "Your e-mail was received by our system and is queued for an agent."),
    ("Case #12", "Your message has been received. Response times are longer than usual."),
]


@pytest.mark.parametrize(("subject", "body"), NOBODY_THERE)
def test_an_automatic_reply_is_no_report_by_the_stems_of_its_words(subject: str, body: str) -> None:
    head = ("Return-Path: <>", "Auto-Submitted: auto-replied")
    raw = mail(subject, body, *head, sender="ola@ext.example")
    assert not isinstance(classified(raw), classify.Bounce)


def test_what_came_back_says_nothing() -> None:
    for returned in (
        "------ This is a copy of the message, including all the headers. ------\r\n\r\nWe will keep trying.",
        "Original message headers:\r\n\r\nSubject: Warning: message delayed",
        "Return-Path: <a@b.example>\r\nSubject: Warning: message delayed",
        "> It is still being retried.",
    ):
        assert prose.verdict(parse.read(mail("Report", f"{FAILS}\r\n\r\n{returned}"))) == F


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (
            "smtp; 550-5.1.1 The account does\n   not   exist",
            "550-5.1.1 The account does not exist",
        ),
        ("X-Postfix; unknown user: &lt;ola&gt;<br>ask <b>Eva</b>", "unknown user: <ola> ask Eva"),
        ("=?utf-8?B?TW90dGFrZXJlbiBmaW5uZXMgaWtrZQ==?=", "Mottakeren finnes ikke"),
        ("smtp; Mottakeren=20er=20ukjent=20=C3=A5", "Mottakeren er ukjent å"),
        ("smtp; 550+20no+20such+20user", "550 no such user"),
        ("550 call +47 22 33 44 55", "550 call +47 22 33 44 55"),
        ("a=AB b=CD", "a=AB b=CD"),
    ],
)
def test_reasons_are_decoded(written: str, read: str) -> None:
    assert prose.decoded(written) == read


@pytest.mark.parametrize(
    "piece",
    [
        "a ",
        "could not ",
        "mailbox ",
        "if ",
        "> ",
        "a@b ",
        "-- ",
        "warning ",
        "нет ",
        "ikke ",
        "<a ",
        "=?",
        "rcpt to ",
        "server not ",
        "message ikke lever",
    ],
)
def test_words_cost_no_more_than_they_are_long(piece: str) -> None:
    """And what is beyond the part that is read costs next to nothing."""

    def cost(length: int) -> float:
        message = parse.read(mail("Report", (piece * 10_000)[:length]))
        return costs.least(lambda: (prose.verdict(message), prose.reason(message)), 10)

    # Ten times as much is read; quadratic would be a hundred times as long.
    assert cost(50 * 400) < 40 * cost(400)


@pytest.mark.parametrize(
    ("subject", "rejected"),
    [
        ("Not read: Invitation: Rejected offers", False),
        ("Ulest: Invitasjon: Avvist tilbud", False),
        ("Rejected: Invitation: Kick-off", True),
        ("Automatically rejected mail", True),
    ],
)
def test_a_title_that_tells_of_a_rejection_makes_none(subject: str, rejected: bool) -> None:
    raw = (
        f"From: ola@ext.example\r\nSubject: {subject}\r\n"
        "Content-Type: multipart/report; report-type=disposition-notification; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nYour message\r\n"
        f"   Subject: {subject.partition(':')[2]}\r\nwas deleted without being read.\r\n"
        "--b\r\nContent-Type: message/disposition-notification\r\n\r\n"
        "Final-Recipient: rfc822; ola@ext.example\r\n"
        "Disposition: manual-action/MDN-sent-manually; deleted\r\n--b--\r\n"
    )
    assert bounce.is_rejection(parse.read(raw.encode())) is rejected
