"""Whether mail can be sent to an address at all (RFC 5321 §4.1.2), by email-validator; no DNS is
asked.

A local part beyond ASCII is none for us: it could stand in no header of a 7-bit letter (RFC 6531
would have to hold on the whole way).
"""

from functools import lru_cache

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

from gateway.i18n import Phrase, marked

# Refused by the library whatever it is told; the list is its published way to say otherwise. Sites
# have hosts below them.
for _real in ("local", "localhost"):
    if _real in SPECIAL_USE_DOMAIN_NAMES:
        SPECIAL_USE_DOMAIN_NAMES.remove(_real)

SENTENCES = frozenset(
    {
        marked("An email address must have an @-sign."),
        marked("There must be something before the @-sign."),
        marked("There must be something after the @-sign."),
        marked("An email address cannot have two periods in a row."),
        marked("An email address cannot start with a period."),
        marked("An email address cannot end with a period."),
        marked("An email address cannot have a period immediately before the @-sign."),
        marked("An email address cannot have a period immediately after the @-sign."),
        marked("An email address cannot have a hyphen immediately after the @-sign."),
        marked(
            "A display name and angle brackets around the email address are not permitted here."
        ),
        marked("A bracketed IP address after the @-sign is not allowed here."),
        marked("Quoting the part before the @-sign is not allowed here."),
        marked("An email address cannot end with a hyphen."),
        marked("An email address cannot have a period and a hyphen next to each other."),
        marked(
            "An email address cannot have two letters followed by two dashes immediately after the"
            " @-sign or after a period, except Punycode."
        ),
        marked(
            "The part after the @-sign is a special-use or reserved name that cannot be used with"
            " email."
        ),
        marked("There can't be anything after the email address."),
    }
)
"""What the library says without naming anything."""
RARE = (
    ("The email address is too long before", marked("Too much stands before the @-sign.")),
    ("The email address is too long after", marked("Too much stands after the @-sign.")),
    ("The email address is too long", marked("The email address is too long.")),
    ("After the @-sign", marked("Too much stands between two periods after the @-sign.")),
    ("The email address has the", marked("The @-sign is another character that looks like it.")),
    ("The part after the @-sign", marked("The part after the @-sign is not valid.")),
    ("", marked("It is not valid.")),
)
"""How its other sentences begin, which say numbers or what another library says."""
NAMING = {
    "The email address contains invalid characters before the @-sign": marked(
        "The email address contains invalid characters before the @-sign: %(characters)s"
    ),
    "Internationalized characters before the @-sign are not supported": marked(
        "Internationalized characters before the @-sign are not supported: %(characters)s"
    ),
    "The part after the @-sign contains invalid characters": marked(
        "The part after the @-sign contains invalid characters: %(characters)s"
    ),
}
"""What it says of some characters."""


@lru_cache(maxsize=10_000)
def problem(address: str) -> str:
    """Why this is no address, as a sentence; "" when it is one. `.local`, `.test` and single labels
    are real on real sites.
    """
    try:
        validate_email(
            address,
            allow_smtputf8=False,
            check_deliverability=False,
            globally_deliverable=False,
            test_environment=True,
        )
    except EmailNotValidError as error:
        return _phrase(str(error))
    return ""


def _phrase(sentence: str) -> str:
    """What the library says, so that pages can say it in another language."""
    what, _, characters = sentence.partition(": ")
    if what in NAMING:
        return Phrase(NAMING[what], characters=characters)
    rare = next(words for begin, words in RARE if sentence.startswith(begin))
    return Phrase(sentence if sentence in SENTENCES else rare)
