"""How iCalendar is spelled, both ways. One comes in by `ics` and `blanks` to write, by `read` and
`outlook` to read, by `preflight` to check a finished letter, and by `zones` and `zonenames`.
"""
