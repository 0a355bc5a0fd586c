# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The YAML that Kubernetes' own files use, for nodes whose Python has no YAML library.

Block and flow maps and lists, plain and quoted scalars, comments, literal and folded text, several documents, and JSON.
Anchors, tags and complex keys are refused: YamlError names the line.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_flow import (
    MAXIMUM_DEPTH,
    Extent,
    Flow,
    YamlError,
    end_of_quoted,
    is_empty,
    scalar,
    strip_comment,
)

_COLON = re.compile(r':(?=[ \t]|$)')
_COMMENT = re.compile(r'(?:^|(?<=\s))#')


class _Line(object):
    """One line that is not empty: its number, indentation and content."""

    def __init__(self, number, indent, text):
        self.number, self.indent, self.text = number, indent, text


class _Block(object):
    """The lines of one document."""

    def __init__(self, raw, first):
        self.raw, self.first = raw, first
        self.lines = []
        for offset, text in enumerate(raw):
            content = text.lstrip(' ')
            if content.strip() and not content.startswith('#'):
                self.lines.append(_Line(first + offset, len(text) - len(content), content))
        self.position = 0

    def current(self):
        return self.lines[self.position] if self.position < len(self.lines) else None

    def fail(self, number, what):
        raise YamlError('line %d: %s' % (number, what))

    def document(self):
        if not self.lines:
            return None
        value = self.node(self.lines[0].indent, 0)
        line = self.current()
        if line is not None:
            self.fail(line.number, 'unexpected indentation')
        return value

    def node(self, indent, depth):
        """The value whose lines begin at the present one, indented by INDENT."""
        line = self.current()
        if depth > MAXIMUM_DEPTH:
            self.fail(line.number, 'nested too deeply')
        if line.text == '-' or line.text.startswith('- '):
            return self.sequence(indent, depth)
        if self.key_of(line) is not None:
            return self.mapping(indent, depth)
        return self.scalar_lines(line.text, indent - 1, line.number, True)

    def sequence(self, indent, depth):
        items = []
        while True:
            line = self.current()
            if line is None or line.indent != indent or not (line.text == '-' or line.text.startswith('- ')):
                if line is not None and line.indent > indent:
                    self.fail(line.number, 'unexpected indentation')
                return items
            rest = line.text[1:]
            inner = rest.lstrip(' ')
            if is_empty(inner):
                self.position += 1
                following = self.current()
                items.append(self.node(following.indent, depth + 1) if following is not None and following.indent > indent else None)
                continue
            # What follows the dash is a block of its own, indented by where it stands.
            width = 1 + len(rest) - len(inner)
            self.lines[self.position] = _Line(line.number, indent + width, inner)
            if inner == '-' or inner.startswith('- ') or self.key_of(self.lines[self.position]) is not None:
                items.append(self.node(indent + width, depth + 1))
            else:
                items.append(self.scalar_lines(inner, indent, line.number, True))

    def key_of(self, line):
        """(key, rest of the line) of `key: rest`, or None."""
        text = line.text
        if text[0] == '\t':
            self.fail(line.number, 'a tab indents')
        if text[0] in '"\'':
            end = end_of_quoted(text, 0)
            match = re.match(r'\s*:(?:\s+(.*)|$)', text[end:]) if end > 0 else None
            return (Flow(text[:end], line.number).quoted(), match.group(1) or '') if match else None
        if text[0] in '[{&*!|>%@`#':
            return None
        if text.startswith('? '):
            self.fail(line.number, 'a key that is no scalar is not supported')
        colon = _COLON.search(text)
        if colon is None or _COMMENT.search(text, 0, colon.start()):
            return None
        return scalar(text[: colon.start()].rstrip()), text[colon.end() :].lstrip(' \t')

    def mapping(self, indent, depth):
        found = {}
        while True:
            line = self.current()
            if line is None or line.indent < indent:
                return found
            if line.indent > indent:
                self.fail(line.number, 'unexpected indentation')
            if line.text == '-' or line.text.startswith('- '):
                self.fail(line.number, 'a list inside a map')
            pair = self.key_of(line)
            if pair is None:
                self.fail(line.number, 'neither a key nor a value')
            key, rest = pair
            found[key] = self.value_of(rest, indent, line, depth)

    def value_of(self, rest, indent, line, depth):
        """The value of a key whose line ends with REST."""
        if not is_empty(rest):
            return self.scalar_lines(rest, indent, line.number, False)
        self.position += 1
        following = self.current()
        if following is None:
            return None
        if following.indent > indent:
            return self.node(following.indent, depth + 1)
        # A list may stand as far left as its key.
        if following.indent == indent and (following.text == '-' or following.text.startswith('- ')):
            return self.sequence(indent, depth + 1)
        return None

    def scalar_lines(self, text, indent, number, alone):
        """A scalar or flow value that begins with TEXT on the present line and goes on below while indented by more than INDENT."""
        self.position += 1
        if text[0] in '|>':
            return self.literal(text, indent, number)
        if text[0] in '&*!%@`':
            self.fail(number, '%s is not supported' % text[0])
        if text[0] in '[{"\'':
            return self.flow(text, indent, number)
        parts = [strip_comment(text)]
        if parts[0].endswith(':') or ': ' in parts[0]:
            self.fail(number, 'a map inside a value')
        while parts[0] == text.rstrip():
            line = self.current()
            if line is None or line.indent <= indent:
                break
            if self.key_of(line) is not None and not alone:
                self.fail(line.number, 'a key below a value')
            parts.append(strip_comment(line.text))
            self.position += 1
        return scalar(parts[0]) if len(parts) == 1 else ' '.join(parts)

    def flow(self, text, indent, number):
        """A flow value or a quoted scalar, which may go on over several lines: there a # can stand inside quotes."""
        parts, index, extent = [text], number - self.first + 1, Extent()
        extent.enter(text)
        while not extent.is_closed and index < len(self.raw):
            content = self.raw[index].lstrip(' ')
            if content.strip() and len(self.raw[index]) - len(content) <= indent and content[0] not in ']}':
                break
            parts.append(content if content.strip() else '')
            extent.enter(content)
            index += 1
        flow = Flow('\n'.join(parts), number)
        value = flow.whole()
        self.skip_to(index)
        return value

    def skip_to(self, index):
        """Go on with the line at INDEX of the document."""
        while self.current() is not None and self.current().number < self.first + index:
            self.position += 1

    def literal(self, text, indent, number):
        """| and >: the lines below that are indented by more than INDENT, as they stand."""
        header = re.match(r'([|>])([-+]?)([1-9]?)([-+]?)\s*(?:#.*)?$', text)
        if not header:
            self.fail(number, 'bad block scalar')
        keep = header.group(2) or header.group(4)
        lines, index = [], number - self.first + 1
        width = indent + int(header.group(3)) if header.group(3) and indent >= 0 else None
        while index < len(self.raw):
            line = self.raw[index]
            stripped = line.lstrip(' ')
            if stripped.strip():
                here = len(line) - len(stripped)
                if here <= indent or (width is not None and here < width):
                    break
                width = here if width is None else width
            lines.append(line)
            index += 1
        self.skip_to(index)
        body = [line[width:] if width is not None else '' for line in lines]
        joined = '\n'.join(body) if header.group(1) == '|' else _fold(body)
        trimmed = joined.rstrip('\n')
        if keep == '+':
            return '\n'.join(body) + ('\n' if body else '')
        return trimmed + ('' if keep == '-' or not trimmed else '\n')


