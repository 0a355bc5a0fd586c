# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write docs/kernels.md, docs/kube-proxy.md, docs/reference and a section of docs/support.md. What is not written any more of docs/reference is removed."""

from __future__ import annotations

import pathlib

import kernels_page
import kube_proxy_page
import reference_pages
import support_section

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
PAGES = {"kernels.md": kernels_page.page, "kube-proxy.md": kube_proxy_page.page, **reference_pages.PAGES}
# Pages of which a part is written.
SECTIONS = {"support.md": support_section.page}


def main() -> None:
    (DOCS / "reference").mkdir(exist_ok=True)
    for path in (DOCS / "reference").iterdir():
        if f"reference/{path.name}" not in PAGES:
            path.unlink()
    for name, page in (PAGES | SECTIONS).items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")


if __name__ == "__main__":
    main()
