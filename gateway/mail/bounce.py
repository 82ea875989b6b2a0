"""Delivery reports: what a mail server says of a letter of ours (RFC 3464), and what is made of those that say it in prose."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Report:
    """One recipient of one report. action: failed, delayed, delivered, relayed, expanded (RFC 3464 §2.3.3).

    recipient: `address.normal` form, "" where the report names nobody. status: enhanced code, "" where unknown.
    prose: read out of words, not out of fields: believed only for a row that the bounce address names.
    """

    recipient: str
    action: str
    status: str = ""
    diagnostic: str = ""
    prose: bool = False
