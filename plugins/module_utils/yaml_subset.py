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

MAXIMUM_DEPTH = 50
_INTEGER = re.compile(r'^[-+]?(?:0|[1-9][0-9]{0,99})$')
_FLOAT = re.compile(r'^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+][0-9]+)?$')
_WORDS = {'': None, '~': None, 'null': None, 'Null': None, 'NULL': None}
_WORDS.update((word, True) for word in ('true', 'True', 'TRUE', 'yes', 'Yes', 'YES', 'on', 'On', 'ON'))
_WORDS.update((word, False) for word in ('false', 'False', 'FALSE', 'no', 'No', 'NO', 'off', 'Off', 'OFF'))
_ESCAPES = {
    'n': '\n',
    't': '\t',
    'r': '\r',
    '0': '\0',
    'a': '\a',
    'b': '\b',
    'e': '\x1b',
    'f': '\f',
    'v': '\v',
    ' ': ' ',
    '/': '/',
    '"': '"',
    '\\': '\\',
    '\t': '\t',
}
_WIDTHS = {'x': 2, 'u': 4, 'U': 8}

try:
    _character = unichr
except NameError:
    _character = chr

_ESCAPES.update((name, _character(number)) for name, number in (('N', 0x85), ('_', 0xA0), ('L', 0x2028), ('P', 0x2029)))
_REPLACEMENT = _character(0xFFFD)


class YamlError(ValueError):
    """Text that is not in the subset. The text names the line."""


def scalar(text):
    """A plain scalar as YAML 1.1 reads it: null, booleans, decimal numbers, else text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text


class _Line(object):
    """One line that is not empty: its number, indentation and content."""

    def __init__(self, number, indent, text):
        self.number, self.indent, self.text = number, indent, text


def _walk_escapes(text, number):
    """The text of a double-quoted scalar with its escapes resolved."""
    out, position = [], 0
    while position < len(text):
        character = text[position]
        position += 1
        if character != '\\':
            out.append(character)
            continue
        kind = text[position : position + 1]
        position += 1
        width = _WIDTHS.get(kind)
        if width:
            digits = text[position : position + width]
            position += width
            if not re.match(r'^[0-9a-fA-F]{%d}$' % width, digits) or int(digits, 16) > 0x10FFFF:
                raise YamlError('line %d: bad escape' % number)
            try:
                out.append(_character(int(digits, 16)))
            except ValueError:
                out.append(_REPLACEMENT)
        elif kind in _ESCAPES:
            out.append(_ESCAPES[kind])
        else:
            raise YamlError('line %d: unknown escape' % number)
    return ''.join(out)


def _end_of_quoted(text, start):
    """Position behind the closing quote of the scalar that begins at START, or -1."""
    quote, position = text[start], start + 1
    while position < len(text):
        if text[position] == '\\' and quote == '"':
            position += 2
        elif text[position] == quote:
            if quote == "'" and text[position + 1 : position + 2] == "'":
                position += 2
                continue
            return position + 1
        else:
            position += 1
    return -1


def _strip_comment(text):
    """TEXT without a comment: a # at the beginning or behind a blank, outside quotes."""
    position = 0
    while position < len(text):
        character = text[position]
        if character in '"\'' and (position == 0 or text[position - 1] in ' \t[{,:-'):
            end = _end_of_quoted(text, position)
            if end < 0:
                return text
            position = end
        elif character == '#' and (position == 0 or text[position - 1] in ' \t'):
            return text[:position].rstrip()
        else:
            position += 1
    return text.rstrip()


