"""The invite gateway: calendar invitations by e-mail for the follow-ups of a CRM, and the answers
back into it.
"""

from gateway import zonedata as zonedata  # before anything asks for a time zone

__version__ = "0.1.0"
