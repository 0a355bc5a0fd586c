# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Command lines of a node without the secrets in them.

kube-proxy itself is given none, but what is read beside it is: k3s and its agent take a token and the password of a database as arguments, and
a line of a script may call an API. A secret is known by its name or its form; one that has neither cannot be told from any other word.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

# Text is of either type in Python 2.
TEXT_TYPES = (type(''), type(u''))
REDACTED = '[redacted]'
# A name is that of a secret if it ends so: --token-file and --tls-private-key-file name files, --token-ttl a time.
_NAME = (
    r'(?:tokens?|passw(?:or)?d|passphrase|pwd|secrets?|credentials?|(?:secret|access|private|encryption|signing|account|api)[-_.]?key(?:[-_.]id)?|psk|'
    r'(?:client|private)[-_.]?key[-_.]?data|datastore[-_.]endpoint)'
)
# Most text has nothing of the kind, and need not pay for what follows.
_HINT = re.compile(r'(?i)tok|passw|passp|pwd|secret|credential|key|psk|datastore|auth|bearer|://|eyj|k10|-u|user')
# What a variable or another command gives does not stand in the text.
_VALUE = r'(?!\$|`)(?:"(?!\$|`)[^"]*"?|\'[^\']*\'?|[^\s"\';&|,){}]+)'
_TEXT = (
    # --token VALUE, first: behind a name without a value the option would be taken for that
    (r'(?i)((?:^|\s)--?[\w.-]{0,64}?' + _NAME + r'\s{1,8})(?!-)' + _VALUE, r'\1' + REDACTED),
    # --token=VALUE, TOKEN=VALUE, "token": "VALUE"; the name may have a prefix.
    (r'(?i)((?:^|[^\w.-])[\w.-]{0,64}?' + _NAME + r'["\']?(?:\s{0,8}=\s{0,8}|\s{0,8}:\s{1,8}))' + _VALUE, r'\1' + REDACTED),
    # https://USER:PASSWORD@HOST
    (r'([a-zA-Z][\w+.-]{0,32}://)(?:[^\s"\'@/:]{0,256}:[^\s"\'@]{0,256}|[^\s"\'@/:]{1,256})@', r'\1' + REDACTED + '@'),
    # Authorization: Bearer VALUE, wherever it stands
    (r'(?i)(\bauthorization["\']?\s{0,8}[:=]\s{0,8})(?!authorization\b)[^\s"\']+(?:\s{1,8}(?!authorization\b)[^\s"\']+)?', r'\1' + REDACTED),
    (r'(?i)(\bbearer\s{1,8})(?!\$|`)[\w.~+/=-]{16,}', r'\1' + REDACTED),
    # curl -u USER:PASSWORD, but not docker run -u 1000:1000
    (r'((?:^|\s)(?:-u\s{0,8}|--(?:proxy-)?user(?:\s{1,8}|=))["\']?[^\s"\':/$]{1,256}:)(?!\d+(?:\s|$))(?!\$|`)[^\s"\']+', r'\1' + REDACTED),
    # A JSON web token, and a token of k3s
    (r'\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?', REDACTED),
    (r'\bK10[0-9a-f]{32,}::[^\s"\']+', REDACTED),
)
_PRIVATE_KEY = re.compile(r'(-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----).*?(-----END [A-Z ]{0,32}PRIVATE KEY-----|\Z)', re.DOTALL)
_OPTION = r'(?i)--?[\w.-]{0,64}' + _NAME + r'$'


def redacted(text):
    """A line of text with [redacted] in the place of each secret; None stays None."""
    if text is None or not _HINT.search(text):
        return text
    for pattern, replacement in _TEXT:
        text = re.sub(pattern, replacement, text)
    return text


def redacted_text(text):
    """Several lines, such as those of a file, with [redacted] in the place of each secret: on each line by itself, and of private keys all lines."""
    if not _HINT.search(text):
        return text
    return '\n'.join(redacted(line) for line in _PRIVATE_KEY.sub(r'\1' + REDACTED + r'\2', text).split('\n'))


def redacted_everywhere(value):
    """VALUE, of lists, dictionaries and texts, with [redacted] in the place of each secret."""
    if isinstance(value, dict):
        return dict((name, redacted_everywhere(item)) for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return [redacted_everywhere(item) for item in value]
    return redacted_text(value) if isinstance(value, TEXT_TYPES) else value


def redacted_words(words):
    """A command line, a list of text, with [redacted] in the place of each secret."""
    found, is_secret = [], False
    for word in words:
        # An option without its value is followed by the next one.
        found.append(REDACTED if is_secret and not word.startswith('--') else _redacted_word(word))
        is_secret = bool(_HINT.search(word) and re.match(_OPTION, word))
    return found


def _redacted_word(word):
    """One word of a command line: what follows a name and "=" is the value up to the end, whatever is in it."""
    if not _HINT.search(word):
        return word
    name, separator, value = word.partition('=')
    # --kube-proxy-arg=token=VALUE has the name in its value.
    while separator and not re.match(r'(?i)[\w.-]{0,64}' + _NAME + r'$', name):
        name, separator, value = value.partition('=')
    if separator and value:
        return word[:len(word) - len(value)] + REDACTED
    return redacted(word)
