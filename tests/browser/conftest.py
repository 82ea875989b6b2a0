"""How long a page may take to show what is expected: the machine may be busy with others."""

from playwright import async_api, sync_api

for one in (async_api, sync_api):
    one.expect.set_options(timeout=60_000.0)
