# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r'''
module: recorded_files
short_description: Changes files and kernel values of a node so that they can be put back byte for byte
version_added: 1.0.0
description:
  - Writes files and records first, on the node, what stood there. V(restored) puts it back.
  - The record is complete before anything is changed, and each file is changed in one step. Wherever a run is cut off, running the same
    task again completes it, and V(restored) takes it back.
  - The original of a file is what stood there before the first run that named it. No later run replaces it.
  - Of a file of somebody else's, lines alone can be replaced with O(files[].lines). When others change the rest of it, nothing of that is lost.
  - Put back are content, mode, owner, group, time of modification, SELinux label and, where the node has Python 3, extended attributes
    such as access control lists. Directories that were made are removed if they are empty by then.
notes:
  - A symbolic link at O(files[].path) itself is replaced, not followed, and put back as a link. Links in the directories above it are followed.
    With O(files[].lines) it is followed too, and the record names the file that it leads to.
  - A file with several hard links loses its connection to the other names, which keep the original content.
  - Times of directories are not put back. With Python 2.7, times of files are exact to the microsecond, and times of links are not put back.
  - Files longer than 8 MiB are refused.
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
requirements:
  - Python 2.7 or 3.6 and newer, the standard library alone
extends_documentation_fragment:
  - kubeproxy.ipvs.attributes
  - kubeproxy.ipvs.attributes.linux
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  name:
    description: Name of the record, of V(a) to V(z), V(0) to V(9), V(_) and V(-), at most 64 of them.
    type: str
    required: true
  directory:
    description:
      - Directory where records are kept, O(name) with C(.json) added. It is made with mode 0700 if it is missing, but what is above it must be there.
      - It is removed when no record is left in it. It is not used if others than root and the user who runs the module can write to it.
    type: path
    default: /var/lib/kubeproxy.ipvs
  state:
    description:
      - V(applied) makes O(files) and O(values) all that the record consists of, and applies them. What the record had besides them is put back.
      - V(restored) puts everything back and removes the record.
    type: str
    choices:
      - applied
      - restored
    default: applied
  files:
    description:
      - All files of the record. Each has exactly one of O(files[].content), O(files[].link), O(files[].lines) and O(files[].absent).
      - Without it, the files of the record stay as they are.
      - A file that is no longer listed and that somebody else has changed stays, and stays in the record, unless O(force) is set.
    type: list
    elements: dict
    suboptions:
      path:
        description: Absolute path. A record names it with the links in its directories resolved.
        type: path
        required: true
      content:
        description: Text of the file, in UTF-8. Nothing but text is taken, so that Ansible cannot have made something else of it unnoticed.
        type: raw
      link:
        description: Target of a symbolic link.
        type: str
      lines:
        description:
          - Lines of the file that is there which give way to others. Everything else in it stays byte for byte, with mode, owner and time.
          - Where there is no such file, or none of the lines in it, there is nothing to change and nothing to record.
          - The lines are replaced in the original, so that one that is no longer listed comes back.
          - If somebody else changed the file, what is there, with the lines put back where their replacements stand, is the new original.
            V(restored) puts back the lines alone then. What is to come back but has no place any more is in RV(not_restored), and is no failure.
        type: list
        elements: dict
        suboptions:
          line:
            description: The whole line without its end, which may be that of Unix or of DOS. White space counts.
            type: raw
            required: true
          replacement:
            description: What takes its place, one line or several. With an empty text the line goes. None of them may be a line of O(files[].lines).
            type: raw
            required: true
      absent:
        description: That there be no file.
        type: bool
        default: false
      mode:
        description:
          - Mode of a file with O(files[].content), an octal number with a leading zero in quotation marks.
          - Owner, group, SELinux label and extended attributes of a file that is there are kept. With O(files[].lines) the mode is, too.
        type: str
        default: "0644"
  values:
    description:
      - Kernel values whose text is recorded, and written back by O(state=restored).
      - Without it, the values of the record stay as they are. A value that is no longer listed is written back.
    type: list
    elements: dict
    suboptions:
      path:
        description: File of the value.
        type: path
        required: true
      write:
        description: Text to write if the value is another one. It is read again to see that it stayed.
        type: str
  facts:
    description: What is to be kept in the record, such as who changed it and why. It is replaced only by a run that changes something else too.
    type: dict
  force:
    description: Whether to put back files that somebody else has changed after this module.
    type: bool
    default: false
  restore_on_failure:
    description: Whether a run that fails first takes back what it changed.
    type: bool
    default: true
  lock_seconds:
    description: How long to wait for another run on the same O(directory).
    type: int
    default: 30
'''

EXAMPLES = r'''
- name: Set the value, hold it, and record what was there
  kubeproxy.ipvs.recorded_files:
    name: conn_reuse_mode
    files:
      - path: /etc/sysctl.d/99-kubeproxy-ipvs.conf
        content: |
          net.ipv4.vs.conn_reuse_mode = 1
      - path: /etc/cron.d/set-conn-reuse-mode
        absent: true
    values:
      - path: /proc/sys/net/ipv4/vs/conn_reuse_mode
        write: "1"
    facts:
      reason: The kernel has the fix

- name: Neutralise one line of somebody else's file
  kubeproxy.ipvs.recorded_files:
    name: second_writer
    files:
      - path: /etc/sysctl.conf
        lines:
          - line: net.ipv4.vs.conn_reuse_mode = 0
            replacement: |
              # kubeproxy.ipvs: the kernel has the fix
              # net.ipv4.vs.conn_reuse_mode = 0

