# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of a node as they would be with some of them changed, for the readers of a node to look at before anything is written."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import io

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles


class EditedFiles(NodeFiles):
    """The files of NODE with CONTENTS, {path: bytes}, in place of what is there. Whatever is unreadable is not reported to the node."""

    def __init__(self, node, contents):
        NodeFiles.__init__(self, node.root)
        self._same, self._new = {}, {}
        for path, content in contents.items():
            # A file can be read by other names too, where links lead to it.
            identity = NodeFiles.identity(self, path)
            if identity is None:
                self._new[path] = content
            else:
                self._same[identity] = content

    def _content(self, path):
        if path in self._new:
            return self._new[path]
        return self._same.get(NodeFiles.identity(self, path))

    def _is_new_directory(self, path):
        return any(name.startswith(path.rstrip('/') + '/') for name in self._new) and NodeFiles.kind(self, path) is None

    def open(self, path):
        """A binary file object, or None."""
        content = self._content(path)
        return NodeFiles.open(self, path) if content is None else io.BytesIO(content)

    def _beginning(self, path, size):
        content = self._content(path)
        return NodeFiles._beginning(self, path, size) if content is None else content[:size]

    def names(self, path):
        """The sorted names in a directory, those of the new files among them."""
        found, inside = NodeFiles.names(self, path), path.rstrip('/') + '/'
        if found is None:
            return None
        return sorted(set(found).union(name[len(inside):].split('/')[0] for name in self._new if name.startswith(inside)))

    def kind(self, path):
        """'file', 'directory', 'other', or None."""
        if path in self._new:
            return 'file'
        return 'directory' if self._is_new_directory(path) else NodeFiles.kind(self, path)

    def identity(self, path):
        """What tells two names of the same file or directory."""
        if path in self._new or self._is_new_directory(path):
            return ('new', path.rstrip('/'))
        return NodeFiles.identity(self, path)

    def size(self, path):
        """Length of a file in bytes, or None."""
        content = self._content(path)
        return NodeFiles.size(self, path) if content is None else len(content)
