"""Whether mail can be sent to an address at all (RFC 5321 §4.1.2), by email-validator; no DNS is asked."""

from functools import lru_cache

from email_validator import EmailNotValidError, validate_email


@lru_cache(maxsize=10_000)
def problem(address: str) -> str:
    """Why this is no address, as a sentence; "" when it is one. `.local`, `.test` and single labels are real on real sites."""
    try:
        validate_email(address, check_deliverability=False, globally_deliverable=False, test_environment=True)
    except EmailNotValidError as error:
        return str(error)
    return ""
