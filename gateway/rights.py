"""Which right to a file this process lacks, in words for an administrator who may grant it: the
operating system says only "permission denied".
"""

import os
import pwd
from pathlib import Path


def barred(path: Path, *, write: bool = False) -> str:
    """Who may not do what to `path`: "this user (nobody) may not enter /etc/invite-gateway".

    "" where nothing bars that user, or it is no matter of rights. `write`: also into its folder,
    where SQLite keeps files beside its own.
    """
    folder = path.absolute().parent
    for outer in (*reversed(folder.parents), folder):
        if _closed(outer):
            return f"this user ({user()}) may not enter {outer}"
    try:
        path.stat()
    except OSError:
        return ""  # what else is wrong with it, the error says that led here
    if not os.access(path, os.R_OK | os.W_OK if write else os.R_OK):
        return f"this user ({user()}) may not {'read and write' if write else 'read'} {path}"
    if write and not os.access(folder, os.W_OK):
        return f"this user ({user()}) may not write in {folder}"
    return ""


def _closed(folder: Path) -> bool:
    """Looking up any name in a folder takes the right to enter it."""
    try:
        (folder / "..").lstat()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def user() -> str:
    """The name of the user that this process runs as; "uid 63009" for a number without a name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"
