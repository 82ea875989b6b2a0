"""The checks of `invite-gateway doctor`: is everything right here, and what is to be done where it
is not.

One comes in by `examination.examine`. Its two lists name every check in order; each check is a
function that returns its lines, and docs/operations.md has a row for each.
"""
