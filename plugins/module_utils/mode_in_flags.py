# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The flag --proxy-mode in text: units, environment files, argument files and scripts.

What changes a text and what decides are two things. The functions here offer every text with one mode in it replaced, the last one first, and
every text with a flag put in; whoever reads the arguments of kube-proxy out of them says which of these gives the mode and nothing else.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_arguments import after_program
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.shell_words import logical_lines, pipelines, with_constants
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import split_command

FLAG = 'proxy-mode'
# The name, what stands between it and the mode, quotes, which may be escaped, and the mode, which may be empty.
_FLAG = re.compile(r'(?<![\w-])--?proxy[-_]mode(?:=|(?:[ \t]|\\\r?\n)+)(?:\\?["\'])?([A-Za-z]*)(?=\\?["\']|\s|$)')
_OF_VARIABLE = re.compile(r'(?<![\w-])--?proxy[-_]mode(?:=|[ \t]+)["\']?\$\{?([A-Za-z_]\w*)\}?(?!\w)')
_ASSIGNED = re.compile(r'^[ \t]*([A-Za-z_]\w*)=', re.MULTILINE)
_VARIABLE = re.compile(r'\$\{?([A-Za-z_]\w*)\}?')
_IN_FRONT = re.compile(r'(?:exec|sudo|nohup|then|do|else|!|\{|[A-Za-z_]\w*=.*)$')


# Files of arguments have a handful; each that is looked for costs a way through the text.
MAXIMUM_VARIABLES = 100


def _last_ones(names):
    """The last of NAMES, each once, the last one first."""
    found = []
    for name in reversed(names):
        if name not in found:
            found.append(name)
            if len(found) == MAXIMUM_VARIABLES:
                break
    return found


def _replaced(expression, text, mode):
    for found in reversed(list(expression.finditer(text))):
        if found.group(1) != mode:
            yield text[:found.start(1)] + mode + text[found.end(1):]


def flags_replaced(text, mode):
    """Each text that comes of TEXT with one --proxy-mode changed, the last one first."""
    return _replaced(_FLAG, text, mode)


def variables_of_mode(text):
    """The names of the variables that a text gives to --proxy-mode."""
    return sorted(set(_OF_VARIABLE.findall(text)))


def variables_replaced(text, names, mode):
    """Each text that comes of TEXT with one assignment to one of the variables NAMES changed, if it assigns one plain word."""
    found = r'(?:^|(?<=[\s"\'=]))%s=["\']?([A-Za-z]*)(?=["\']|\s|$)'
    return (new for name in names[:MAXIMUM_VARIABLES] for new in _replaced(re.compile(found % re.escape(name), re.MULTILINE), text, mode))


def variables_extended(text, command, mode):
    """Each text that comes of an environment file with the flag put into one of the variables that COMMAND uses, all on one line."""
    # What is for kube-proxy alone stands behind what it shares with others.
    for name in _last_ones(_VARIABLE.findall(command)):
        expression = re.compile(r'^[ \t]*%s=(?:"([^"\n\\]*)"|\'([^\'\n\\]*)\'|([^\s"\'\\]*))[ \t]*\r?$' % re.escape(name), re.MULTILINE)
        for found in reversed(list(expression.finditer(text))):
            value = found.group(found.lastindex) if found.lastindex else ''
            # Without quotes one word alone is sure to be read alike by all.
            if not found.group(0).rstrip().endswith(('"', "'")) and value:
                continue
            place = found.end(found.lastindex) if found.lastindex else found.end()
            yield text[:place] + (' ' if value.strip() else '') + '--%s=%s' % (FLAG, mode) + text[place:]


def command_extended(text, line, mode):
    """The text with the flag at the end of the command that begins in LINE, counted from 1, and may go on in the next ones, in a list."""
    lines = text.split('\n')
    index = line - 1
    while lines[index].rstrip('\r').endswith('\\') and index + 1 < len(lines):
        index += 1
    kept = lines[index].rstrip()
    lines[index] = kept + ' --%s=%s' % (FLAG, mode) + lines[index][len(kept):]
    return ['\n'.join(lines)]


def arguments_extended(text, mode):
    """Each text that comes of an argument file with the flag in a line of its own at the end or, if it assigns variables, in one of them."""
    names = _ASSIGNED.findall(text)
    if names:
        return variables_extended(text, ' '.join('$' + name for name in reversed(_last_ones(names))), mode)
    end = '\r\n' if '\r\n' in text else '\n'
    return [text + ('' if not text or text.endswith('\n') else end) + '--%s=%s' % (FLAG, mode) + end]


class Script(object):
    """What a script gives kube-proxy. arguments: list of words, or None; problem: why nobody can say, or None; line: where it is started."""

    def __init__(self, arguments, problem=None, line=None):
        self.arguments, self.problem, self.line = arguments, problem, line


def _command_words(pipeline):
    words = split_command(pipeline.strip())
    while words and _IN_FRONT.match(words[0]):
        words = words[1:]
    return words


def read_script(text):
    """The Script that a shell text is: it must start kube-proxy in one place, with arguments that can be read without running anything."""
    lines, found = logical_lines(text), []
    for (number, dummy, dummy), line in zip(lines, with_constants([entry[1] for entry in lines])):
        for pipeline in pipelines(line):
            arguments = after_program(_command_words(pipeline))
            if arguments is not None:
                found.append((number, arguments))
    if len(found) != 1:
        places = ', '.join('line %d' % number for number, dummy in found)
        return Script(None, 'it starts kube-proxy in several places, %s' % places if found else 'nothing in it is seen to start kube-proxy')
    number, arguments = found[0]
    for word in arguments:
        if word.startswith(('$', '`')):
            return Script(None, 'line %d: what %s stands for is known only when it runs' % (number, word), number)
    return Script(arguments, None, number)
