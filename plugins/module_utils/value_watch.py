# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A kernel value, looked at many times a second while other things go on."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re
import threading
import time

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock

INTERVAL_SECONDS = 0.05
MAXIMUM_CHANGES = 50


def read_value(path):
    """The number in a file of /proc/sys, or None."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, 'O_CLOEXEC', 0))
        try:
            text = os.read(descriptor, 64).strip()
        finally:
            os.close(descriptor)
    except (IOError, OSError):
        return None
    return int(text) if re.match(b'-?[0-9]{1,18}$', text) else None


class Samples(object):
    """What is kept of the values seen, one after the other. wanted: what the value should be, or None."""

    def __init__(self, wanted=None):
        self._wanted = wanted
        self._began = self._last = None
        self.value = None
        self.changes = []
        self.wrong_seconds = 0.0
        self.last_wrong = None

    def add(self, moment, value):
        """VALUE was seen at MOMENT, in seconds of a clock that only goes forward."""
        wrong = self._wanted is not None and value != self._wanted
        if self._began is None:
            self._began = moment
        else:
            # It counts as what it was until something else is seen.
            if self._wanted is not None and self.value != self._wanted:
                self.wrong_seconds += moment - self._last
            if value != self.value and len(self.changes) < MAXIMUM_CHANGES:
                self.changes.append({'after_seconds': round(moment - self._began, 2), 'value': value})
        if wrong:
            self.last_wrong = moment
        self._last, self.value = moment, value

    def result(self):
        """What the module returns of them."""
        return {'at_end': self.value, 'changes': self.changes, 'wrong_seconds': None if self._wanted is None else round(self.wrong_seconds, 2)}


class ValueWatch(object):
    """Looks at the file PATH from start() to stop(), in a thread of its own: whatever takes its time meanwhile does not keep it from looking."""

    def __init__(self, path, wanted=None, interval_seconds=INTERVAL_SECONDS):
        self._path, self._interval = path, interval_seconds
        self.samples = Samples(wanted)
        self._ends = False
        self._thread = None

    def start(self):
        """Look for the first time, and from now on. Returns the moment."""
        began = clock()
        self.samples.add(began, read_value(self._path))
        self._thread = threading.Thread(target=self._run)
        # If the module ends in a way that nobody foresaw, this must not keep it alive.
        self._thread.daemon = True
        self._thread.start()
        return began

    def _run(self):
        while not self._ends:
            time.sleep(self._interval)
            self.samples.add(clock(), read_value(self._path))

    def stop(self):
        """Look for the last time, and no more."""
        if self._thread is not None:
            self._ends = True
            self._thread.join()
            self._thread = None
