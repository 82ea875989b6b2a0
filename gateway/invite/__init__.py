"""What we owe whom. One comes in by `plan` with the values of `owing`; beside it stand `reminders`,
`brake` and `identity`.
"""