class _Flow(object):
    """A value in flow style, and quoted scalars: [a, b], {a: b}, "text"."""

    def __init__(self, text, number):
        self.text, self.number, self.position = text, number, 0

    def fail(self, what):
        raise YamlError('line %d: %s' % (self.number, what))

    def skip(self):
        while self.position < len(self.text):
            if self.text[self.position] in ' \t\n':
                self.position += 1
            elif self.text[self.position] == '#' and (self.position == 0 or self.text[self.position - 1] in ' \t\n'):
                end = self.text.find('\n', self.position)
                self.position = len(self.text) if end < 0 else end
            else:
                return

    def peek(self):
        return self.text[self.position : self.position + 1]

    def whole(self):
        """The only value of the text."""
        value = self.value(0)
        self.skip()
        if self.position != len(self.text):
            self.fail('more than one value')
        return value

    def value(self, depth, stops=''):
        if depth > MAXIMUM_DEPTH:
            self.fail('nested too deeply')
        self.skip()
        character = self.peek()
        if character == '[':
            return self.sequence(depth)
        if character == '{':
            return self.mapping(depth)
        if character and character in '"\'':
            return self.quoted()
        if character and character in '&*!|>%@`':
            self.fail('%s is not supported' % character)
        return scalar(self.plain(stops))

    def quoted(self):
        start = self.position
        end = _end_of_quoted(self.text, start)
        if end < 0:
            self.fail('a quote is not closed')
        self.position = end
        inner = self.text[start + 1 : end - 1]
        # A line break inside quotes is a blank, an empty line a break.
        inner = re.sub(r'[ \t]*\n[ \t]*(\n?)', lambda match: match.group(1) or ' ', inner)
        return inner.replace("''", "'") if self.text[start] == "'" else _walk_escapes(inner, self.number)

    def plain(self, stops):
        start = self.position
        while self.position < len(self.text):
            character = self.text[self.position]
            following = self.text[self.position + 1 : self.position + 2]
            if stops and (character in ',[]{}' or (character == ':' and following in ('', ' ', '\n', ',', ']', '}'))):
                break
            if character == '#' and self.position > start and self.text[self.position - 1] in ' \t\n':
                break
            self.position += 1
        return ' '.join(self.text[start : self.position].split())

    def sequence(self, depth):
        self.position += 1
        items = []
        while True:
            self.skip()
            if self.peek() == ']':
                self.position += 1
                return items
            if not self.peek():
                self.fail('a [ is not closed')
            item = self.value(depth + 1, ',]')
            self.skip()
            if self.peek() == ':':
                self.fail('a map without braces inside a list is not supported')
            items.append(item)
            if self.peek() == ',':
                self.position += 1
            elif self.peek() != ']':
                self.fail('a , or ] is missing')

    def mapping(self, depth):
        self.position += 1
        found = {}
        while True:
            self.skip()
            if self.peek() == '}':
                self.position += 1
                return found
            if not self.peek():
                self.fail('a { is not closed')
            key = self.value(depth + 1, ',}:')
            self.skip()
            value = None
            if self.peek() == ':':
                self.position += 1
                value = self.value(depth + 1, ',}')
                self.skip()
            if isinstance(key, (dict, list)):
                self.fail('a key that is no scalar is not supported')
            found[key] = value
            if self.peek() == ',':
                self.position += 1
            elif self.peek() != '}':
                self.fail('a , or } is missing')


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
            if not _strip_comment(inner):
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
            end = _end_of_quoted(text, 0)
            match = re.match(r'\s*:(?:\s+(.*)|$)', text[end:]) if end > 0 else None
            return (_Flow(text[:end], line.number).quoted(), match.group(1) or '') if match else None
        if text[0] in '[{&*!|>%@`#':
            return None
        if text.startswith('? '):
            self.fail(line.number, 'a key that is no scalar is not supported')
        match = re.match(r'([^#]*?)\s*:(?:[ \t]+(.*)|$)', text)
        if not match:
            match = re.match(r'((?:[^#]|(?<=\S)#)*?)\s*:(?:[ \t]+(.*)|$)', text)
        return (scalar(match.group(1)), match.group(2) or '') if match else None

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
        content = _strip_comment(rest)
        if content:
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
        parts = [_strip_comment(text)]
        if parts[0].endswith(':') or ': ' in parts[0]:
            self.fail(number, 'a map inside a value')
        while parts[0] == text.rstrip():
            line = self.current()
            if line is None or line.indent <= indent:
                break
            if self.key_of(line) is not None and not alone:
                self.fail(line.number, 'a key below a value')
            parts.append(_strip_comment(line.text))
            self.position += 1
        return scalar(parts[0]) if len(parts) == 1 else ' '.join(parts)

    def flow(self, text, indent, number):
        """A flow value, which may go on over several lines: there a # can stand inside quotes."""
        joined, index = text, number - self.first + 1
        while True:
            flow = _Flow(joined, number)
            try:
                value = flow.value(0)
                flow.skip()
                if flow.position != len(joined):
                    self.fail(number, 'more than one value')
                self.skip_to(index)
                return value
            except YamlError:
                while index < len(self.raw) and not self.raw[index].strip():
                    joined += '\n'
                    index += 1
                if index == len(self.raw):
                    raise
                content = self.raw[index].lstrip(' ')
                if len(self.raw[index]) - len(content) <= indent and content[0] not in ']}':
                    raise
                joined += '\n' + content
                index += 1

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


def parse_documents(text):
    """All documents of TEXT as maps, lists and scalars. Raises YamlError."""
    documents, lines, first = [], [], 1
    for number, line in enumerate(text.replace('\r\n', '\n').split('\n'), 1):
        if line.startswith(('%YAML', '%TAG')) and not lines:
            first = number + 1
            continue
        separator = re.match(r'(---|\.\.\.)(?:\s+(.*))?$', line)
        if separator:
            if any(kept.strip() for kept in lines) or line.startswith('...'):
                documents.append(_Block(lines, first).document())
            rest = separator.group(2) or ''
            lines, first = ([rest] if _strip_comment(rest) else ['']), number
            continue
        lines.append(line)
    if any(kept.strip() for kept in lines):
        documents.append(_Block(lines, first).document())
    return [document for document in documents if document is not None]


def parse(text):
    """The first document of TEXT, None if it is empty. Raises YamlError."""
    documents = parse_documents(text)
    return documents[0] if documents else None
