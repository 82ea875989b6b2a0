"""From what is owed to what the mail server said: the planner and the sender, the letter's words
and looks, SMTP, retry.
"""
