"""The table of `mail/refusals`: which status codes and which words name whose fault a refusal is.

Sources: RFC 3463; the published lists of Microsoft 365, Google Workspace, Amazon SES, SendGrid,
Mailgun, Postmark, Yahoo, GMX and T-Online; the texts of Postfix, Exim, Sendmail, qmail and
Exchange. Words are English as nearly all servers speak it, and the few sentences that German and
Nordic providers say. Limits: a phrase spans a few words, so no text makes a search long.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Whose fault a refusal is."""

    ACCOUNT = "account"
    """Our side: quota, rate, sender or identity, relaying, sign-in, SPF, block list."""
    LIMIT = "limit"
    """The same, for now: said with 4xx."""
    CONNECTIONS = "connections"
    """More connections are open than the server allows."""
    RECIPIENT = "recipient"
    """The recipient's own: unknown, full, switched off, their own rules."""
    LETTER = "letter"
    """This letter's: too big, a virus, not to be represented."""
    DOUBTFUL = "doubtful"
    """The letter's or the account's: called spam, or refused by some policy."""
    TEMPORARY = "temporary"
    """Nobody's; it is tried again."""
    UNKNOWN = "unknown"
    """Final, and nothing says whose."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table: a status code or a phrase fits. `name` says why."""

    name: str
    fault: Fault
    phrases: re.Pattern[str]
    codes: re.Pattern[str]


def _phrases(lines: str) -> re.Pattern[str]:
    """One phrase a line, which goes on in the next after "|" or "…". A blank stands for whatever is
    between two words, " ?" for that or nothing, "…" for up to four words more.
    """
    alternatives = list[str]()
    for line in re.sub(r"(?<=[|…])\n\s+", "", lines).split("\n"):
        if phrase := line.strip():
            spaced = phrase.replace(" ?", r"[\W_]*").replace(" ", r"[\W_]+")
            alternatives.append(spaced.replace("…", r"[\W_]+(?:[^\s,;]+[\W_]+){0,4}?"))
    return re.compile(rf"(?<![a-z])(?:{'|'.join(alternatives)})", re.IGNORECASE)


def _codes(text: str) -> re.Pattern[str]:
    """Status codes without their class: they mean the same with 4 and with 5."""
    return re.compile(rf"[245]\.(?:{text.replace('.', '[.]').replace(' ', '|')})")


_NONE = re.compile(r"(?!)")

CONNECTIONS = _phrases(
    r"""
    (too many|maximum number of|max|maximum)…(connections?|sessions?)(?! rate)
    (connections?|sessions?)…(limit|maximum)…(exceeded|reached)
    (simultaneous|concurrent|parallel)…(connections?|sessions?)
    """
)

_FOR_NOW = _phrases(
    r"""
    gr[ea]y ?list\w*
    recipient('s)? (has )?(exceeded|is receiving|per hour)
    recipient('s)?…(per hour|receive|thread|incoming)…limit
    (is|are) receiving…(too|at a rate)
    """
)

_HIS_RULES = _phrases(
    r"""
    sendernotauthenticated\w*
    resolver.rst
    (delivery|recipient) restriction
    restricted to…senders
    (not|\w*n't) (been )?(allowed|authori[sz]ed|permitted|able) to…to (this|the|that|
        these) (recipient|group|mailbox|list)
    (send|post|write|mail|messages?) to (this|that) (recipient|group|mailbox|list|user|address)
    (group|list|mailbox|recipient|user) (only )?(does not |doesn't |do not )?accepts? (only )?(mail|
        messages|e-?mail)
    (blocked|refused|rejected|declined|denied) by (the |this )?(recipient|user|addressee|
        mailbox owner)(?! polic)
    recipient…(has |have )(blocked|unsubscribed|opted|declined)
    recipient…(does not|doesn't|do not) (want|accept|wish)
    recipient suppressed
    (on|in)…suppression list
    (inactive|suppressed) (recipient|address)
    previously (bounced|unsubscribed|complained)
    banned recipient
    """
)

