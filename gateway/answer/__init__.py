"""What they said, and what it does. One comes in by `judge` with the values of `facts`; `reply`
comes to the conclusion about one row, for answers that a person enters.
"""
