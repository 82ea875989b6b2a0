"""The invite gateway: calendar invitations by e-mail for the follow-ups of a CRM, and the answers
back into it.
"""

__version__ = "0.1.0"