_NOT_THERE = _phrases(
    r"""
    recipient address(es)? rejected…(unverified|undeliverable|user|unknown|access denied|domain|
        mailbox|account|no such|invalid|not found|does not)
    recipient (verify|verification|callout) (failed|problem)
    (user|recipient|mailbox|account|addressee|inbox)…you (tried|are trying|attempted) to (reach|
        contact)
    """
)

_TOO_BIG_OR_UNSAFE = _phrases(
    r"""
    (message|mail|e-?mail|letter|content|data|body|headers?)…too (big|large|long)
    (message|mail|e-?mail|letter|body|headers?) exceeds…(size|length)
    (message|mail|data|transfer) size (limit )?(exceed\w*|limit)
    exceed\w*…(message|mail) size
    size exceeds
    (virus|malware|infected|trojan|eicar)\w*
    attachments?…(not allowed|forbidden|blocked|prohibited|rejected|banned|denied|disallowed)
    (blocked|banned|forbidden|dangerous|executable|disallowed|unsafe)…(attachments?|file ?types?|
        extensions?)
    potential security issue
    (bare|stray) (lf|cr|newline)
    (not|non)( rfc)? ?\d* ?compliant
    (missing|invalid|malformed|duplicate|multiple)…(message-?id|date|subject|mime|
        headers?)(?!\w)(?! from)
    """
)

_SENDER = _phrases(
    r"""
    (sender|from|return.path|envelope|reverse.path)( address| domain| e-?mail| mailbox| header|
         identity| name| host)?( \S+@\S+)?( is| was| has been| verify| verification| does| could|
         must| can)* (rejected|refused|denied|blocked|invalid|unknown|failed|mismatch\w*|not|
        be)(?!\w)
    (sender|from) (address|domain|header|field|is)…not…(verified|owned|allowed|authori[sz]ed|
        permitted|valid|exist|exists|local|confirmed|match|belong|resolve|found|registered|accepted)
    (invalid|unknown|bad|unauthori[sz]ed|unverified|illegal|forged|disallowed|
        spoofed) (envelope )?(sender|from|return.path|mail from|originator)
    (address|domain|identity|identities|domain name|email)…(is|are|was|has|
        have) not (been )?(verified|validated|configured|activated|confirmed|authori[sz]ed|
        registered)
    identit(y|ies) failed
    (verified|registered|approved) (senders?|identity|identities|domain)
    sender (signature|identity|identities)
    not owned by
    not logged in
    (permissions?|rights?|privileges?|allowed|authori[sz]ed|permitted)( \w+)?( to)? (send|submit|
        mail|use|post)…(as|from|behalf|through|via|using)(?!\w)
    send ?as ?(denied|rights?|permission)\w*
    not authori[sz]ed to perform
    badmailfrom
    (not|\w*n't) (allowed|authori[sz]ed|permitted|configured|enabled) to (send|submit|use|
        connect)(?! to)
    (sender|from)…(must|should|has to|does not|doesn't|do not|not)…(match\w*|same|equal|correspond)
    spoof\w*
    """
)

_SUSPENDED = _phrases(
    r"""
    your (\w+ ){0,3}?(account|domain|organi[sz]ation|tenant|mailbox|user)…(suspended|disabled|
        blocked|locked|on hold|deactivated|banned|not (active|enabled|activated|approved)|
        under review|restricted|compromised)
    (account|domain|user)…(locked|blocked|suspended|disabled) for (sending|outgoing|outbound)
    (sperret|gesperrt|blockiert|spärrat|spärret) (for|für|för) (utsending|versand|ausgehende|
        utskick|udgående)
    (sending|outgoing|outbound|smtp|sender)( mail| e-?mail| account| user| access| privileges)*…
        (suspended|disabled|blocked|paused|locked|banned|restricted|not enabled|deactivated)
    bad outbound sender
    banned (send\w*|ip|client)
    spam abuse detected
    for test purposes
    unregistered domain\w*
    unauthori[sz]ed ip
    (account|domain)…(pending|awaiting)…(approval|activation|verification)
    disabled from sending
    payment (required|overdue)
    """
)

