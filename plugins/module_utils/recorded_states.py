# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands at a path of a node: looked at with all that putting it back takes, and put there in one step.

A state is a dictionary: C(kind) is C(absent), C(link) (with C(target), bytes) or C(file) (with C(content), bytes, and C(mode)).
C(uid), C(gid), C(mtime_ns), C(attributes) and C(context) are there where they are known. Paths are text.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import base64
import hashlib
import os
import stat
import sys

from ansible.module_utils.common.text.converters import to_native, to_text
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import (
    CHUNK,
    GONE,
    NOT_OFFERED,
    Refusal,
    discard,
    real,
    synchronise,
    told,
    with_errors_kept,
)
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.redaction import redacted_text

MAXIMUM_SIZE = 8 * 1024 * 1024
MAXIMUM_SHOWN = 100 * 1024
# The lowest and the highest that the kernel takes: all ones stands for no user and no group, and a file may be older than 1970.
RANGES = {'uid': (0, 2**32 - 2), 'gid': (0, 2**32 - 2), 'mode': (0, 0o7777), 'mtime_ns': (-(2**63), 2**63 - 1)}
# Python 2 neither reads nor sets times to the nanosecond.
EXACT_TIMES = sys.version_info[0] > 2
# The first is the label's, which has functions of its own; the others the kernel keeps itself.
KERNELS_ATTRIBUTES = ('security.selinux', 'security.ima', 'security.evm')


def look(path, labels=None):
    """The state of a path. Refuses what it could not put back: a directory, a pipe, a device, a huge file."""
    with told(path, 'read'):
        try:
            found = os.lstat(real(path))
        except OSError as error:
            if error.errno in GONE:
                return {'kind': 'absent'}
            raise
        state = {'uid': found.st_uid, 'gid': found.st_gid, 'mtime_ns': _mtime_ns(found), 'context': labels.of(path) if labels else None}
        if stat.S_ISLNK(found.st_mode):
            state.update(kind='link', target=os.readlink(real(path)))
        elif stat.S_ISREG(found.st_mode):
            state.update(kind='file', mode=stat.S_IMODE(found.st_mode), content=_read(path), attributes=_attributes(path))
        elif stat.S_ISDIR(found.st_mode):
            raise Refusal('%s is a directory' % path)
        else:
            raise Refusal('%s is neither a regular file nor a symbolic link' % path)
    return state


def _mtime_ns(found):
    return getattr(found, 'st_mtime_ns', None) or int(round(found.st_mtime * 1000000000))


