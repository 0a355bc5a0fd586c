# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the records of what was changed on a node are kept: one JSON file each, read and written by one run at a time."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
import time

from ansible.module_utils.common.text.converters import to_bytes, to_text
from ansible_collections.kubeproxy.ipvs.plugins.module_utils import recorded_states as states
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal, discard, real, remove_directory, told, with_errors_kept

SCHEMA = 1
NAME = re.compile(r'[a-z0-9_-]{1,64}\Z')
PAUSE = 0.1


class RecordStore(object):
    """The record C(name) in C(directory).

    A record is a dictionary: C(files), a list of C(path), C(original) (a state) and C(written) (fingerprints of what was put there),
    and C(lines) ({fingerprint: which lines give way to which}) if that was the original with lines replaced; C(directories), those that
    were made; C(values), a list of C(path) and C(original) (text, or None); C(facts), what the caller likes.
    """

    def __init__(self, directory, name):
        if not NAME.match(name):
            raise Refusal('name: %s is not made of 1 to 64 of a-z, 0-9, _ and -' % name)
        if not directory.startswith('/'):
            raise Refusal('directory: %s is not an absolute path' % directory)
        self.directory = to_text(os.path.realpath(real(directory)))
        self.name = to_text(name)
        self.path = os.path.join(self.directory, self.name + '.json')
        self._temporary = os.path.join(self.directory, '.%s.json.new' % self.name)
        self._lock = os.path.join(self.directory, 'lock')

    def exists(self):
        """Whether there is a directory that may hold a record. Refuses one that others than its owner could write to."""
        with told(self.directory, 'used'):
            try:
                found = os.stat(real(self.directory))
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return False
                raise
        if not stat.S_ISDIR(found.st_mode):
            raise Refusal('%s is not a directory' % self.directory)
        self._trust(self.directory, found)
        return True

    @staticmethod
    def _trust(path, found):
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & 0o022:
            raise Refusal('%s is not used: others than root could have written it' % path)

    @contextlib.contextmanager
    def locked(self, seconds):
        """The directory, made if it is missing, for this run alone. At the end it is gone if it is empty."""
        descriptor = self._acquire(seconds)
        try:
            yield
        finally:
            with_errors_kept(discard, self._temporary)
            # Removed by whom it belongs to: who waits for it sees that its name is gone and begins again.
            with_errors_kept(discard, self._lock)
            with_errors_kept(remove_directory, self.directory)
            os.close(descriptor)

    def _acquire(self, seconds):
        end = clock() + seconds
        while True:
            descriptor = self._open_lock()
            if descriptor is not None:
                if self._holds(descriptor):
                    return descriptor
                os.close(descriptor)
            if clock() >= end:
                raise Refusal('%s is held by another run for more than %d seconds' % (self._lock, seconds))
            time.sleep(PAUSE)

    def _open_lock(self):
        """A descriptor of the lock file, None if the run before is just taking the directory away."""
        if not self.exists():
            with told(self.directory, 'made'):
                try:
                    # One level only: what is above would stay when the record goes.
                    os.mkdir(real(self.directory), 0o700)
                except OSError as error:
                    if error.errno == errno.ENOENT:
                        raise Refusal('%s cannot be made: there is no %s' % (self.directory, os.path.dirname(self.directory)))
                    if error.errno != errno.EEXIST:
                        raise
        with told(self._lock, 'written'):
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | getattr(os, 'O_CLOEXEC', 0)
                return os.open(real(self._lock), flags, 0o600)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    with_errors_kept(remove_directory, self.directory)
                    raise
        return None

    def _holds(self, descriptor):
        with told(self._lock, 'locked'):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found, held = os.stat(real(self._lock)), os.fstat(descriptor)
            except EnvironmentError as error:
                if error.errno in (errno.EAGAIN, errno.EACCES, errno.ENOENT):
                    return False
                raise
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)

    def read(self):
        """The record, None if there is none. Refuses one that is damaged or newer."""
        return self._read(self.path)

    def _read(self, path):
        with told(path, 'read'):
            try:
                descriptor = os.open(real(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return None
                raise
            handle = os.fdopen(descriptor, 'rb')
            try:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise Refusal('%s is not a file' % path)
                self._trust(path, found)
                data = handle.read()
            finally:
                handle.close()
        try:
            return _decode(json.loads(to_text(data, errors='strict')), path)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            raise Refusal('%s is not a record, or a damaged one; it is left as it is' % path)

    def write(self, record):
        """Keep the record, whole or not at all."""
        kept = {'schema': SCHEMA, 'name': self.name, 'facts': record['facts'], 'directories': record['directories'], 'values': record['values']}
        kept['files'] = [dict(entry, original=states.encode(entry['original'])) for entry in record['files']]
        content = to_bytes(json.dumps(kept, indent=1, sort_keys=True)) + b'\n'
        states.put(self.path, {'kind': 'file', 'content': content, 'mode': 0o600}, self._temporary)

    def remove(self):
        """Forget the record."""
        states.commit(self.path, {'kind': 'absent'}, self._temporary)

    def others(self):
        """{path: name} of the files that other records keep; those that cannot be read tell nothing."""
        found = {}
        with told(self.directory, 'read'):
            names = os.listdir(real(self.directory)) if self.exists() else []
        for file_name in [to_text(name, errors='replace') for name in names]:
            path = os.path.join(self.directory, file_name)
            if not file_name.endswith('.json') or path == self.path:
                continue
            try:
                record = self._read(path)
            except Refusal:
                continue
            found.update((entry['path'], file_name[:-len('.json')]) for entry in (record or {'files': []})['files'])
        return found


def empty():
    """A record of nothing."""
    return {'files': [], 'directories': [], 'values': [], 'facts': {}}


def _decode_lines(lines):
    return [[to_text(line, nonstring='strict'), [to_text(text, nonstring='strict') for text in texts]] for line, texts in lines]


def _decode(kept, path):
    """What write() kept. Raises KeyError, TypeError, ValueError, AttributeError, OverflowError on anything else."""
    schema = int(kept['schema'])
    if schema > SCHEMA:
        raise Refusal('%s was written by a newer version of the collection (schema %d, not %d); it is left as it is' % (path, schema, SCHEMA))
    record = dict((name, kept[name]) for name in ('files', 'directories', 'values', 'facts'))
    record['files'] = [dict(entry, original=states.decode(entry['original'])) for entry in kept['files']]
    for entry in record['files']:
        entry['written'] = [mark.strip() for mark in entry['written']]
        if 'lines' in entry:
            entry['lines'] = dict((mark, _decode_lines(entry['lines'][mark])) for mark in entry['written'] if mark in entry['lines'])
            if not entry['lines']:
                raise ValueError(entry['path'])
    record['facts'] = dict(kept['facts'])
    for name in [entry['path'] for entry in record['files'] + record['values']] + record['directories']:
        if not name.startswith('/') or '\0' in name:
            raise ValueError(name)
    for entry in record['values']:
        if entry['original'] is not None:
            entry['original'].split()
    return record
