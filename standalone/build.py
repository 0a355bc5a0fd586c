# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""build.py >ipvs_probe.py: the probe as one file that needs neither Ansible nor this collection.

The files of plugins/module_utils that main.py needs are put into it as they are, in the order in which they need each other.
"""

from __future__ import annotations

import ast
import pathlib
import sys

import yaml

HERE = pathlib.Path(__file__).resolve().parent
PACKAGE = "ansible_collections.kubeproxy.ipvs.plugins.module_utils"
SOURCES = HERE.parent / "plugins/module_utils"
QUOTES = "'''"
TEMPLATE = """\
#!/usr/bin/env python3
# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The probe of the Ansible collection kubeproxy.ipvs {version}, as one file: python3 ipvs_probe.py --help
# What follows are the collection's own files, unchanged, and at the end what loads them.

SOURCES = []
{sources}
import sys
import types


def _module(name, is_package):
    module = types.ModuleType(name)
    if is_package:
        module.__path__ = []
    sys.modules[name] = module
    if "." in name:
        parent, own = name.rsplit(".", 1)
        setattr(sys.modules[parent], own, module)
    return module


def _load():
    steps = {package!r}.split(".")
    for count in range(1, len(steps) + 1):
        _module(".".join(steps[:count]), True)
    for name, source in SOURCES[:-1]:
        exec(compile(source, name + ".py", "exec", 0, True), _module({package!r} + "." + name, False).__dict__)
    name, source = SOURCES[-1]
    exec(compile(source, name + ".py", "exec", 0, True), {{"__name__": "__main__"}})


_load()
"""


def needed(source: str) -> list[str]:
    """The files of the package that a file needs, by name."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE + "."):
            names.append(node.module.removeprefix(PACKAGE + "."))
    return names


def in_order(source: str, done: dict[str, str] | None = None) -> dict[str, str]:
    """{name: text} of all files that SOURCE needs, each after those that it needs itself."""
    done = {} if done is None else done
    for name in needed(source):
        if name not in done:
            text = (SOURCES / f"{name}.py").read_text(encoding="ascii")
            in_order(text, done)
            done[name] = text
    return done


def script() -> str:
    """The whole file."""
    main = (HERE / "main.py").read_text(encoding="ascii")
    version = yaml.safe_load((HERE.parent / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    parts = []
    for name, text in {**in_order(main), "main": main}.items():
        if QUOTES in text:
            raise SystemExit(f"{name}.py has {QUOTES} in it, which quotes it in the script")
        parts.append(f"\nSOURCES.append(({name!r}, r{QUOTES}{text}{QUOTES}))\n")
    return TEMPLATE.format(version=version, sources="".join(parts), package=PACKAGE)


if __name__ == "__main__":
    sys.stdout.write(script())
