# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The pages that users read: their headings, links, code, and the commands in them."""

from __future__ import annotations

import functools
import json
import pathlib
import re
import shlex
from dataclasses import dataclass

import yaml
from markdown_it import MarkdownIt
from mdit_py_plugins.anchors import anchors_plugin

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "roles").glob("*/README.md"))]
PROGRAMS = ("ansible-playbook", "ansible-galaxy", "ansible-doc", "make")
SHELL_FENCES = ("", "sh", "bash", "console")
_BEGIN = re.compile(rf"(?:^|[\s/])((?:{'|'.join(PROGRAMS)}) .+|tests/\S+(?: .+)?)$")


@dataclass(frozen=True)
class Command:
    """A command as a page shows it: its words, without prompt and comment. page: its path in the checkout."""

    page: str
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        return self.words[0]

    def __str__(self):
        return shlex.join(self.words)


@functools.lru_cache(maxsize=None)
def tokens(path: pathlib.Path) -> list:
    """The page as markdown-it parses it, all levels in one list; headings have the anchors that GitHub gives them."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").use(anchors_plugin, max_level=6).parse(path.read_text(encoding="utf-8")):
        found += [token, *(token.children or [])]
    return found


def anchors(path: pathlib.Path) -> set[str]:
    """What may follow the # in a link to this page."""
    return {str(token.attrs["id"]) for token in tokens(path) if token.type == "heading_open"}


def links(path: pathlib.Path) -> list[str]:
    """Where the page's links lead."""
    return [str(token.attrs["href"]) for token in tokens(path) if token.type == "link_open"]


def code(path: pathlib.Path) -> list[tuple[str, str]]:
    """(language, text) of each piece of code on the page; the language of code inside a line is `inline`."""
    found = [token for token in tokens(path) if token.type in ("fence", "code_inline")]
    return [("inline" if token.type == "code_inline" else token.info.strip(), token.content) for token in found]


def _commands(path: pathlib.Path) -> list[Command]:
    found = []
    for language, text in code(path):
        if language not in (*SHELL_FENCES, "inline", "yaml"):
            continue
        for line in text.replace("\\\n", " ").splitlines():
            begin = _BEGIN.search(line.removeprefix("$ "))
            # In other code a command is one only at the beginning of the line, or where a pipeline's file has it.
            if not begin or (language != "yaml" and line.removeprefix("$ ").strip().find(begin.group(1)) not in (0, len("/opt/ansible/bin/"))):
                continue
            try:
                words = shlex.split(begin.group(1), comments=True)
            except ValueError:
                continue
            if len(words) > 1 or language in SHELL_FENCES:
                found.append(Command(path.relative_to(ROOT).as_posix(), tuple(words)))
    return found


def commands() -> list[Command]:
    """Each command once, in the order of the pages."""
    return list({command.words: command for path in PAGES for command in _commands(path)}.values())


def shown_after(command: Command) -> list[str]:
    """What the page shows of a command's output: the code after it, until the next command or other language."""
    blocks = [(token.info.strip(), token.content) for token in tokens(ROOT / command.page) if token.type == "fence"]
    at = next(number for number, (_language, text) in enumerate(blocks) if str(command) in text.replace("\\\n  ", ""))
    found = []
    for language, text in blocks[at + 1 :]:
        if language or text.startswith(PROGRAMS):
            break
        found.append(text)
    return found


def extra_variables(words) -> dict:
    """What -e and --extra-vars of these words set: NAME=VALUE or JSON; files (@FILE) are left out."""
    variables = {}
    for before, word in zip(words, words[1:]):
        if before not in ("-e", "--extra-vars") or word.startswith("@"):
            continue
        variables.update(json.loads(word) if word.startswith("{") else dict(part.split("=", 1) for part in shlex.split(word)))
    return variables


def yaml_of(page: str, begin: str):
    """The first YAML on a page that begins so (a comment with its name, for example)."""
    text = next(text for language, text in code(ROOT / page) if language == "yaml" and text.startswith(begin))
    return yaml.safe_load(text)
