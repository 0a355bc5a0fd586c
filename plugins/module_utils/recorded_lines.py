# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lines of somebody else's file that give way to others, and come back, also after the file was changed once more.

Content is bytes. C(lines) is a list of [line, [line that takes its place, ...]], text without line ends, as a record keeps it.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import difflib

from ansible.module_utils.common.text.converters import to_bytes


def without_ends(text):
    """The lines of a text, which may end with a line end or not."""
    found = [line.rstrip('\r') for line in text.split('\n')]
    return found if found[-1] else found[:-1]


def replaced(content, lines):
    """CONTENT with LINES replaced, its line ends and everything else as they are."""
    return _join(_lay_out(content, lines)[0])


def put_back(content, original, lines):
    """Take LINES, which were replaced in ORIGINAL, back in CONTENT, which somebody made of that.

    Returns what comes of it, how many lines came back, and how many did not: what had taken their place is not there any more.
    """
    written, places = _lay_out(original, lines)
    present = _split(content)
    where = _align([text for text, end in written], [text for text, end in present])
    ours = set(index for place in places for index in place.indexes)
    # What stands where it was, or was written by others and may have been moved there.
    free = set(range(len(present))) - set(found for index, found in where.items() if index not in ours)
    texts = [text for text, end in present]
    moved, gaps, taken, lost = [], [], {}, 0
    for place in places:
        found = [where.pop(index, None) for index in place.indexes]
        if not found:
            gaps.append(place)
        elif found[0] is None or found != list(range(found[0], found[0] + len(found))):
            moved.append(place)
        else:
            place.take(found[0], taken, where, free)
    for place in moved:
        found = _find([written[index][0] for index in place.indexes], texts, free)
        if found is not None:
            place.take(found, taken, where, free)
        elif not _is_there(place.text, texts, free):
            lost += 1
    inserted = {}
    for place in gaps:
        if _is_there(place.text, texts, free):
            continue
        found = place.gap(where, len(written), len(present))
        if found is None:
            lost += 1
        else:
            inserted.setdefault(found, []).append((place.text, place.end))
    result, index = [], 0
    while index <= len(present):
        result += inserted.get(index, [])
        if index in taken:
            place = taken[index]
            index += len(place.indexes)
            result.append((place.text, place.end if place.added_end and index == len(present) else present[index - 1][1]))
        else:
            result += present[index:index + 1]
            index += 1
    return _join(result), len(taken) + sum(len(found) for found in inserted.values()), lost


class _Place(object):
    """Where a line was replaced: the indexes of what took its place among the lines that were written, and the line.

    added_end: whether a line end was written that the line had not.
    """

    added_end = False

    def __init__(self, start, count, text, end):
        self.start = start
        self.indexes = range(start, start + count)
        self.text = text
        self.end = end

    def take(self, found, taken, where, free):
        """What took the line's place stands at the index FOUND."""
        taken[found] = self
        for number, index in enumerate(self.indexes):
            where[index] = found + number
            free.discard(found + number)

    def gap(self, where, written, present):
        """The index before which a line belongs that nothing took the place of, by its neighbours; None if none of them is left."""
        if where.get(self.start - 1) is not None:
            return where[self.start - 1] + 1
        if where.get(self.start) is not None:
            return where[self.start]
        if self.start == 0:
            return 0
        return present if self.start == written else None


def _split(content):
    """[(text, line end)] of each line; the last may have no line end."""
    pieces = content.split(b'\n')
    lines = [(piece[:-1], b'\r\n') if piece.endswith(b'\r') else (piece, b'\n') for piece in pieces[:-1]]
    return lines + [(piece, b'') for piece in pieces[-1:] if piece]


def _join(lines):
    """The reverse of _split(); a line that has become none of the last gets a line end."""
    last = len(lines) - 1
    return b''.join(text + (end or (b'' if index == last else b'\n')) for index, (text, end) in enumerate(lines))


def _lay_out(content, lines):
    """The lines of CONTENT with LINES replaced, and the places where they were."""
    replacements = dict((to_bytes(line), [to_bytes(text) for text in texts]) for line, texts in lines)
    written, places = [], []
    for text, end in _split(content):
        texts = replacements.get(text)
        if texts is None:
            written.append((text, end))
            continue
        places.append(_Place(len(written), len(texts), text, end))
        written += [(other, end or b'\n') for other in texts[:-1]] + [(other, end) for other in texts[-1:]]
        if texts and written[-1] == (b'', b''):
            # Of an empty line there is nothing to see but its end.
            written[-1], places[-1].added_end = (b'', b'\n'), True
    return written, places


def _align(one, other):
    """{index in ONE: index in OTHER} of the lines that are the same, in the same order."""
    begin, shorter = 0, min(len(one), len(other))
    while begin < shorter and one[begin] == other[begin]:
        begin += 1
    rest = 0
    while rest < shorter - begin and one[-1 - rest] == other[-1 - rest]:
        rest += 1
    where = dict((index, index) for index in range(begin))
    where.update((len(one) - number, len(other) - number) for number in range(1, rest + 1))
    matcher = difflib.SequenceMatcher(None, one[begin:len(one) - rest], other[begin:len(other) - rest])
    for first, second, size in matcher.get_matching_blocks():
        where.update((begin + first + number, begin + second + number) for number in range(size))
    return where


def _find(block, texts, free):
    """The index where the lines of BLOCK stand, one after the other and all FREE, or None."""
    for index in sorted(free):
        if texts[index:index + len(block)] == block and free.issuperset(range(index, index + len(block))):
            return index
    return None


def _is_there(text, texts, free):
    """Whether somebody has put a line back already; the one that is found is not found again."""
    found = _find([text], texts, free)
    free.discard(found)
    return found is not None
