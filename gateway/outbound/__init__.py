"""From what is owed to what the mail server said: the planner and the sender, SMTP, retry."""
