# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of the controller that are replaced in one step: whoever reads one gets all of the old or all of the new.

They tell a fleet's insides: nobody but their owner can write to them or their directories, whatever the umask is, and nobody reads them whom it keeps out.
"""

from __future__ import annotations

import os
import tempfile

MODE = 0o640
NOT_FOR_OTHERS = 0o022


def _umask() -> int:
    """What the process takes away from modes. To read it is to set it."""
    found = os.umask(0o077)
    os.umask(found)
    return found


def make_directory(path: str) -> None:
    """Make a directory, and those above it, where they are missing. Raises OSError."""
    former = os.umask(_umask() | NOT_FOR_OTHERS)
    try:
        os.makedirs(path, exist_ok=True)
    finally:
        os.umask(former)


def why_not_writable(path: str) -> str | None:
    """Why no files can be written into a directory, which may not exist yet, as far as that is seen without writing; None if nothing speaks against it."""
    present = os.path.abspath(path)
    while not os.path.lexists(present):
        present = os.path.dirname(present)
    if not os.path.isdir(present):
        return f"{present} is not a directory"
    return None if os.access(present, os.W_OK | os.X_OK) else f"nobody but its owner may write into {present}"


def replace_file(path: str, content: str) -> None:
    """Write the text CONTENT to PATH. Raises OSError, and then PATH is as it was."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
        os.chmod(temporary, MODE & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
