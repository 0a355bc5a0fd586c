# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""answers.py DIRECTORY: print, as JSON, what the parsers of the node make of the inputs in DIRECTORY/TARGET/*. For any Python."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import io
import json
import os
import re
import sys

from ansible.module_utils.common.text.converters import to_text
from node_parsers import NODE_PARSERS, Broken

# Python's own words for what is no JSON.
WORDS = re.compile(r'not JSON: [^"]*')
# Pythons count bytes that are not UTF-8 in different ways, characters beyond U+FFFF as one or as two, and take others for white space.
UNLIKE = re.compile(r'\\u(?:[dD][89a-fA-F]|fffd|001[c-f]|0085|00a0|1680|20[0-2]|205f|3000)')


def _given(form, data):
    """The input, None if not every Python can be handed the same."""
    if form == 'bytes':
        return data
    try:
        text = data.decode('utf-8')
    except UnicodeDecodeError:
        return None
    try:
        given = json.loads(text) if form == 'json' else text
    except (ValueError, RuntimeError):
        return None
    return None if UNLIKE.search(json.dumps(given)) else given


def answer_of(name, data):
    """What one target answers: [answer], or the words of an error by contract; None for what is not compared."""
    function, form, errors = NODE_PARSERS[name]
    given = _given(form, data)
    if given is None:
        return None
    try:
        return ['answer', json.loads(WORDS.sub('not JSON', json.dumps(function(given))))]
    except errors as error:
        return ['error', to_text(error)]
    except Broken as error:
        return ['broken', to_text(error)]
    except Exception as error:
        return ['raised', type(error).__name__]


def main():
    """Answer for all files."""
    found = {}
    for name in sorted(NODE_PARSERS):
        directory = os.path.join(sys.argv[1], name)
        for entry in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
            with io.open(os.path.join(directory, entry), 'rb') as handle:
                found[name + '/' + entry] = answer_of(name, handle.read())
    print(json.dumps(found, sort_keys=True))


if __name__ == '__main__':
    main()
