"""One process around everything that goes on by itself:
roles, supervision, scheduled jobs, systemd, logs.
"""