def _read(path):
    descriptor = os.open(real(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        parts, left = [], MAXIMUM_SIZE + 1
        while left > 0:
            data = os.read(descriptor, min(CHUNK, left))
            if not data:
                return b''.join(parts)
            parts.append(data)
            left -= len(data)
    finally:
        os.close(descriptor)
    raise Refusal('%s is longer than %d bytes, which is not kept in a record' % (path, MAXIMUM_SIZE))


def _attributes(path):
    """The extended attributes, such as access control lists, None where this Python cannot read them."""
    if not hasattr(os, 'listxattr'):
        return None
    try:
        names = os.listxattr(real(path), follow_symlinks=False)
        return dict((name, os.getxattr(real(path), name, follow_symlinks=False)) for name in names if name not in KERNELS_ATTRIBUTES)
    except OSError as error:
        if error.errno in NOT_OFFERED:
            return {}
        raise


def same(one, other):
    """Whether nothing of a state need be put back where the other one stands."""
    names = ('kind', 'content', 'target', 'mode', 'uid', 'gid')
    if any(one.get(name) != other.get(name) for name in names):
        return False
    if any(one.get(name) is not None and other.get(name) is not None and one[name] != other[name] for name in ('context', 'attributes')):
        return False
    apart = abs((one.get('mtime_ns') or 0) - (other.get('mtime_ns') or 0))
    return apart == 0 if EXACT_TIMES else one['kind'] == 'link' or apart < 2000


def fingerprint(state):
    """What tells one content from another, short enough for a record."""
    if state['kind'] == 'file':
        return 'sha256:' + hashlib.sha256(state['content']).hexdigest()
    return 'link:' + hashlib.sha256(state['target']).hexdigest() if state['kind'] == 'link' else 'absent'


def encode(state):
    """A state as JSON can keep it, byte for byte."""
    kept = dict((name, value) for name, value in state.items() if value is not None)
    for name in ('content', 'target'):
        if name in kept:
            kept[name] = to_text(base64.b64encode(kept[name]))
    if 'mode' in kept:
        kept['mode'] = '%04o' % kept['mode']
    if 'attributes' in kept:
        kept['attributes'] = dict((name, to_text(base64.b64encode(value))) for name, value in kept['attributes'].items())
    return kept


def _number(name, value):
    lowest, highest = RANGES[name]
    if not lowest <= value <= highest:
        raise ValueError(name)
    return value


def decode(kept):
    """The reverse of encode(). Raises KeyError, TypeError, ValueError, OverflowError on what encode() did not make."""
    state = {'kind': kept['kind']}
    needed = {'absent': (), 'link': ('target',), 'file': ('content', 'mode')}[state['kind']]
    if not needed:
        return state
    state.update((name, _number(name, int(kept[name]))) for name in ('uid', 'gid', 'mtime_ns'))
    for name in ('content', 'target'):
        if name in needed:
            state[name] = base64.b64decode(kept[name])
    if 'mode' in needed:
        state['mode'] = _number('mode', int(kept['mode'], 8))
    if 'attributes' in kept:
        state['attributes'] = dict((name, base64.b64decode(value)) for name, value in kept['attributes'].items())
    if 'context' in kept:
        state['context'] = to_text(kept['context'], nonstring='strict')
    return state


def shown(state):
    """A state as a diff shows it, without the secrets that it holds."""
    if state['kind'] == 'absent':
        return ''
    if state['kind'] == 'link':
        return 'link to %s\n' % to_text(state['target'], errors='replace')
    content = state['content']
    if len(content) <= MAXIMUM_SHOWN and b'\0' not in content:
        try:
            return redacted_text(content.decode('utf-8'))
        except UnicodeError:
            pass
    return '%s, %d bytes, sha256 %s\n' % ('long' if len(content) > MAXIMUM_SHOWN else 'binary', len(content), hashlib.sha256(content).hexdigest())


def temporary_name(path, owner):
    """Where the next state of PATH is made ready: beside it, always the same, and of a name that no reader of directories takes."""
    name = '.kubeproxy.ipvs-%s-%s' % (owner, hashlib.sha256(real(path)).hexdigest()[:16])
    return os.path.join(os.path.dirname(path), name)


def stage(path, state, temporary, labels=None):
    """Make STATE ready at TEMPORARY. If it fails, nothing is left of it."""
    if state['kind'] == 'absent':
        return
    with told(path, 'written'):
        discard(temporary)
        try:
            if state['kind'] == 'link':
                _make_link(temporary, state, labels)
            else:
                _make_file(temporary, state, labels)
        except EnvironmentError:
            with_errors_kept(discard, temporary)
            raise


def _make_link(path, state, labels):
    os.symlink(state['target'], real(path))
    found = os.lstat(real(path))
    owner = (state.get('uid', found.st_uid), state.get('gid', found.st_gid))
    if owner != (found.st_uid, found.st_gid):
        os.lchown(real(path), *owner)
    if labels and state.get('context'):
        labels.put(path, state['context'])
    _set_time(path, state)


def _make_file(path, state, labels):
    descriptor = os.open(real(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        left = memoryview(state['content'])
        while len(left):
            left = left[os.write(descriptor, left[:CHUNK]):]
        found = os.fstat(descriptor)
        owner = (state.get('uid', found.st_uid), state.get('gid', found.st_gid))
        if owner != (found.st_uid, found.st_gid):
            os.fchown(descriptor, *owner)
        for name, value in sorted((state.get('attributes') or {}).items() if hasattr(os, 'setxattr') else ()):
            os.setxattr(real(path), to_native(name), value, follow_symlinks=False)
        if labels and state.get('context'):
            labels.put(path, state['context'])
        # After the owner, whose change takes bits of the mode away, and after the access control list, which sets some.
        os.fchmod(descriptor, state['mode'])
        _set_time(path, state)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _set_time(path, state):
    moment = state.get('mtime_ns')
    if moment is None:
        return
    if EXACT_TIMES:
        os.utime(real(path), ns=(moment, moment), follow_symlinks=False)
    elif state['kind'] == 'file':
        os.utime(real(path), (moment / 1e9, moment / 1e9))


def commit(path, state, temporary):
    """Let what stage() made take the place of PATH, in one step that outlives a loss of power."""
    with told(path, 'removed' if state['kind'] == 'absent' else 'written'):
        try:
            if state['kind'] != 'absent':
                os.rename(real(temporary), real(path))
            elif not discard(path):
                return
        except EnvironmentError:
            with_errors_kept(discard, temporary)
            raise
        synchronise(os.path.dirname(path))


def put(path, state, temporary, labels=None):
    """stage() and commit()."""
    stage(path, state, temporary, labels)
    commit(path, state, temporary)
