"""The beginning of an installation (`invite-gateway setup`): what is known of the mail servers that
people have, what is said of one's own, and the files that come of it.

One comes in by `presets.read`, `plan.made` and `files.write`; the questions stand in `cli.setup`.
"""