- name: Take it back
  kubeproxy.ipvs.recorded_files:
    name: conn_reuse_mode
    state: restored
'''

RETURN = r'''
record:
  description: Path of the record.
  returned: always
  type: str
  sample: /var/lib/kubeproxy.ipvs/conn_reuse_mode.json
files:
  description:
    - What was done, or is to be done, with each file. After a failure, what is still changed.
    - The action is V(created), V(changed), V(removed), V(unchanged), V(restored), V(restored_lines) or V(not_restored).
    - With V(restored_lines) the lines of O(files[].lines) were put back in a file that somebody else changed, and all else stayed.
  returned: always
  type: list
  elements: dict
  sample: [{path: /etc/sysctl.d/99-kubeproxy-ipvs.conf, action: created}]
kernel_values:
  description: The values, before and after. Null is one that does not exist.
  returned: always
  type: list
  elements: dict
  sample: [{path: /proc/sys/net/ipv4/vs/conn_reuse_mode, before: "0", after: "1"}]
not_restored:
  description:
    - What was not put back, and why.
    - With O(state=restored) the module fails on it, except where a value, or the place of a line in a file, does not exist any more.
  returned: always
  type: list
  elements: dict
  sample: [{path: /etc/sysctl.d/99-kubeproxy-ipvs.conf, reason: somebody else changed it afterwards}]
facts:
  description: What O(facts) put into the record.
  returned: always
  type: dict
  sample: {reason: The kernel has the fix}
diff:
  description: Each change, as text before and after.
  returned: always
  type: list
  elements: dict
  contains:
    before_header:
      description: The path.
      type: str
      sample: /etc/sysctl.d/99-kubeproxy-ipvs.conf
    after_header:
      description: The path, and the mode if that changes.
      type: str
      sample: /etc/sysctl.d/99-kubeproxy-ipvs.conf (mode 0644)
    before:
      description: Text before. Of a binary or long file its length and checksum.
      type: str
      sample: ""
    after:
      description: Text after.
      type: str
      sample: "net.ipv4.vs.conn_reuse_mode = 1\n"
'''

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_native
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.program_path import trust_programs
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_changes import RecordedChanges
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.redaction import redacted_everywhere

try:
    from ansible.module_utils.compat import selinux
except ImportError:
    selinux = None


class Labels(object):
    """SELinux labels of files, as texts such as C(system_u:object_r:etc_t:s0)."""

    def __init__(self, module):
        self.module = module

    def of(self, path):
        """The label that a file has."""
        return self._text(self.module.selinux_context(to_native(path)))

    def default(self, path):
        """The label that the policy has for a path."""
        return self._text(self.module.selinux_default_context(to_native(path)))

    @staticmethod
    def _text(context):
        return ':'.join(context) if context and None not in context else None

    @staticmethod
    def put(path, label):
        """Give a file a label. Raises OSError."""
        if label and selinux.lsetfilecon(to_native(path), to_native(label)) != 0:
            raise OSError('SELinux refuses the label %s' % label)


def main():
    """Run as an Ansible module."""
    trust_programs()
    line_options = {'line': {'type': 'raw', 'required': True}, 'replacement': {'type': 'raw', 'required': True}}
    file_options = {
        'path': {'type': 'path', 'required': True},
        'content': {'type': 'raw'},
        'link': {'type': 'str'},
        'lines': {'type': 'list', 'elements': 'dict', 'options': line_options},
        'absent': {'type': 'bool', 'default': False},
        'mode': {'type': 'str', 'default': '0644'},
    }
    value_options = {'path': {'type': 'path', 'required': True}, 'write': {'type': 'str'}}
    module = AnsibleModule(
        argument_spec={
            'name': {'type': 'str', 'required': True},
            'directory': {'type': 'path', 'default': '/var/lib/kubeproxy.ipvs'},
            'state': {'type': 'str', 'choices': ['applied', 'restored'], 'default': 'applied'},
            'files': {'type': 'list', 'elements': 'dict', 'options': file_options},
            'values': {'type': 'list', 'elements': 'dict', 'options': value_options},
            'facts': {'type': 'dict'},
            'force': {'type': 'bool', 'default': False},
            'restore_on_failure': {'type': 'bool', 'default': True},
            'lock_seconds': {'type': 'int', 'default': 30},
        },
        required_if=[('state', 'applied', ('files', 'values'), True)],
        supports_check_mode=True,
        # The log of the node is read by more people than its files are.
        no_log=True,
    )
    asked = module.params
    result = {}
    # What a very talkative run shows.
    shown = {'module_args': redacted_everywhere(asked)}
    try:
        changes = RecordedChanges(
            asked['directory'],
            asked['name'],
            check_mode=module.check_mode,
            force=asked['force'],
            restore_on_failure=asked['restore_on_failure'],
            lock_seconds=asked['lock_seconds'],
            labels=Labels(module) if selinux and module.selinux_enabled() else None,
        )
        try:
            if asked['state'] == 'applied':
                changes.apply(asked['files'], asked['values'], asked['facts'])
            else:
                changes.restore()
        finally:
            result = changes.result()
    except Refusal as error:
        module.fail_json(msg=to_native(error), invocation=shown, **result)
    for entry in changes.not_restored:
        module.warn('%s was not put back: %s' % (entry['path'], entry['reason']))
    module.exit_json(invocation=shown, **result)


if __name__ == '__main__':
    main()