_RELAY = _phrases(
    r"""
    relay\w*…(denied|not (permitted|allowed|authori[sz]ed|enabled|supported)|prohibited|refused|
        disabled|blocked|restricted|rejected|disallowed)
    (not|un|\w*n't|cannot|can't|unable|do not|don't|will not|won't|never|no|
        refuse\w*)( \w+){0,3}? (to |for )?relay\w*
    open relay
    rcpthosts
    not a gateway
    non.local (e-?mail|address|recipient|domain|user|delivery)
    non.accepted domain
    (domain|recipient|address|destination)…(not|\w*n't|isn't) (local|an? accepted domain|
        hosted here|handled here)
    tenantattribution
    """
)

_SIGN_IN = _phrases(
    r"""
    (authenticat\w+|smtp auth|auth|log ?in|sign ?in|credentials?)( is| was| has)? (required|needed|
        first|failed|invalid|unsuccessful|missing|mandatory|incorrect)
    (must|need|have|please|should)( to)?( first)?( be)? (authenticate\w*|log ?in|logged in|sign ?in|
        smtp auth|use auth)
    (requires?|requiring|needs?|without|use|enable)( smtp)? (auth|authentication|authorization|
        login)(?!\w)
    (not|\w*n't|un)( been)? ?authenticated(?! mail)
    must issue a starttls
    invalid credentials
    (check|pop|imap)…before (smtp|sending)
    """
)

_FULL = _phrases(
    r"""
    (mailbox|inbox|storage|disk|space|maildir|depot)…(full|quota|limit|exceed\w*|exhausted)
    (full|over|exceed\w*|exhausted|insufficient|out of|quota|limit)…(mailbox|inbox|storage|disk|
        space)
    over quota
    """
)

_QUOTA = _phrases(
    r"""
    (sending|outgoing|outbound|submission|relay|relaying|senders?|sender's|smtp)…(quota|limits?|
        limited|rate|volume|allowance|threshold)
    \w*submissionquota\w*
    (quota|limits?|rate|threshold)…(for|of|on|by)…(senders?|sending|outgoing|outbound|your account|
        your domain|user)(?!\w)
    (daily|hourly|monthly|weekly|24 hours?)…(quota|limits?|allowance|credits?|maximum)
    (messages?|mails?|e-?mails?|recipients?|letters?) (per|in|within|an|a|each) (one |1 |
        the last )?(second|minute|hour|day|month|\d+)
    (you|your (\w+ ){0,2}?(account|domain|organi[sz]ation|tenant|plan|ip|server)|tenant|sender|
        the domain|this domain|customer)( have| has|'ve| is| are)?( been)? (exceed\w*|reached|hit|
        over|sent too|sending too)
    (exceeded|reached|over) (your|the sender's|the account's|the domain's)…(quota|limits?|rate|
        allowance|maximum|plan)
    too (many|much) (messages?|mails?|e-?mails?|letters?|sent|recipients)(?! (in|on)…(mailbox|
        server|inbox))
    too (fast|frequent\w*|quickly)
    (defers?|deferrals?|failures?|bounces) (and \w+ )?per (minute|hour|day)
    frequency limit\w*
    rate (limit\w*|exceeded|control)
    (exceeded|exceeds|maximum|max)…(rate|credits)
    throttl\w*
    (unusual|high|excessive) (rate|volume|number|amount)
    (sending|plan|free|monthly)? ?(credits?|quota|limit) (is |are |has been )?(exhausted|used up|
        depleted)
    (insufficient|no more|out of) credits?
    (quota|limit)s? (is |was |has been |have been )?(exceeded|reached)
    (versandlimit|limit f(ü|ue)r ausgehende|limite d'envoi|grense for utsend\w*|sendegrense\w*)
    """
)

