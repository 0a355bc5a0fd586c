# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of the controller that are replaced in one step: whoever reads one gets all of the old or all of the new."""

from __future__ import annotations

import os
import tempfile

MODE = 0o640


def replace_file(path: str, content: str) -> None:
    """Write the text CONTENT to PATH. Raises OSError, and then PATH is as it was."""
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(content)
        os.chmod(temporary, MODE)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
