"""What a sentence of a mail system says by the stems of its words, where no phrase of `prose` is
in it: languages have more ways to say it than a list of phrases has.

A sentence tells of a failure if it denies that something of mail arrives or exists, or says of
something of mail that it is wrong. It tells of a delay if it says that it goes on, or takes longer.
All words of it are of one language. Whose sentence may count is decided elsewhere.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LONGEST = 300
"""Characters of one sentence that are looked at."""
APART = 70
"""Characters that may stand between a denial and what is denied."""


@dataclass(frozen=True, slots=True)
class Stems:
    """Regular expressions over folded text, each of beginnings of words.

    thing: what a report is about. act: what is denied; deny: the denial. wrong: says it without
    one. later: it goes on, or takes longer.
    """

    thing: str
    act: str
    deny: str
    wrong: str
    later: str


LANGUAGES = (
    # English
    Stems(
        thing="message|e-?mails?|mail|deliver|recipient|address|mailbox|account|user|domain|host|attempt",
        act=r"deliver|sent|reach|arriv|accept|exist|found|process|relay|recogni|registered|make\sit|there",
        deny=r"not|\w+n't|cannot|never|no|nobody|unable",
        wrong=r"fail|reject|refus|unknown|invalid|exceed|bounced|blocked|abort|unsuccess|disabled"
        r"|virus|too\s(?:large|big)|denied|suspended|no\slonger|been\sremoved|discard|turned\sdown"
        r"|stopped|return\sit",
        later=r"pending|temporarily\s(?:un|not\s)|(?:is|are)\sretried|queued|longer\sthan"
        r"|next\s(?:one|attempt|try)\s(?:is|will|follows)|attempts\sgo\son|status\sdelayed",
    ),
    # Norwegian, Danish
    Stems(
        thing=r"melding|meddel|besked|e-?post|mail|sending|avsend|afsend|lever|utlever|mottaker"
        r"|modtager|adresse|postkasse|postboks|innboks|indbakke|kontoen|bruker|domene|server|\w*navn",
        act="lever|aflever|utlever|send|mulig|muligt|finn|find|eksist|godta|accept|framme?|frem|kjent"
        r"|kendt|kendes|registrer|gyldig|motta|modtage|na|naa|nadd|funnet|fundet|fant|i\sbru[kg]",
        deny="ikke|ikkje|ingen|intet|aldri|aldrig|umulig|umuligt",
        wrong="mislyk|feil|fejl|avvis|afvis|ukjen|ukend|ugyldig|sperret|stengt|lukket|nedlagt|for\\sstor"
        "|nekte|naegte|overskr|blokkert|blokeret|virus|stopp",
        later=r"forsink|venter\spa|midlertidig\w*\s(?:u|ikke)|nytt?\sforsok\s(?:gjor|folg|om)"
        r"|nyt\sforsog|proves\s(?:igjen|igen|pa\snytt)|tar\s(?:\w+\s)?lengre|tager\s(?:\w+\s)?laengere"
        r"|(?:ta|tar|tager)\slitt\stid|(?:enna|enda|endnu)\sikke|ikke\s(?:\w+\s){0,5}?(?:enna|enda|endnu)",
    ),
    # Swedish
    Stems(
        thing=r"meddel|e-?post|mail|mejl|brev|lever|adress|mottagar|kontot|anvandar|doman|server|\w*lada",
        act=r"lever|skick|sand|mojlig|finn|exist|godta|accept|fram|kand|registrer|giltig|na|nadd|hitta|i\sbruk",
        deny="inte|ej|ingen|inget|aldrig|omojlig",
        wrong="misslyck|fel|avvis|okand|ogiltig|sparrat|stangt|avslut|nekad|vagra|for\\sstor|overskrid"
        "|blockera|virus|stoppa",
        later=r"forsena|koas|tillfallig\w*\s(?:o|inte)|nytt\sforsok\s(?:gors|sker|om)|tar\slangre"
        r"|vantar\spa|(?:annu|fortfarande)\sinte|inte\s(?:\w+\s){0,5}?annu",
    ),
    # German
    Stems(
        thing=r"nachricht|e-?mail|mail|zustell|ubermittl|versand|empfanger|adresse|postfach|konto|benutzer"
        r"|domain|server|speicher|sendung",
        act=r"zustell|zugestell|gesend|gesandt|versand|ubermitt|ubergeb|existier|gibt|angenomm|annehm"
        r"|akzept|erreich|gefund|bekannt|vorhand|moglich|weiterleit|ausgeliefer|verwendet",
        deny=r"nicht|kein\w*|nie|niemand|unmoglich",
        wrong=r"fehlgeschlag|gescheiter|abgelehnt|abgewies|zuruckgewies|verweiger|unbekannt|ungultig"
        r"|gesperrt|deaktiv|uberschritt|erschopft|zu\sgross|blockiert|fehler|virus|gestoppt|zuruck|eingestellt",
        later=r"bislang|bisher|vorubergehend\snicht|neuer\sversuch|(?:wird|werden)\s(?:\w+\s)?wiederholt"
        r"|dauert\slanger|verzoger|noch\snicht|warteschlange",
    ),
    # French
    Stems(
        thing=r"message|e-?mail|courriel|mail|envoi|remise|livraison|destinataire|adresse|boite|compte"
        r"|utilisateur|domaine|serveur|quota",
        act=r"remis|remett|envoy|livr|distribu|achemin|arriv|parven|exist|accept|trouv|connu|possible"
        r"|joint|joindre|delivr|transmis|utilise",
        deny=r"pas|n'(?:existe|est)|aucun\w*|jamais|impossible|plus",
        wrong=r"echou|echec|rejet|refus|inconnu|invalid|introuvable|depass|satur|bloque|desactiv|erreur"
        r"|suspendu|virus",
        later=r"temporairement|prochain\w*\s(?:essai|tentative)|d'autres\s(?:essais|tentatives)"
        r"|nouvel\sessai|toujours\spas|plus\sde\stemps|retard|pas\sencore",
    ),
    # Dutch
    Stems(
        thing=r"bericht|e-?mail|mail|bezorg|verzend|ontvanger|geadresseerde|adres|postvak|postbus|mailbox"
        r"|gebruiker|domein|server|quotum|account",
        act=r"bezorg|afgelever|aflever|verzond|verstuur|aangekom|bereik|besta|gevond|bekend|geaccepteer"
        r"|accepte|mogelijk|er\sis|in\sgebruik",
        deny=r"niet|geen|nooit|onmogelijk",
        wrong=r"mislukt|geweiger|afgewez|onbekend|ongeldig|overschred|te\sgroot|geblokkeer|fout|virus"
        r"|opgeheven|afgesloten|tegengehouden",
        later=r"tijdelijk\s(?:niet|on)|nieuwe\spoging|nog\sniet|vertra|wachtrij|duurt\slanger",
    ),
    # Finnish
    Stems(
        thing=r"viesti|sahkopost|posti|toimitus|lahet|vastaanottaj|osoit|kayttaj|verkkotunnu|palvelin"
        r"|kiintio|tili|postilaatik",
        act=r"toimit|lahete|lahety|valit|menn|perill|olemassa|loyd|loyt|tunne|hyvaksy|vastaanot|onnistu"
        r"|mahdol",
        deny=r"ei|eika|eivat",
        wrong=r"epaonnist|hyla|kieltay|tuntemat|virhe|ylitty|ylittaa|suljettu|esti|estetty|virus|taynna",
        later=r"uusi\syritys|tilapai|lahetysjono|jonossa|viela|viivas|myohas|kestaa\skauemmin",
    ),
    # Spanish
    Stems(
        thing=r"mensaje|correo|e-?mail|mail|envio|entrega|destinatari|direccion|buzon|cuenta|usuario"
        r"|dominio|servidor|cuota",
        act=r"entreg|envi|llegad|llego|exist|acept|encontr|conoc|posible|recib|utiliz",
        deny=r"no|ningun\w*|nunca|imposible",
        wrong=r"fall(?:ado|o|ida)|rechaz|desconoc|invalid|superad|excedi|demasiado\sgrande|bloquead|error"
        r"|suspendid|virus|llen[oa]\b",
        later=r"temporalmente|proximo\sintento|nuevo\sintento|tardando|tarda\smas|todavia|retras",
    ),
    # Italian
    Stems(
        thing=r"messaggio|e-?mail|mail|posta|invio|consegna|recapito|destinatario|indirizzo|casella"
        r"|account|utente|dominio|server|quota",
        act=r"consegn|recapit|inviat|inviar|arrivat|esist|accett|trovat|conosc|possibil|raggiun|in\suso",
        deny=r"non|nessun\w*|mai|impossibile",
        wrong=r"fallit|respint|rifiut|sconosciut|non\svalid|superat|troppo\sgrand|bloccat|errore|sospes"
        r"|disattivat|virus|pien[ao]\b",
        later=r"temporaneamente|prossim\w*\stentativ|nuov\w*\stentativ|richiede\spiu|ancora|ritard",
    ),
)
CODE = re.compile(r"\b[45]\d\d\b|\b[45]\.\d{1,3}\.\d")
END = re.compile(r"[.!?;:](?:\s|$)")


def _begins(stems: str) -> str:
    return rf"\b(?:{stems})"


def _failure(stems: Stems) -> str:
    """What is wrong, or a denial near what it denies, in either order."""
    deny, act = rf"\b(?:{stems.deny})(?!\w)", _begins(stems.act)
    denied = rf"{deny}.{{0,{APART}}}?{act}|{act}.{{0,{APART}}}?{deny}"
    return f"{_begins(stems.wrong)}|{denied}"


Sign = tuple[re.Pattern[str], re.Pattern[str]]
"""What a sentence has both of: a thing, and what is said of it."""


def _sign(stems: Stems, said: str) -> Sign:
    return re.compile(_begins(stems.thing)), re.compile(said)


FAILURES = tuple(_sign(stems, _failure(stems)) for stems in LANGUAGES)
DELAYS = tuple(_sign(stems, _begins(stems.later)) for stems in LANGUAGES)


def is_failure(text: str) -> bool:
    """Whether a sentence of this folded text (`prose.fold`) says that a letter failed."""
    return any(_has(sentence, FAILURES) for sentence in _sentences(text))


def is_delay(text: str) -> bool:
    """Whether one says that a letter is late. What a server said in its codes is a reason."""
    return any(_has(sentence, DELAYS) for sentence in _sentences(text) if not CODE.search(sentence))


def _has(sentence: str, signs: Iterable[Sign]) -> bool:
    return any(thing.search(sentence) and said.search(sentence) for thing, said in signs)


def _sentences(text: str) -> Iterator[str]:
    for sentence in END.split(text):
        for at in range(0, len(sentence), LONGEST):
            yield sentence[at : at + LONGEST]