_REPUTATION = _phrases(
    r"""
    spf
    sender policy framework
    (dkim|dmarc|arc)(?!\w)
    (block|black|deny|ban)(-| )?list\w*
    (spamhaus|barracuda\w*|sorbs|uceprotect|spamcop|abuseat|invaluement|senderbase|senderscore)
    (cloudmark|mailspike|manitu|nixspam|psbl|backscatterer|spamrats|wpbl|hostkarma|abusix)
    \w*(dnsbl|dnsrbl|rbl|cbl|sbl|xbl|pbl|snds)(?!\w)
    reputation
    (client|your|sending|source|connecting|originating|remote|the)( \w+)? (host|ip|ip address|
        server|network|mta|mail server)…(blocked|banned|listed|rejected|denied|refused|not (allowed|
        permitted|accepted|authori[sz]ed))
    (client|sender) host (rejected|blocked|denied)
    (ip|ips|host|server|address)…(is|has been|was) (blocked|banned|listed|rejected)
    (from|ip|host) \[?\d+\.\d+\.\d+\.\d+\]?…(blocked|deferred|rejected|not accepted|
        were ?n[o']t sent|refused|denied|listed)
    (messages?|mails?|e-?mails?|traffic)( \w+)? from (this|your) (ip|server|host|network|domain)…
        (blocked|deferred|rejected|not accepted|refused|denied)
    (traffic|mail) not accepted from this ip
    (helo|ehlo)( command| name)? (rejected|invalid|denied|refused|mismatch)
    (invalid|bad|fake|forged) (helo|ehlo)
    (find|resolve|resolving)…(reverse )?host ?name
    (reverse dns|rdns|ptr( record)?|fcrdns|reverse lookup)(?!\w)
    part of their network is on our
    unauthenticated (mail|e-?mail|message|sender)
    user complaints
    tss\d\d
    unsolicited mail originating from your
    """
)

_RECIPIENT = _phrases(
    r"""
    (unknown|invalid|bad|no such|non.?exist\w*|inactive|disabled|unrout(e)?able|undeliverable|
        expired|closed|nonlocal) (user|recipient|mailbox|address|account|local part|person|e-?mail|
        alias|destination|domain|host)s?
    (user|recipient|mailbox|account|address|local part|addressee|alias|inbox|person|e-?mail|domain|
        host|destination)…(unknown|not found|does ?n[o']t exist|not exist|no longer|disabled|
        inactive|not available|unavailable|closed|expired|invalid|suspended|discontinued|
        deactivated|not listed|not recogni[sz]ed|not valid|terminated|not known|cannot be found|
        is full|full)
    (user|recipient|account|he|she)…(is |has |are )?(over|exceeded)…quota
    no (mailbox|such|user|one|body|account)…(here|name|found|registered)
    (not|\w*n't)…(our customer|a (valid|known)|have an? \S+ account)
    not listed in
    user has too many messages
    (benutzer|empf(ä|ae)nger|postfach|adresse)…(unbekannt|nicht (bekannt|gefunden|vorhanden)|voll|
        existiert|gesperrt|(ü|ue)berschritten)
    (bruker|mottaker|modtager|postboks|postkasse)\w*…(ukjent|ukendt|finnes ikke|findes ikke|ble ikke
        funnet|full|fuld|eksisterer ikke)
    (användare|mottagare|brevlåda|adress)\w*…(okänd|finns inte|hittades inte|full)
    (ukjent|ukendt|okänd) (bruker|mottaker|modtager|användare|mottagare|adress)\w*
    (utilisateur|destinataire|bo(î|i)te)…(inconnu|pleine|n'existe pas)
    (gebruiker|ontvanger|postvak|mailbox)…(onbekend|bestaat niet|vol)(?!\w)
    (käyttäjä|vastaanottaja|postilaatikko)\w*…(ei löydy|ei ole|tuntematon|täynnä)
    (usuario|destinatario|buz(ó|o)n)…(desconocido|no existe|lleno)
    (utente|destinatario|casella)…(sconosciut\w|inesistente|non esiste|pien\w)
    """
)

