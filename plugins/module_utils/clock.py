# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The clock that deadlines are counted by: seconds as a float, which nobody sets."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import time

# Python 2.7 has none that nobody sets.
clock = getattr(time, 'monotonic', time.time)
