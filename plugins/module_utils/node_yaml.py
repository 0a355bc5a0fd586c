# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""YAML files of a node."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type


def is_unreadable(node, path):
    """Whether a file that gave no text is there all the same."""
    return node.kind(path) is not None or any(entry['path'] == path for entry in node.unreadable)


def read_yaml(node, path):
    """The first document of a file as a map: {} if the file is absent, None if it is unreadable or not understood."""
    text = node.text(path)
    if text is None:
        return None if is_unreadable(node, path) else {}
    # Each node pays for what it compiles, and only those with such files need this.
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_subset import YamlError, parse

    try:
        document = parse(text)
    except YamlError as error:
        node.report(path, 'not understood: %s' % error)
        return None
    return document if isinstance(document, dict) else {}
