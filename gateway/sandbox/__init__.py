"""A small world to try the gateway in: a mail server, invitees that answer,
and a day of meetings (`make demo`).
"""
