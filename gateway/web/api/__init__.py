"""The HTTP API below /api/v1 (docs/api.md).

Come in by `table`, which lists the modules of routes; `routes` is how they are written, `asking` is
what each of them is given, `gate` stands before all of them, `problems` is how errors leave.
"""
