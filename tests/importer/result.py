# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""result.py RESULT DIRECTORY: the importer has found all that the unpacked collection holds, with its documentation: what Galaxy shows of it."""

from __future__ import annotations

import json
import pathlib
import sys

# The folders of plugins with documentation, and what the importer calls what is in them. An action's documentation is its module's.
DOCUMENTED = {"modules": "module", "filter": "filter", "inventory": "inventory", "callback": "callback"}


def main(result_file: str, directory: str) -> None:
    result = json.loads(pathlib.Path(result_file).read_text(encoding="utf-8"))
    root = pathlib.Path(directory)
    shown = {(entry["content_type"], entry["content_name"]): entry for entry in result["docs_blob"]["contents"]}
    there = {(kind, path.stem) for folder, kind in DOCUMENTED.items() for path in (root / "plugins" / folder).glob("*.py")}
    roles = {path.name for path in (root / "roles").iterdir()}
    playbooks = {path.name for path in (root / "playbooks").glob("*.yml")}
    missing = sorted((there | {("role", name) for name in roles} | {("playbook", name) for name in playbooks}) - set(shown))
    assert not missing, f"not found by the importer: {missing}"

    silent = sorted(key for key in there if not (shown[key]["doc_strings"] or {}).get("doc"))
    assert not silent, f"without documentation: {silent}"
    assert all(shown["role", name]["readme_html"] for name in roles), "a role without a README"
    assert "<h1" in result["docs_blob"]["collection_readme"]["html"]
    assert result["requires_ansible"] == ">=2.16.0", result["requires_ansible"]
    print(f"galaxy-importer: {len(there)} documented plugins, {len(roles)} roles, {len(playbooks)} playbooks, no warning")


if __name__ == "__main__":
    main(*sys.argv[1:])