_CONTENT = _phrases(
    r"""
    (spam|junk|unsolicited|bulk|ube)
    (spamassassin|rspamd|content filter)
    (content|message|mail)…(filter|restriction|policy|not allowed|unacceptable)
    (due to|because of|for|by|violat\w*)…(policy|policies|content)
    polic(y|ies) (violation|reasons?|restrictions?|reject\w*|settings?)
    administrative(ly)? prohibit\w*
    looks like
    suspicious
    """
)

_OF_CONTENT = _phrases(
    r"""
    (message|mail|e-?mail|letter|content|body)…contains?…(url|uri|link|domain|spam|content)s?(?!\w)
    (url|uri|link)s? (in|within)…(message|mail|body)
    (surbl|uribl)
    envelope blocked
    not accepted for policy
    """
)

RULES: tuple[Rule, ...] = (
    Rule("recipient's limit", Fault.TEMPORARY, _FOR_NOW, _codes("2.121 2.122")),
    Rule(
        "recipient's rules",
        Fault.RECIPIENT,
        _HIS_RULES,
        _codes("7.12 7.13 7.17 7.18 7.12[0-9] 7.13[0-8] 7.193 7.504 7.505 7.513"),
    ),
    Rule("content", Fault.DOUBTFUL, _OF_CONTENT, _NONE),
    Rule("letter", Fault.LETTER, _NONE, _codes("3.4 2.3 6.[0-9]+ 7.512")),
    Rule("quota", Fault.ACCOUNT, _NONE, _codes("1.90 7.23[0-9] 7.7[0-4][0-9]")),
    Rule("quota", Fault.ACCOUNT, _NONE, re.compile(r"5[.]4[.]5")),
    Rule(
        "sender",
        Fault.ACCOUNT,
        _NONE,
        _codes("1.7 1.8 7.3 7.8 7.9 7.14 7.5[1-9] 7.6[0-8] 7.139 7.750"),
    ),
    Rule(
        "reputation",
        Fault.ACCOUNT,
        _NONE,
        _codes("7.2[0-9] 7.50[1-3] 7.50[6-9] 7.51[015] 7.6[0-4][0-9]"),
    ),
    Rule("quota", Fault.ACCOUNT, _phrases(r"policy.rejection…quota"), _NONE),
    Rule("reputation", Fault.ACCOUNT, _phrases("spf\nsender policy framework"), _NONE),
    Rule("recipient", Fault.RECIPIENT, _NOT_THERE, _codes("1.10 1.6")),
    Rule("sender", Fault.ACCOUNT, _SENDER, _NONE),
    Rule("suspended", Fault.ACCOUNT, _SUSPENDED, _NONE),
    Rule("relaying", Fault.ACCOUNT, _RELAY, _NONE),
    Rule("sign-in", Fault.ACCOUNT, _SIGN_IN, _NONE),
    Rule("too big or unsafe", Fault.LETTER, _TOO_BIG_OR_UNSAFE, _NONE),
    Rule("full", Fault.RECIPIENT, _FULL, _NONE),
    Rule("quota", Fault.ACCOUNT, _QUOTA, _NONE),
    Rule("reputation", Fault.ACCOUNT, _REPUTATION, _NONE),
    Rule("recipient", Fault.RECIPIENT, _RECIPIENT, _codes("1.1 1.2 1.3 2.1 2.2")),
    Rule("content", Fault.DOUBTFUL, _CONTENT, _NONE),
)
"""The first that fits decides."""
