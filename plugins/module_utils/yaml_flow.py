# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Scalars and flow style of the YAML subset: plain and quoted text, [lists], {maps}, and where comments begin."""

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


def end_of_quoted(text, start):
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


def strip_comment(text):
    """The beginning of a value without a comment: a # at the beginning or behind a blank, outside quotes.

    In a plain scalar quotes are letters like others.
    """
    quotes = '"\'' if text[:1] in '"\'[{' else ''
    position = 0
    while position < len(text):
        character = text[position]
        if character in quotes and (position == 0 or text[position - 1] in ' \t[{,:-'):
            end = end_of_quoted(text, position)
            if end < 0:
                return text
            position = end
        elif character == '#' and (position == 0 or text[position - 1] in ' \t'):
            return text[:position].rstrip()
        else:
            position += 1
    return text.rstrip()


def is_empty(text):
    """Whether there is nothing in TEXT but a comment."""
    return not text.strip() or text.lstrip(' \t').startswith('#')


class Flow(object):
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
        end = end_of_quoted(self.text, start)
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


class Extent(object):
    """How far a flow value or a quoted scalar goes: brackets and quotes that are open, after each line."""

    def __init__(self):
        self._depth, self._quote = 0, ''

    @property
    def is_closed(self):
        """Whether nothing is open."""
        return not self._depth and not self._quote

    def enter(self, line):
        """Go through the next line."""
        position, before = 0, ' '
        while position < len(line):
            character = line[position]
            if self._quote:
                if character == '\\' and self._quote == '"':
                    position += 1
                elif character == self._quote:
                    if character == "'" and line[position + 1 : position + 2] == "'":
                        position += 1
                    else:
                        self._quote = ''
            elif character in '"\'' and before in ' \t[{,:':
                self._quote = character
            elif character == '#' and before in ' \t':
                return
            else:
                self._depth += (character in '[{') - (character in ']}')
            before = character
            position += 1
