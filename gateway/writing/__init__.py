"""A letter as people read it, and as the mail that leaves: a pure function of its frozen facts, the
account's settings and the site secret.

Come in by `render`. `news` is what happened since the reader's last letter, `wording` says it in
words, `repeats` a rule of recurrence; the templates only arrange.
"""