def _fold(lines):
    """Lines of a folded scalar: a single break is a blank, but not beside an empty or more indented line."""
    out = ''
    for position, line in enumerate(lines):
        if position == 0:
            out = line
        elif line and lines[position - 1] and line[0] not in ' \t' and lines[position - 1][0] not in ' \t':
            out += ' ' + line
        elif line and not lines[position - 1] and line[0] not in ' \t':
            out += line if out.endswith('\n') else '\n' + line
        else:
            out += '\n' + line
    return out


def parse_documents(text, first=1):
    """All documents of TEXT as maps, lists and scalars. first: number of its first line, for errors. Raises YamlError."""
    documents, lines = [], []
    for number, line in enumerate(text.replace('\r\n', '\n').split('\n'), first):
        if line.startswith(('%YAML', '%TAG')) and not lines:
            first = number + 1
            continue
        separator = re.match(r'(---|\.\.\.)(?:\s+(.*))?$', line)
        if separator:
            if any(kept.strip() for kept in lines) or line.startswith('...'):
                documents.append(_Block(lines, first).document())
            rest = separator.group(2) or ''
            lines, first = ([''] if is_empty(rest) else [rest]), number
            continue
        lines.append(line)
    if any(kept.strip() for kept in lines):
        documents.append(_Block(lines, first).document())
    return [document for document in documents if document is not None]


def parse(text, first=1):
    """The first document of TEXT, None if it is empty. first: number of its first line, for errors. Raises YamlError."""
    documents = parse_documents(text, first)
    return documents[0] if documents else None
