"""Delivery reports in words: did the letter fail, is it late, or is this no report at all; and why.

Mail systems that know no RFC 3464 (Exim, qmail, Exchange 5.5, Notes, GroupWise, MailEnable, the
relays of 1&1, Yandex, Mail.ru …) say it in a sentence, often in their country's language. Whose
sentence may count is decided elsewhere: by the sender (`bounce.from_daemon`) and by the address
that it came to (P25).

Delay beats failure: the Subject of a warning often says "could not send". What was given up beats
delay. Words in the letter that came back, or in its title, say nothing.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from gateway.mail import header, markup, parse, stems

FAILED, DELAYED = "failed", "delayed"
LONGEST = 4_000
"""Characters above the returned letter that are looked at."""
REASON = 500
LINES = 4
"""Most lines that one reason is put together from."""


@dataclass(frozen=True, slots=True)
class Words:
    """What reports say in one language, as regular expressions over folded text (`fold`).

    failure: the letter did not arrive. delay: it did not arrive yet. final: nobody goes on trying.
    """

    failure: str
    delay: str
    final: str


LANGUAGES = {
    "en": Words(
        failure=r"""
            undeliver|non-?delivery|not\sdelivered|returned\sbecause|(?:may|might)\snot\sexist
            |n't\sable\sto\sdeliver|trouble\sdelivering|did\snot\sreceive\s(?:your|this|the)\b
            |delivery\sproblems?|failure\sreasons?|message\syou\ssent\sblocked
            |following\saddress\S*\s(?:had\s)?(?:failed|errors?|delivery)
            |could\s?n(?:ot|'t)\sfind\sa(?:n(?:y\w*)?)?\b|(?:deliver|delever)\w*\s(?:\w+\s){0,5}?abort
            |(?:no|in)valid\s(?:recipients?|mailbox|user)\b
            |deliver(?:y|ing|)\s(?:\w+\s){0,4}fail
            |fail(?:ed|ure)\s(?:to\sdeliver|delivery|notice|mail)
            |failed\s(?:recipient|address|mail\b)|(?:mail|message)\s(?:\w+\s)?(?:fail|error)
            |status\snotification\s\(failure\)|returned\s(?:mail|message|to\s(?:the\s)?sender)
            |returning\s(?:your\s)?(?:message|mail|to\s(?:the\s)?sender)|delivery\serror
            |error\sdelivering
            |(?:could|can|was|were|has|have|is|are)\s?(?:not|n't)\s(?:\w+\s){0,2}?(?:deliver
                |reach|sent\b|send\b|accepted|relay|recogni[sz]ed|found)
            |(?:unable|failed|not\sable|impossible)\sto\s(?:be\s)?(?:deliver|reach|relay|send
                |contact|route|find)
            |cannot\s(?:be\s)?(?:deliver|reach|sent\b|send\b|relay|find|route)|did\snot\sreach
            |there\swas\san?\serror\s(?:while\s)?(?:deliver|send)
            |error\soccurred\s(?:while|when)\s.{0,30}(?:deliver|send)
            |(?:was|were|been|is|are)\s(?:automatically\s)?(?:rejected|refused|bounced|blocked
                |discarded)
            |unknown\s(?:user|recipient|address|host|local|or\sillegal|mailbox|account)
            |user\sunknown
            |no\ssuch\s(?:user|mailbox|recipient|address|person|host|domain|account|local)
            |(?:user|mailbox|account|address|recipient|domain|host)(?:\sname)?\S{0,80}\s
                (?:\S+\s){0,4}?(?:does\snot\sexist|doesn't\sexist|not\sfound|unknown
                |unavailable|disabled|full\b|invalid|not\sexist|not\svalid|over\squota|inactive
                |rejected|not\slisted)
            |not\sa\svalid\s(?:user|recipient|address|mailbox)
            |(?:quota|size|limit)\s(?:is\s|was\s|has\sbeen\s)?exceeded
            |exceed\w*\s(?:\w+\s){0,3}(?:quota|limit|size)|over\s(?:the\s)?quota
            |mailbox\s(?:is\s)?full|fatal\serror|permanent|message\srejected|relaying\sdenied
            |action:\sfailed|not\sour\scustomer|(?:mail|message)\s(?:\S+\s){0,4}?bounced
            |(?:\bhave|\bhas)\sgiven\sup|\bgave\sup|retry\stime\w*\sexceeded
            |no\slonger\s(?:accepts?\s(?:mail|message)|in\suse|exists?|active|available|valid)
            |no\s(?:user|mailbox|recipient|one|person)\s(?:by|with|of)\s(?:that|this)\sname
            |(?:account|mailbox)\s(?:is|was|has\sbeen)\s(?:closed|suspended|deactivated|deleted)
            |requested\s(?:mail\s)?action\s(?:not\staken|aborted)
        """,
        delay=r"""
            (?:is|was|been|be|are|were|being)\s(?:temporarily\s)?(?:delayed|deferred|postponed
                |held\sup)
            |(?:not|n't)\s(?:\w+\s){0,8}?so\sfar\b
            |(?:message|mail)\sdelayed|(?:tries|trying)\s(?:it\s|this\s)?again|greylisted
            |(?:sent|tried|delivered)\sagain\sautomatically|(?:is|are)\s(?:being\s)?retried
            |(?:not|n't)\s(?:be\s|been\s)?delivered\simmediately|attempts\s(?:go\son|continue)
            |next\sone\s(?:is|will\sbe)\s(?:at|in)\b|status:?\sdelayed|on\shold\b
            |(?:another|next)\s(?:delivery\s)?(?:attempt|try|retry)\s(?:\w+\s){0,2}?(?:will|is|follow|at|in)
            |delivery\s(?:is\s|has\sbeen\s)?(?:temporarily\s)?(?:delayed|deferred|postponed
                |delay\b|warning)
            |delayed\s(?:mail|delivery|message|\d)|\(delay\w*\)|message\s\S+\sdelayed
            |warning:?\s(?:message|mail|could|unable|your|delivery)|warning-+could
            |notification:?\s\(?(?:warning|delay)
            |(?:not|n't)\syet\s(?:been\s|be\s)?(?:deliver|able|reach|sent)
            |(?:not|n't)\sbeen\s(?:deliver\w*|sent)\s(?:\S+\s){0,4}yet
            |still\s(?:being\s(?:tried|retried)|trying|queued|undelivered|waiting)
            |\bwe(?:'ll|\swill)\s(?:\w+\s)?(?:continue|keep|go\son|try|retry)
            |will\s(?:still\s)?(?:continue|keep|go\son)\s(?:to\s)?(?:be\s)?(?:attempt|try|tried
                |retry|deliver)
            |will\s(?:\w+\s)?retry
            |temporary\s(?:problem|error|failure)s?\s(?:while\s|in\s)?deliver
            |temporary\snon-fatal|delivery\sincomplete
            |will\sbe\s(?:retried|tried\s(?:again|for|until)|attempted\sagain)
            |attempts?\s(?:\w+\s){0,4}will\s(?:be\s)?continue
            |will\scontinue\s(?:\w+\s){0,3}(?:attempts?|tr(?:y|ied)|deliver)
            |(?:just|only)\sa\s(?:temporary\s)?warning|warning\smessage\sonly
            |temporary\sfailure\sreport|(?:had|with)\stransient\snon-fatal
            |could\snot\s(?:send|deliver)\s(?:mail|message|your\smessage|it)?\s?(?:for|in)\s
                (?:the\s)?(?:past|last)
            |(?:not|n't)\s(?:need\sto\s|have\sto\s)?re-?send|need\snot\sre-?send
            |need\snot\ssend\sit\sagain|no\saction\sis\srequired
            |(?:remains?|stays?|kept|is|held)\s(?:in|on)\s(?:the|our)\s(?:mail\s)?queue
            |action:\sdelayed|next\s(?:delivery\s)?(?:attempt|retry|try)\s(?:will\sbe\s)?(?:in|at)\b
        """,
        final=r"""
            permanent|(?:\bhave|\bhas|\bi've|\bwe've)\sgiven\sup|\bgave\sup
            |(?<!before\s)(?<!without\s)\bgiving\sup|not\sgoing\sto\stry
            |not\s(?:be\s)?(?:try|tried|retr(?:y|ied)|attempt\w*)\sagain|will\snot\sbe\sretried
            |no\s(?:further|more)\s(?:delivery\s)?attempts
            |attempts?\s(?:will|have|has|were|are)\s(?:not\sbe\s(?:made|undertaken)|(?:now\s|been\s){0,2}
                (?:stopped|abandoned|ceased|discontinued))
            |(?:was|been|is)\sremoved\sfrom\s(?:the|our|this)\s(?:mail\s)?queue
            |(?:it|message|mail)\sis\s(?:now\s)?being\sreturned|in\sthe\squeue\stoo\slong
            |queue\stime\w*\s(?:exceed|expired)
            |(?:has|delivery\stime|message|lifetime|period)\s(?:been\s)?expired
            |retr(?:y|ies)\s(?:timeout\s|time\s|limit\s)?exceeded|undelivered\smail\sreturned
            |returning\s(?:message|mail)\sto\s(?:the\s)?sender|returning\syour\s(?:message|mail)
            |(?:after|within)\s(?:\w+\s){0,4}(?:days|hours|attempts|tries)\W+(?:\w+\s){0,6}
                (?:has\sbeen|was|is\sbeing)\sreturned
            |being\sreturned\sto\syou|was\sfinally
        """,
    ),
    "nb da sv": Words(
        failure=r"""
            (?:kunne|kunde|kan|ble|blev|blei|vart|har|er|vil|lyckades|mulig)\s(?:\w+\s){0,2}?
                (?:ikke|inte|ikkje|ej)\s(?:\w+\s){0,3}?(?:lever|aflever|utlever|sende|sendt
                |sent\b|skick|na\b|naa|nadd|framf|fram\b|frem|viderese|vidarebef|tilstill|motta
                |modtage|ta\simot)
            |(?:nadde|naede|nar|natt|kom)\s(?:\w+\s)?(?:ikke|inte|aldri|aldrig)\b
            |(?:gick|gikk|lykkedes|lyktes|lyckades|klarte|klarade)\s(?:\w+\s)?(?:ikke|inte)\s(?:a|at|att)\s
                (?:\w+\s)?(?:lever|aflever|send|skick|na\b|naa)
            |(?:ikke|inte|ej)\s(?:levert|leveret|levererat|aflever|mulig\sa\slever
                |muligt\sat\s(?:af)?lever|mojligt\satt\slever|leverbar)
            |lever(?:ing|ans|ering)\w*\s?(?:\w+\s){0,7}?(?:mislyk|misslyck|feil|fejl|fel\b)
            |(?:mislyk|misslyck)\w*\s(?:af)?lever
            |leveringsfeil|leveringsfejl|leveransfel|uleverbar|olever|uleverert|ulevere
            |ikke\sleveret|kunne\sikke\sleveres|afvist|avvist|avvisad|avvisat
            |(?:mottaker|adresse|postboks|postkasse|innboks|konto|modtager|mottagare|adress
                |brevlad|anvandar|bruker|domene)\w*.{0,40}?(?:finn(?:e)?s\s(?:ikke|inte|ej)
                |ikke\s(?:funnet|fundet|gyldig)|hittades\sinte|ukjen|okand|ukendt|findes\sikke
                |er\sfull|ar\sfull|er\sfuld|eksisterer\sikke|existerar\sinte|inte\shittas
                |ugyldig|ogiltig|kendes\sikke|deaktiver|inaktiver)
            |(?:kontoen|kontot|konto|postkassen|postboksen|brevladan)\s(?:\w+\s){0,2}?(?:sperret|stengt
                |lukket|slettet|avsluttet|sparra|stang|borttag|radera|nedlagt|overskr)
            |(?:ingen|ukjen\w*|ukend\w*|okand\w*)\s(?:mottaker|modtager|mottagare|adress|bruker|anvandar)
            |returner(?:es|t|et|at|ad|as)\b|returpost|(?:post|mail|brev\w*|\bkom\w*)\si\sretur|studsa
            |(?:melding|besked|brev|meddel|mail|post)\w*\s(?:\w+\s)?kom\s(?:tilbake|tillbaka|tilbage)
        """,
        delay=r"""
            forsink|forsena|fordroj
            |(?:enna|enda|fortsatt|fortfarande|endnu|stadig|annu|enno)\s(?:\w+\s)?(?:ikke|inte
                |ikkje|ej)\b
            |(?:ikke|inte|ikkje|ej)\s(?:\w+\s){0,5}?(?:enna|enda|endnu|annu|enno)\b
            |(?:neste|nasta|naeste)\s\w{0,12}(?:forsok|forsog)|(?:satt|sat)\spa\s(?:vent|pause)|pausats
            |nytt?\s(?:forsok|forsog)\s(?:gors|gjores|gores|sker|skjer|folger|vil|om)\b
            |(?:\bvi|systemet|serveren|tjeneren|servern|server|levering\w*|leverans\w*)\s(?:vil
                |kommer|skal|fortsetter|fortsatter|fortsaetter|prover|forsoker|forsoger)\s
                (?:\w+\s){0,4}?(?:prove|forsok|forsog|lever|aflever|igjen|igen)
            |(?:forsok|forsog|leveringsforsok|leveransforsok)\w*\s(?:vil\s|kommer\satt\s)?
                (?:\w+\s)?fortset
            |forsoken?\sfortsatter|prover?\sigjen\si\s\d|(?:utsatt|udskudt|utsatts|uppskjut)\w*
            |(?:trenger|behover|skal)\s(?:\w+\s){0,2}?(?:ikke|inte)\s(?:\w+\s){0,2}?(?:send
                |skick)
            |bare\sen\sadvarsel|endast\sen\svarning|kun\sen\sadvarsel
            |ligger\s(?:\w+\s){0,2}?i\sko(?:en|n)?\b|drojer
            |(?:prover|forsoker|forsoger)\s(?:\w+\s){0,4}?(?:igjen|igen|pa\snytt|i\s\w+\s\w+\stil\b)
            |(?:nye|nya)\s\w{0,12}(?:forsok|forsog)\w*\s(?:gors|gjores|gores|folger|vil|kommer)
            |(?:midlertidig|tillfallig|forbigaende)\w*\s(?:problem|feil|fel\b|fejl)
            |ta(?:r|ger)\slen?a?n?gre\stid|(?:bliver|holder)\s(?:ved|fram)\smed\sat
            |svar(?:er|ar)\s(?:ikke|inte)\s(?:akkurat|for\s(?:tiden|oyeblikket)|i\soyeblikket|just\snu|lige\snu)
        """,
        final=r"""
            permanent|gitt\sopp|gett\supp|gav\supp|ga\sopp|givet\sop|opgivet
            |ingen\sflere\s(?:forsok|forsog)|inga\sfler\w*\sforsok
            |(?:ikke|inte|inga|ingen)\s(?:\w+\s){0,3}?(?:flere|yderligere|ytterligare|fler|nye|nya)\s
                \w{0,12}(?:forsok|forsog)
            |(?:flere|yderligere|ytterligare|fler|nye|nya)\s\w{0,12}(?:forsok|forsog)\w*\s
                (?:\w+\s){0,3}?(?:ikke|inte|ej)\b|endelig|endgyldig|slutgilt|utlopt
            |udlobet
        """,
    ),
    "de": Words(
        failure=r"""
            unzustellbar|nicht\szustellbar
            |(?:nicht|nie)\s(?:\w+\s){0,3}?(?:zugestellt|zustell|ausgeliefert|ubermittelt
                |gesendet|versendet|versandt|weitergeleitet|erreicht|angenommen|ubermittel
                |versende|ausliefer)
            |verweigert|uberschritten|(?:mail|nachricht|brief)\s(?:\w+\s)?kam\szuruck
            |zustell\w*\s(?:\w+\s){0,5}?(?:fehl|nicht\smoglich|gescheitert)|zustellfehler
            |zustellproblem|fehler\sbei(?:m|\sder)\s(?:\w+\s)?(?:\w*zustell|versand|senden)
            |(?:empfanger|adresse|postfach|benutzer|konto|mailbox|teilnehmer)\w*\s.{0,40}?
                (?:unbekannt|existiert\snicht|nicht\s(?:gefunden|vorhanden|verfugbar|bekannt
                |existent)|voll\b|uberfullt|ungultig|gesperrt|deaktiviert|geloscht|geschlossen)
            |(?:unbekannte[rn]?|kein)\s(?:empfanger|benutzer|adresse)|abgelehnt|abgewiesen|zuruckgewiesen
            |zuruckgesandt|zuruckgeschickt|zuruckgesendet
        """,
        delay=r"""
            verzoger|verspat
            |noch\snicht\s(?:\w+\s){0,4}?(?:zugestellt|ausgeliefert|ubermittelt|gesendet
                |erfolgt|zustell)
            |(?:bisher|bislang)\s(?:noch\s)?nicht\b|neuer\s(?:zustell)?versuch\s(?:er)?folgt
            |nachster\s(?:zustell)?versuch|zuruckgestellt
            |(?:zustellversuche?|versuche?|zustellung)\s(?:\w+\s){0,4}?(?:fortgesetzt
                |wiederholt|weitergefuhrt)
            |(?:wird|werden|wir)\s(?:\w+\s){0,6}?(?:erneut|weiter|weiterhin|nochmals)\s
                (?:\w+\s){0,4}?(?:versuch|zuzustellen)
            |(?:versucht|versuchen)\s(?:es\s)?(?:der\sserver|das\ssystem|wir)\s
                (?:\w+\s){0,6}?(?:zuzustellen|erneut|weiter)
            |weitere\szustellversuche|nur\seine\swarnung
            |(?:mussen|brauchen)\s(?:\w+\s){0,6}?nicht\s(?:\w+\s){0,2}?(?:erneut|nochmal
                |noch\seinmal)
            |warteschlange\sverbleib|(?:noch|weiterhin)\s(?:\w+\s){0,3}?warteschlange
            |vorubergehend\w*\s(?:\w+\s){0,3}?(?:problem|fehler|storung)
            |wird\s(?:\w+\s){0,2}?weitere\s\d+\s(?:\w+\s){0,3}?versuch
            |(?:wir|server|system)\sversuch\w+\s(?:\w+\s){0,4}?(?:spater|erneut|noch\seinmal|nochmal
                |weiter)
            |antwortet\s(?:zurzeit|zur\szeit|derzeit|momentan|im\smoment)\snicht
        """,
        final=r"""
            dauerhaft|endgultig|permanent|aufgegeben|kein\w*\sweiter\w*\s(?:zustell)?versuch
            |versuche?\s(?:\w+\s){0,3}?nicht\s(?:mehr\s)?(?:unternommen|durchgefuhrt|gemacht)
            |nicht\sweiter\sversucht|abgebrochen|abgelaufen
        """,
    ),
    "fr": Words(
        failure=r"""
            n'a\s(?:pas\s)?(?:pu\s|ete\s)(?:\w+\s){0,2}?(?:remis|delivre|livre|distribue|envoye
                |transmis|achemine|joint)
            |non[\s-](?:remis|distribu|delivr|livr)
            |n'ont\spas\s(?:pu\s|ete\s)(?:\w+\s){0,2}?(?:remis|delivr|livr|distribu|joint)
            |n'est\spas\sparvenu
            |impossible\s(?:de\s|d'|a\s)(?:\w+\s){0,2}?(?:remettre|delivrer|distribuer|livrer
                |envoyer|acheminer|joindre|remis)
            |echec\s(?:\w+\s){0,3}?(?:remise|livraison|distribution|envoi|delivrance|message)
            |echec\sde|(?:remise|livraison|distribution)\s(?:\w+\s){0,5}?(?:echou|impossible)
            |(?:destinataire|adresse|boite|utilisateur|compte)\b.{0,40}?(?:inconnu|introuvable
                |n'existe|pleine|invalide|satur|desactiv)
            |(?:ete|est)\s(?:rejete|refuse)|erreur\s(?:\w+\s){0,2}?(?:remise|envoi|distribution)
            |aucun\s(?:utilisateur|destinataire|compte)\b|notification\sd'echec|pas\sreussi\sa\s(?:\w+\s)?(?:envoy|remett|delivr|distribu|achemin)
            |retour(?:ne|nee)?\sa\sl'expediteur
        """,
        delay=r"""
            retard|differ(?:e|ee)\b|(?:n'a|n'ont)\spas\sencore|pas\sencore\s(?:ete|pu)
            |tentatives?\s(?:\w+\s){0,5}?(?:continu|poursui|repet|auront\slieu)
            |(?:continuera|continuerons|continue\sa|poursuivra|poursuivrons|reessaiera
                |reessayera|reessaierons)
            |sera\s(?:\w+\s)?(?:retente|reessay)
            |nous\sallons\s(?:\w+\s)?(?:reessay|tenter|continuer)
            |inutile\sde\s(?:le\s|la\s)?(?:renvoyer|reexpedier)|simple\savertissement
            |(?:probleme|erreur)s?\stemporaire|(?:est|reste)\s(?:mis\s)?en\sattente
            |(?:effectuera|fera|ferons)\s(?:\w+\s){0,3}?tentative
            |prochaine?\s(?:essai|tentative)|suspendue?\spour\sl'instant
            |nouvelles?\stentatives?\s(?:de\s\w+\s)?ser(?:a|ont)
            |ne\srepond\spas\s(?:pour\s(?:le\smoment|l'instant)|actuellement)
            |n'avez\spas\sbesoin\sde\s(?:le\s|la\s)?(?:renvoyer|reexpedier)
        """,
        final=r"""
            permanent|definiti|abandonn|aucune\s(?:autre|nouvelle)\stentative
            |pas\sd'autres?\stentative|plus\s(?:aucune\s)?tentative
            |expire\b|expiree
        """,
    ),
    "nl": Words(
        failure=r"""
            (?:kon|kan|konden|kunnen|is|zijn|werd|wordt)\s(?:\w+\s){0,4}?niet\s
                (?:\w+\s){0,4}?(?:bezorg|aflever|afgelever|verzonden|verstuurd|gelever|bereik
                |doorgestuurd|geaccepteerd)
            |niet\s(?:bezorgd|afgeleverd|bestelbaar|bezorgbaar|geleverd)|onbestelbaar
            |(?:bezorg|aflever|lever)\w*\s(?:\w+\s){0,4}?(?:mislukt|fout|niet\sgelukt
                |onmogelijk)
            |(?:ontvanger|adres|postvak|postbus|mailbox|gebruiker|e-mailadres)\w*\s.{0,40}?
                (?:onbekend|bestaat\sniet|niet\sgevonden|vol\b|ongeldig)
            |geen\s(?:gebruiker|ontvanger|postvak)\b|geweigerd|afgewezen|niet\sgelukt\s(?:om\s)?(?:\w+\s){0,3}?te\s(?:bezorg|lever|aflever|verst
                |verzend)
            |retour\safzender|teruggestuurd|bestaat\sniet\smeer
        """,
        delay=r"""
            vertraag|vertraging
            |nog\sniet\s(?:\w+\s){0,4}?(?:bezorg|afgelever|gelever|verzonden|verstuurd)
            |uitgesteld|volgende\spoging|onderbroken|volg(?:t|en)\s(?:\w+\s)?nieuwe\spoging
            |(?:blijven|blijft|zullen|zal|wordt|worden)\s(?:\w+\s){0,5}?(?:proberen|geprobeerd
                |pogingen)
            |pogingen\s(?:\w+\s){0,4}?(?:voortgezet|herhaald)
            |hoeft\s(?:\w+\s){0,5}?niet\s(?:\w+\s){0,2}?opnieuw|slechts\seen\swaarschuwing
            |alleen\seen\swaarschuwing|tijdelijk\w*\s(?:\w+\s)?(?:probleem|fout|storing)
            |(?:staat|blijft)\s(?:\w+\s){0,3}?wachtrij|probeert\shet\s(?:nog|opnieuw|later)
        """,
        final=r"""
            permanent|definitief|opgegeven|geen\s(?:verdere|nieuwe)\spogingen
            |pogingen\s(?:\w+\s){0,2}?niet\s(?:meer\s)?(?:ondernomen|gedaan)
            |niet\s(?:meer|verder)\s(?:\w+\s)?geprobeerd|verlopen|verstreken
        """,
    ),
    "fi": Words(
        failure=r"""
            ei\s(?:\w+\s)?(?:voitu|voida|voi|pystytty|pystyta|onnistuttu|onnistunut|saatu)\s
                (?:\w+\s){0,4}?(?:toimit|perille|lahet|valit)
            |(?:toimitus|toimittaminen|toimittamisessa|toimitusvirhe|lahetys
                |lahettaminen)\w*\s?(?:\w+\s){0,3}?(?:epaonnist|virhe)
            |epaonnist|ei\s(?:ole\s)?toimitettu|toimittamat
            |(?:vastaanottaja|osoite|osoitetta|postilaatikko|kayttaja|kayttajaa
                |sahkopostiosoite)\w*\s(?:\S+\s){0,4}?(?:ei\sloy|ei\sole\solemassa|tuntematon
                |taynna|virheellinen)
            |ei\sloytynyt|toimitusvirhe|palautettu\slahettajalle|hylatty|hylkasi|hylannyt
            |(?:lahet|toimit|valit)\w*\s(?:\w+\s){0,3}?ei\sonnistu
            |ei\sole\senaa\s(?:kaytossa|olemassa|voimassa)|poistettu\skaytosta
        """,
        delay=r"""
            viivast|viivas|myohas|ei\s(?:ole\s)?(?:\w+\s){0,2}?viela
            |(?:yritetaan|yrittaa|yritamme|jatkaa|jatketaan|jatkamme|jatkuu|jatkuvat)\s
                (?:\w+\s){0,5}?(?:uudelleen|toimit|yrit|lahet)
            |yrityksia\sjatketaan|toimitusyrityk\w*\sjatk
            |ei\starvitse\s(?:\w+\s){0,3}?(?:lahett|uudelleen)|vain\svaroitus
            |seuraava\w*\syrity|keskeytetty\stoistaiseksi|(?:odottaa|on|pysyy)\s(?:\w+\s){0,3}?jonossa|tilapai\w+\s(?:\w+\s)?(?:ongelm|virhe|hairio)
        """,
        final=r"""
            pysyva|lopulli|luovuttu|ei\senaa\syrit
            |(?:uusia\s|enempaa\s)\w{0,12}yrityks\w+\sei|ei\syriteta\suudelleen|vanhentu
            |keskeytet\w*(?!\w*\stoistaiseksi)\b
        """,
    ),
    "es": Words(
        failure=r"""
            no\s(?:se\s)?(?:ha\s|han\s|pudo\s|puede\s|pudieron\s|pudimos\s|fue\s|es\s
                |hemos\s)(?:\w+\s){0,3}?(?:entreg|envia|enviar|llegar|localiz)
            |no\sentregad|no\sse\sentreg|imposible\s(?:\w+\s)?(?:entregar|enviar)
            |error\s(?:de|en\sla|al)\s(?:entreg|envi)
            |(?:entrega|envio)\s(?:\w+\s){0,4}?(?:fall|error|fracas|imposible)
            |fallo\s(?:de|en|al)\b|fallida|devuelto
            |(?:destinatario|direccion|buzon|usuario|cuenta)\b.{0,40}?(?:desconocid|no\sexiste
                |no\s(?:se\s(?:ha\s)?)?encontr|llen[oa]|no\svalid|invalid)
            |ningun\w*\s(?:usuario|destinatario|cuenta)|rechaz(?:ad|o\b)|no\s(?:\w+\s)?(?:llego|ha\sllegado)\s
        """,
        delay=r"""
            retras|demorad|aplazad|(?:todavia|aun)\sno\b|no\s(?:\w+\s){0,4}?(?:todavia|aun)\b
            |(?:seguir|continuar|volver)(?:a|an|emos)\s(?:a\s)?(?:intent|tratando)
            |(?:se\s)?reintentara|intentos\s(?:\w+\s){0,4}?(?:continuar|seguir)
            |no\s(?:es\snecesario|necesita|hace\sfalta)\s(?:\w+\s){0,3}?(?:reenv
                |volver\sa\senviar)
            |solo\s(?:es\s)?una\sadvertencia|(?:sigue|permanece|esta|continua)\sen\s(?:la\s)?cola
            |(?:problema|error|fallo)s?\stemporal|proximo\sintento|en\sespera
        """,
        final=r"""
            permanente|definitiv|abandonad
            |no\sse\s(?:realizaran|haran|hara)\s(?:\w+\s)?mas\sintentos
            |no\sse\s(?:volvera\sa\sintentar|intentara)\b|mas\sintentos\sde\sentrega\sno|caducad|expirad|ha\sdesistido
        """,
    ),
    "it": Words(
        failure=r"""
            (?:non|impossibile)\s(?:\w+\s){0,5}?(?:consegn|recapit|inviar|inviat|spedi|inoltr
                |raggiung)
            |(?:recapito|consegna|invio)\s(?:\w+\s){0,5}?(?:non\sriuscit|fallit|impossibil
                |errore)
            |mancat[oa]\s(?:recapito|consegna)
            |errore\s(?:di|nella|durante)\s(?:\w+\s)?(?:consegna|recapito|invio)
            |(?:destinatario|indirizzo|casella|utente|account)\b.{0,40}?(?:sconosciut
                |inesistente|non\sesiste|non\s(?:e\s)?(?:stat[oa]\s)?trovat|pien[ao]|non\svalid)
            |nessun\s(?:utente|destinatario|account)\b|respint|rifiutat|(?:restituit|ritornat|rispedit|rinviat)\w*\sal\smittente
        """,
        delay=r"""
            in\sritardo|ritardat|ritardo\s(?:nell|di|nel)|rinviat\w(?!\sal\smittente)|posticipat
            |non\s(?:\w+\s){0,3}?ancora|ancora\s(?:in\scoda|non)
            |(?:continuer|proseguir|riprover|ritenter)\w+
            |tentativi\s(?:\w+\s){0,4}?(?:continu|prosegu)
            |non\se'?\snecessario\s(?:\w+\s){0,3}?(?:inviar|rispedi|reinvi)|solo\sun\savviso
            |prossimo\stentativo|in\sattesa|(?:problema|errore)\stemporane|(?:e|resta|rimane)\s(?:\w+\s)?in\scoda
        """,
        final=r"""
            permanente|definitiv|rinunciat|abbandonat|nessun\s(?:altro|ulteriore)\stentativo
            |non\s(?:\w+\s){1,3}ulterior\w+\stentativ|ulterior\w+\stentativ\w+\snon
            |scadut
        """,
    ),
    "pt": Words(
        failure=r"""
            nao\s(?:foi|pode|puderam|pudemos|conseguiu|e)\s(?:\w+\s){0,4}?(?:entreg|envia)
            |(?:falha|erro)\s(?:\w+\s){0,3}?(?:entreg|envio)
            |entrega\s(?:\w+\s){0,3}?(?:falh|impossivel)|nao\sentregue
            |(?:destinatario|endereco|caixa|usuario|utilizador)\b.{0,40}?(?:desconhecid
                |nao\sexiste|nao\s(?:foi\s)?encontrad|chei[oa]|invalid)
            |devolvid|rejeitad
        """,
        delay=r"""
            atrasad|atraso|adiad|ainda\snao|continuara\w*\s(?:\w+\s){0,2}?(?:tent|entreg)
            |tentativas\s(?:\w+\s){0,4}?continuar
            |nao\s(?:e\snecessario|precisa)\s(?:\w+\s){0,2}?reenvi
        """,
        final=r"""
            permanente|definitiv|desisti|expirou|nao\shavera\smais\stentativas
            |nao\ssera\w*\s(?:\w+\s){0,2}?(?:nov\w+|mais)\stentativ
        """,
    ),
    "pl": Words(
        failure=r"""
            nie\s(?:mozna|moze|mogla|moglo|udalo|zostal\w*|dostarczon)\s?(?:\w+\s){0,4}?
                (?:dostarcz|dorecz|wysla)
            |niedostarczon|niedorecz|nie\sdostarczon
            |(?:blad|niepowodzenie)\s(?:\w+\s){0,2}?(?:dostarcz|dorecz)
            |(?:odbiorc|adres|skrzynk|uzytkownik)\w*\s.{0,40}?(?:nieznan|nie\sistnieje|pelna
                |przepeln|nieprawidlow)
            |zwrocon|odrzucon
        """,
        delay=r"""
            opoznion|opoznien|jeszcze\snie|nie\s(?:\w+\s){0,3}?jeszcze
            |(?:kolejn|ponown|dalsz)\w*\s(?:\w+\s)?prob
            |bedzie(?:my)?\s(?:\w+\s){0,3}?(?:ponaw|probow)
        """,
        final=r"""
            trwaly|trwale|ostateczn|zaprzestano|zaniechano|nie\sbedzie\swiecej\sprob
        """,
    ),
    "ru": Words(
        failure=r"""
            не\s(?:может\sбыть|было|удалось|могло\sбыть|были|был|смогли)\s(?:\w+\s){0,3}?достав
            |недоставлен|не\sдоставлен|недоставка|ошибка\sдоставки
            |(?:пользовател|получател|адрес|ящик)\w*\s.{0,40}?(?:не\sнаиден|не\sсуществует
                |переполнен|неизвест)
            |отклонен|возвращен
        """,
        delay=r"""
            задерж|(?:пока|еще)\sне\b|попытки\s(?:\w+\s){0,3}?(?:продолж|повтор)
            |будет\s(?:\w+\s){0,3}?повтор
        """,
        final=r"""
            окончательн|постоянн|прекращ|больше\sне\sбуд
        """,
    ),
    "ja zh ko": Words(
        failure=r"""
            配信(?:でき|不能|エラー|に失敗)|配達(?:でき|不能)|届けられません|届きません|送信できません|送信エラー
            |(?:ユーザ|宛先|アドレス).{0,12}?(?:不明|見つかり|存在しません)|受信拒否|エラーメール|退信|退件|投递失败|無法投遞|无法投递|发送失败
            |發送失敗|无法送达|未能送达|退回|传送失败|傳送失敗|반송|배달.{0,6}?(?:실패|못)|전송.{0,6}?실패
        """,
        delay=r"""
            遅延|遅れて|再送(?:を|し)|延迟|延遲|稍后重试|지연
        """,
        final=r"""
            永久|断念|放弃
        """,
    ),
}
"""By language, or by several that share their words."""

CODES = r"""
    \b55\d[\s-]+\#?5\.\d{1,3}\.\d{1,3}|<<<\s5\d\d|rcpt\sto:?.{0,120}?\b55\d\b
    |\b55\d[\s-].{0,60}?(?:user|mailbox|recipient|address|account|relay|denied|reject|unknown
        |action\snot\staken)
    |smtp\serror\scode\s5|\(\#5\.\d\.\d\)
"""
"""A server's own refusal, quoted in whatever language."""

IF = r"""
    \b(?:if|until|unless|should|in\scase|en\scas\sd|im\sfalle|en\scaso|in\scaso|in\sgeval|hvis|dersom|om\s(?:det|den|meddelandet|leveransen)|falls|sollte
        |wenn|s'il|si\s(?:le|la|elle|votre)|indien|als\s(?:de|het)|si\s(?:el|no)|se\s(?:il|la
        |non|a|o)|jos|jesli|jezeli|если)\b[^.!?]{0,200}
    |\b(?:not|no|non|kein\w*|nicht|ikke|inte|pas|niet|geen|nao)[\s-](?:\w+\s){0,2}?(?:permanent
        |definiti|dauerhaft)\w*
"""
"""What may come yet, or is denied: a warning tells what happens if the letter never arrives."""
NEARLY = r"""
    \b(?:almost|nearly|nesten|naesten|nastan|fast|beinahe|presque|bijna|lahes|melkein|casi|quasi
        |prawie)\s\w+|\b\d{1,2}\s?%\s\w+
"""
"""A mailbox that is nearly full has taken the letter."""
ARRIVED = r"""
    (?:has|have|was|were)\s(?:now|finally|since|meanwhile)\s(?:been\s)?(?:successfully\s)?
        delivered
"""
"""What was late is not any more."""
WHY = r"""
    unknown|unrecogni[sz]ed|not\s(?:recogni|found|listed|exist|valid|allowed|accept|known)
    |no\ssuch|does\sn[o']t?\s?(?:exist|have)|no\smailbox|full\b|quota|exceed|disabled|inactive
    |discontinued|invalid|reject|refus|denied|blocked|spam|policy|loop|time(?:d\s|-)?out|expired
    |unavailable|did\snot\srespond|host|network|connect|too\s(?:large|big|many)|ukjen|okand
    |ukendt|finnes\sikke|finns\sinte|findes\sikke|unbekannt|existiert|voll\b|inconnu|n'existe
    |pleine|onbekend|bestaat|tuntematon|ei\sloy|desconocid|no\sexiste|sconosciut|inesistente
    |desconhecid|nieznan|nie\sistnieje
"""
"""Words that stand in a reason, not in the sentence that a letter failed."""

TITLE = re.compile(
    r"^[ \t>*]*(?:subject|emne|ämne|betreff|objet|onderwerp|aihe|asunto|oggetto)\s*:\s*(.+)$",
    re.IGNORECASE | re.MULTILINE,
)
PREFIX = re.compile(
    r"^\s*(undeliverable|undelivered|non-?delivery|delivery failure|unzustellbar|nicht zustellbar|"
    r"ikke leverbar|kan ikke leveres|uleverbar|kunne ikke leveres|olevererat|kan inte levereras|"
    r"non remis|onbestelbaar|ei voi toimittaa|no se puede entregar|no entregado|"
    r"recapito non riuscito|impossibile recapitare|não entregue|niedostarczone)\s*:.*$",
    re.IGNORECASE,
)
"""Exchange puts the letter's own title behind one of these; nothing of it counts."""
RETURNED = re.compile(
    r"""^[\ \t]*(?:
        [-=*\#_|+~]{2,}[^\n]{0,40}?\b(?:
            original\ (?:message|mail)\b(?!\ was)|returned\ (?:message|mail)
            |copy\ of\ (?:the|your)
            |(?:message|mail)\ (?:headers?|body|text|follows)|headers?\ of|unsent\ message
            |forwarded\ message|ursprüngl\w+|originalnachricht|opprinnelig\w*
            |originalmeld\w+|message\ d'origine|oorspronkelijk\w*
            |mensaje\ original|messaggio\ originale)
        |(?:original\ message(?:\ headers?|\ follows)?|message\ headers?\ follow
            |below\ this\ line\ is
            |(?:the\ )?(?:headers?|first\ \d+\ lines|text|body)\ of\ (?:the|your)\ (?:original\ )?
                (?:message|mail)[^\n]{0,40}
            |(?:opprinnelige|ursprüngliche|oprindelige)\ [^\n]{0,40})\s*:?[\ \t]*$
        |(?:return-path|received|dkim-signature|x-mailer|mime-version):[\ \t])""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
"""Where the letter that came back begins."""
QUOTED = re.compile(r"^[ \t]*>(?![>]{1,2} )[^\n]*$", re.MULTILINE)
HEADER = re.compile(
    r"^(?:to|cc|from|subject|date|sent|rcpt to|til|fra|an|von|à|de|aan|van)\s*:", re.IGNORECASE
)
CODE = re.compile(r"\b[45]\.\d{1,3}\.\d{1,3}\b|(?:^|\W)[45]\d\d[ -]", re.ASCII)
ADDRESS = re.compile(r"[<\"(\[']*[^\s<>\"()\[\]:;,]{1,100}@[^\s<>\"()\[\]:;,]{1,255}[>\"')\]]*")
DATE = re.compile(r"^on \w{3}, [\d\w :,+-]{10,40}?[+-]\d{4}")
MARKUP = re.compile(r"</?[a-z][a-z0-9]{0,9}(?:\s[^<>]{0,200})?/?>", re.IGNORECASE)
XTEXT = re.compile(r"\+([0-9A-F]{2})")
QUOTED_PRINTABLE = re.compile(r"=(20|3D|0A|0D|[89A-F][0-9A-F])")
KIND = re.compile(
    r"^\s*(?:diagnostic-code:\s*)?(?:smtp|x-[\w-]{1,30}|unix|x400)\s*;\s*", re.IGNORECASE
)


def fold(text: str) -> str:
    """Text to look for words in: lower case, no accents, single spaces, one kind of apostrophe."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "'").replace("`", "'"))
    return " ".join("".join(c for c in plain if not unicodedata.combining(c)).casefold().split())


def _joined(*patterns: str) -> re.Pattern[str]:
    """One expression of many. Folding a pattern's words leaves its syntax: escapes are in lower
    case.
    """
    pieces = ("".join(pattern.split()) for pattern in patterns)
    plain = unicodedata.normalize("NFKD", "|".join(pieces))
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    return re.compile(letters.replace("ø", "o").replace("æ", "ae").replace("ł", "l"))


FAILURE = _joined(*(words.failure for words in LANGUAGES.values()), CODES)
DELAY = _joined(*(words.delay for words in LANGUAGES.values()))
FINAL = _joined(*(words.final for words in LANGUAGES.values()))
REFUSAL = _joined(CODES)
CONDITION = _joined(IF)
ALMOST = _joined(NEARLY)
AFTER_ALL = _joined(ARRIVED)
GROUNDS = _joined(WHY)


def above(text: str) -> str:
    """What the reporter says, above the letter that came back."""
    head = text[: 2 * LONGEST]
    returned = RETURNED.search(head)
    if returned is not None and head[: returned.start()].strip():
        head = head[: returned.start()]
    own = QUOTED.sub("", head)
    return TITLE.sub("", own)[:LONGEST]


def verdict(message: parse.Message, *, loosely: bool = True) -> str:
    """`FAILED`, `DELAYED`, or "" where the words say neither: also where it arrived late. Not
    `loosely`: only by phrases that nobody uses but mail systems.
    """
    text = "\n".join((_subject(message), above(message.text)))
    text = ALMOST.sub("", _letters(fold(text)))
    if DELAY.search(text):
        if AFTER_ALL.search(text):
            return ""
        return FAILED if FINAL.search(CONDITION.sub("", text)) else DELAYED
    if FAILURE.search(text):
        return FAILED
    return _by_stems(CONDITION.sub("", text)) if loosely else ""


def _by_stems(text: str) -> str:
    if stems.is_delay(text):
        return DELAYED
    return FAILED if stems.is_failure(text) else ""


def quotes_a_server(message: parse.Message) -> bool:
    """Whether the words repeat a server's own refusal: a person who is away does not."""
    return REFUSAL.search(_letters(fold(above(message.text)))) is not None


def reason(message: parse.Message) -> str:
    """Why, in the report's own words, on single spaces: the server's line, else what stands beside
    or under the address, else the sentence about the failure, else the Subject.
    """
    lines = [line.strip(" \t|*") for line in above(message.text).split("\n")]
    coded = next((at for at, line in enumerate(lines) if CODE.search(line)), None)
    if coded is not None:
        return decoded(_paragraph(lines, coded))
    beside = list(_beside_addresses(lines))
    sentences = [_paragraph(lines, at) for at, line in enumerate(lines) if _tells(line)]
    candidates = [*beside, *sentences]
    for candidate in candidates:
        if GROUNDS.search(_letters(fold(candidate))):
            return decoded(candidate)
    return decoded(candidates[0] if candidates else "")


def _beside_addresses(lines: list[str]) -> Iterator[str]:
    for at, line in enumerate(lines):
        address = ADDRESS.search(line)
        if address is None or HEADER.match(line):
            continue
        beside = DATE.sub("", line[address.end() :].strip(" .,:;-")).strip(" .,:;-")
        sentence = " ".join(part for part in (beside, _paragraph(lines, at + 1)) if part)
        if sum(letter.isalpha() for letter in sentence) > 3:
            yield sentence


def decoded(text: str) -> str:
    """A reason as a person reads it: without type, encoded words, HTML, xtext (RFC 3461 §4) and
    quoted-printable, on single spaces.
    """
    reason = header.words(KIND.sub("", text))
    reason = markup.unescaped(MARKUP.sub(" ", reason)).replace("\xa0", " ")
    for form in (XTEXT, QUOTED_PRINTABLE):
        # No prose has several of these and no space; a single one may be what it looks like.
        if len(form.findall(reason)) > 2 and (
            form is QUOTED_PRINTABLE or " " not in reason.strip()
        ):
            octets = form.sub(lambda match: chr(int(match[1], 16)), reason)
            reason = header.decode(octets.encode("latin-1", "replace"), "")
    return " ".join(header.clean(reason).split())[:REASON]


def _subject(message: parse.Message) -> str:
    """The Subject without the title of the letter that it is about."""
    subject = PREFIX.sub(r"\1", message.subject)
    encoded = [title for head in message.returned_headers for title in head.get("subject", ())]
    encoded += TITLE.findall(message.text[: 2 * LONGEST])
    for text in encoded:
        title = header.words(text).strip()
        if len(title) > 3:
            subject = subject.replace(title, "")
    return subject


def _letters(folded: str) -> str:
    return folded.replace("ø", "o").replace("æ", "ae").replace("ł", "l")


def _tells(line: str) -> bool:
    folded = _letters(fold(line))
    return bool(FAILURE.search(folded) or DELAY.search(folded))


def _paragraph(lines: list[str], start: int) -> str:
    """The lines from `start` to the next empty line or the next entry."""
    paragraph = list[str]()
    for line in lines[start : start + LINES]:
        if not line or (paragraph and (ADDRESS.match(line) or HEADER.match(line))):
            break
        if HEADER.match(line):
            continue
        paragraph.append(line)
    return " ".join(paragraph)
