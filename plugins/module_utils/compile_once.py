# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Imports of this package out of the archive that Ansible sends, with one compilation of each file.

Without this there are two: zipimport compiles a module in order to tell where its file is, and once more to run it
(zipimporter.get_filename and get_code, CPython 3.8 to 3.13). Of the fact module that is a third of all that it costs beside ping.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import sys

try:
    from importlib.util import spec_from_file_location
    from zipimport import zipimporter
except ImportError:
    # Python 2.7 has no specs: its imports stay as they are.
    spec_from_file_location = None

PACKAGE = __name__.rpartition('.')[0]


class _OwnFiles(object):
    """A finder of sys.meta_path for the files of this package in an archive: it names them itself. Everything else is left to the others."""

    @staticmethod
    def find_spec(fullname, path=None, target=None):
        """The spec of a module, or None."""
        parent, dummy, name = fullname.rpartition('.')
        for directory in (path or ()) if parent == PACKAGE else ():
            importer = sys.path_importer_cache.get(directory)
            if isinstance(importer, zipimporter) and _has_file(importer, fullname):
                return spec_from_file_location(fullname, os.path.join(directory, name + '.py'), loader=importer)
        return None


def _has_file(importer, fullname):
    try:
        return not importer.is_package(fullname)
    except ImportError:
        return False


def compile_once():
    """Import what comes after this with one compilation of each file, where this file itself comes out of an archive."""
    if spec_from_file_location is not None and isinstance(globals().get('__loader__'), zipimporter) and _OwnFiles not in sys.meta_path:
        sys.meta_path.insert(0, _OwnFiles)
