"""The pages of administrators, below /admin: letters, review, the brake, connections, users and
settings. Each does what a command of the command line does, by the same action.

Security: the whole of it asks for the right to operate (`entrance`); of what is private to others
no page says more than key, times and delivery (docs/api.md).
"""
