# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mode in the text of a KubeProxyConfiguration: where it stands, and the same text with another one.

Only that one word changes. Comments, order, quotes, indentation, line ends and a byte order mark stay as they are.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible.module_utils.common.text.converters import to_native, to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.line_edits import changed_lines
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_flow import Flow, end_of_quoted, is_empty, strip_comment
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_subset import YamlError, parse

KIND = 'KubeProxyConfiguration'
BYTE_ORDER_MARK = to_text(b'\xef\xbb\xbf')
# What YAML takes for the end of a line and the system does not, and what no YAML may hold (YAML 1.1, 5.1 and 5.4).
_STRANGE = re.compile(to_text(b'[\x00-\x08\x0b-\x1f\x7f\xc2\x85\xe2\x80\xa8\xe2\x80\xa9\xef\xbb\xbf]'))


class ModeError(ValueError):
    """A text in which the mode cannot be changed. line: where, counted from 1, or None; the text names it too."""

    def __init__(self, what, line=None):
        ValueError.__init__(self, to_native('line %d: %s' % (line, what) if line else what))
        self.line = line


class _Document(object):
    """One document of a text: the numbers of its lines, which are those of the whole text, and its value."""

    def __init__(self, lines, start):
        self.lines, self.start = lines, start
        self.value = self.read(lines)

    def read(self, lines):
        """The value of LINES in place of this document's."""
        try:
            return parse('\n'.join(lines), self.start + 1)
        except YamlError as error:
            found = re.match(r'line (\d+): (.*)', to_text(error))
            raise ModeError(found.group(2), int(found.group(1))) if found else ModeError(to_text(error))

    def contents(self):
        """(index, indentation) of the lines that hold more than a comment."""
        for index, line in enumerate(self.lines):
            text = line.lstrip(' ')
            if text.strip() and not text.startswith('#'):
                yield index, len(line) - len(text)


def _documents(lines):
    """The _Documents that LINES hold. Marks of documents are blanked out, so that each column stays where it is."""
    found, current, start = [], [], 0
    for index, line in enumerate(lines):
        if re.match(r'(---|\.\.\.)(\s|$)', line):
            found.append(_Document(current, start))
            current, start = ['   ' + line[3:]], index
        elif line.startswith(('%YAML', '%TAG')) and not any(kept.strip() for kept in current):
            current.append('')
        else:
            current.append(line)
    found.append(_Document(current, start))
    return found


def _find_document(documents):
    found = [document for document in documents if isinstance(document.value, dict) and document.value.get('kind') == KIND]
    if not found:
        raise ModeError('no document of the kind %s' % KIND)
    if len(found) > 1:
        raise ModeError('a second document of the kind %s' % KIND, found[1].start + 1)
    return found[0]


def _is_text(value):
    return hasattr(value, 'strip')


def _key(name):
    return re.compile(r'''( *)(?:%s|"%s"|'%s')[ \t]*:(?=[ \t]|$)''' % (name, name, name))


class _Block(object):
    """A document in block style: each key of its map on a line of its own."""

    def __init__(self, document):
        self.document = document
        self.contents = list(document.contents())
        self.indent = self.contents[0][1]

    def _places(self, name):
        """(position in the contents, index of the line, end of the key) of each line with this key of the document's own map."""
        found = []
        for position, (index, indent) in enumerate(self.contents):
            match = _key(name).match(self.document.lines[index])
            if match and indent == self.indent:
                found.append((position, index, match.end()))
        return found

    def keys(self):
        """The numbers of the lines with the key `mode`."""
        return [self.document.start + index + 1 for dummy, index, dummy in self._places('mode')]

    def changed(self, mode):
        """The lines with the mode replaced."""
        position, index, end = self._places('mode')[0]
        line, number = self.document.lines[index], self.document.start + index + 1
        following = self.contents[position + 1:position + 2]
        start = end + len(line[end:]) - len(line[end:].lstrip(' \t'))
        if line[start:start + 1] in ('"', "'"):
            stop = end_of_quoted(line, start) - 1
            start += 1
            if stop < 0:
                raise ModeError('the mode goes on in the next line', number)
            new = line[:start] + mode + line[stop:]
        else:
            if following and following[0][1] > self.indent:
                raise ModeError('the mode does not stand on one line with its key', number)
            rest = line[start:]
            if is_empty(rest):
                new = line[:end] + ' ' + mode + line[end:]
            else:
                new = line[:start] + mode + rest[len(strip_comment(rest)):]
        return self.document.lines[:index] + [new] + self.document.lines[index + 1:]

    def inserted(self, mode):
        """The lines with a mode below the kind."""
        places = self._places('kind')
        if len(places) != 1:
            raise ModeError('the key kind stands where it is not looked for', self.document.start + self.contents[0][0] + 1)
        index = places[0][1] + 1
        return self.document.lines[:index] + [' ' * self.indent + 'mode: ' + mode] + self.document.lines[index:]


