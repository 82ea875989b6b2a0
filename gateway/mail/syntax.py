"""Whether mail can be sent to an address at all (RFC 5321 §4.1.2), by email-validator; no DNS is
asked.

A local part beyond ASCII is none for us: it could stand in no header of a 7-bit letter (RFC 6531
would have to hold on the whole way).
"""

from functools import lru_cache

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

# Refused by the library whatever it is told; the list is its published way to say otherwise. Sites
# have hosts below them.
for _real in ("local", "localhost"):
    if _real in SPECIAL_USE_DOMAIN_NAMES:
        SPECIAL_USE_DOMAIN_NAMES.remove(_real)


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
        return str(error)
    return ""