class _FlowStyle(object):
    """A document in flow style, as JSON is."""

    def __init__(self, document):
        self.document = document
        self.text = '\n'.join(document.lines)
        # (name, where its key begins, where its key ends, where its value begins and ends)
        self.entries = list(self._read())

    def _read(self):
        flow = Flow(self.text, self.document.start + 1)
        flow.skip()
        flow.position += 1
        while True:
            flow.skip()
            if flow.peek() in ('}', ''):
                return
            begin = flow.position
            name = flow.value(1, ',}:')
            key_end = begin + len(self.text[begin:flow.position].rstrip())
            flow.skip()
            start = end = flow.position
            if flow.peek() == ':':
                flow.position += 1
                flow.skip()
                start = flow.position
                flow.value(1, ',}')
                end = start + len(self.text[start:flow.position].rstrip())
                flow.skip()
            yield name, begin, key_end, start, end
            if flow.peek() == ',':
                flow.position += 1

    def _line(self, position):
        return self.document.start + self.text.count('\n', 0, position) + 1

    def keys(self):
        """The numbers of the lines with the key `mode`."""
        return [self._line(begin) for name, begin, dummy, dummy, dummy in self.entries if name == 'mode']

    def changed(self, mode):
        """The lines with the mode replaced."""
        dummy, begin, key_end, start, end = [entry for entry in self.entries if entry[0] == 'mode'][0]
        old, quote = self.text[start:end], self.text[begin] if self.text[begin] in '"\'' else ''
        if '\n' in old:
            raise ModeError('the mode stands on several lines', self._line(begin))
        if old[:1] in ('"', "'"):
            new = old[0] + mode + old[0]
        else:
            new = quote + mode + quote
        if not old:
            # A key alone, or with a colon and nothing else.
            new = (' ' if ':' in self.text[key_end:start] else ': ') + new
            start = end = key_end + (self.text[key_end:start].index(':') + 1 if ':' in self.text[key_end:start] else 0)
        return (self.text[:start] + new + self.text[end:]).split('\n')

    def inserted(self, mode):
        """The lines with a mode before the first key."""
        dummy, begin, key_end, start, dummy = self.entries[0]
        quote = self.text[begin] if self.text[begin] in '"\'' else ''
        blank = ' ' if not quote or start > key_end + 1 else ''
        new = quote + 'mode' + quote + ':' + blank + quote + mode + quote + ','
        before = self.text[self.text.rfind('\n', 0, begin) + 1:begin]
        if '\n' in self.text[:begin] and not before.strip():
            new += '\n' + before
        else:
            new += blank
        return (self.text[:begin] + new + self.text[begin:]).split('\n')


def _style_of(document):
    first = next(document.contents())[0]
    return (_FlowStyle if document.lines[first].lstrip(' ').startswith('{') else _Block)(document)


def _split(text):
    """(byte order mark or '', lines, a carriage return or '' for each)."""
    mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ''
    lines = text[len(mark):].split('\n')
    returns = ['\r' if line.endswith('\r') else '' for line in lines]
    lines = [line[:-1] if end else line for line, end in zip(lines, returns)]
    for number, line in enumerate(lines, 1):
        strange = _STRANGE.search(line)
        if strange:
            raise ModeError('the character U+%04X, which is no plain text' % ord(strange.group()), number)
    return mark, lines, returns


def _look(text):
    """(mark, lines, returns, the document, its style) of a text in which the mode can be told."""
    mark, lines, returns = _split(text)
    document = _find_document(_documents(lines))
    style = _style_of(document)
    keys, value = style.keys(), document.value.get('mode')
    if len(keys) > 1:
        raise ModeError('the mode is given a second time, first in line %d' % keys[0], keys[1])
    if 'mode' in document.value and not keys:
        raise ModeError('the key mode stands where it is not looked for', document.start + 1)
    if value is not None and not _is_text(value):
        raise ModeError('the mode is no text', keys[0])
    return mark, lines, returns, document, style


def mode_in(text):
    """The mode that a KubeProxyConfiguration gives, None if it gives none. Raises ModeError."""
    return _look(text)[3].value.get('mode') or None


def edited(text, mode):
    """(TEXT with this mode, [(line, text before or None, text after)] of the lines that changed).

    text: text, not bytes. The same text comes back if it has that mode. Raises ModeError, whose `line` and text say where and why.
    """
    mark, lines, returns, document, style = _look(text)
    wanted = to_text(mode)
    value = document.value
    if value.get('mode') == wanted:
        return text, []
    new = style.changed(wanted) if 'mode' in value else style.inserted(wanted)
    expected = dict(value)
    expected['mode'] = wanted
    try:
        understood = document.read(new)
    except ModeError:
        understood = None
    if understood != expected:
        raise ModeError('the mode cannot be changed without changing something else', (style.keys() or [document.start + 1])[0])
    start, stop = document.start, document.start + len(document.lines)
    # Marks of documents and directives were blanked out.
    if lines[start][:3] in ('---', '...'):
        new[0] = lines[start][:3] + new[0][3:]
    for index, line in enumerate(document.lines):
        if new[index] != line:
            break
        new[index] = lines[start + index]
    added = len(new) - len(document.lines)
    if added:
        place = start + [one == other for one, other in zip(new, lines[start:stop] + [None])].index(False)
        # A last line without an end gets one, as the others have it.
        if place == len(lines):
            returns[place - 1] = returns[0]
        returns[place:place] = [returns[place - 1] if place < len(lines) else ''] * added
    result = mark + '\n'.join(line + end for line, end in zip(lines[:start] + new + lines[stop:], returns))
    return result, changed_lines(text, result)
