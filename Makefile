# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The two commands of the README, and their parts. Everything they need is set up on the way.

EXAMPLE_FLEET := {"audit_facts_files": ["$(CURDIR)/docs/example_fleet"]}

help:
	@echo 'make audit                      audit the recorded example fleet and this machine'
	@echo 'make audit INVENTORY=hosts.yml  audit real nodes; ARGS="-b --limit node-1" is passed on'
	@echo 'make test                       everything'
	@echo 'make test-quick                 what needs no root, in about three minutes'
	@echo 'parts of make test:             lint unit sanity build nodes-python kernel lab truth-table faults switch-faults leftovers probe molecule'
	@echo 'make ipvs_probe.py              the probe as one file, for a node without Ansible'
	@echo 'make clean                      remove what these leave in the checkout'

audit:
	@environment=$$(tests/environment.sh audit) && \
	if [ -n "$(INVENTORY)" ]; then \
	    tests/run --callers-settings "$$environment" ansible-playbook -i "$(INVENTORY)" kubeproxy.ipvs.audit $(ARGS); \
	else \
	    tests/run --callers-settings "$$environment" ansible-playbook -i localhost, -c local -e '$(EXAMPLE_FLEET)' kubeproxy.ipvs.audit $(ARGS); \
	fi

# Ten restarts of each node with what everybody finds and with ours, three probes of each kernel; `make molecule` and `make probe` alone have twenty.
test:
	@RESTARTS=$${RESTARTS:-10} RUNS=$${RUNS:-3} tests/all unit lint+sanity build+nodes-python kernel+lab+truth-table faults switch-faults+leftovers+probe molecule

test-quick:
	@tests/all lint unit

lint unit sanity build kernel molecule bench:
	@tests/$@/run

nodes-python:
	@tests/nodes_python/run

lab:
	@tests/lab/test/run

truth-table:
	@tests/lab/truth_table/run

faults:
	@tests/lab/faults/run

switch-faults:
	@tests/lab/faults/run test_switched_node.py

leftovers:
	@tests/lab/leftovers/run

# The probe as one file, for nodes without Ansible. See docs/probe.md.
ipvs_probe.py: standalone/build.py standalone/main.py $(wildcard plugins/module_utils/*.py)
	@environment=$$(tests/environment.sh audit) && "$$environment/bin/python" standalone/build.py >$@.new && mv $@.new $@
	@echo "$@: copy it to a node and run it as root: python3 $@"

probe:
	@tests/lab/probe/run

# Not a part of `make test`: 5,000 Node objects in a real API server.
inventory:
	@tests/lab/inventory/run

clean:
	rm -f ipvs_probe.py
	rm -rf .cache .hypothesis .pytest_cache ipvs-report kubeproxy-ipvs-*.tar.gz

.PHONY: help audit test test-quick lint unit sanity build nodes-python kernel lab truth-table faults switch-faults leftovers molecule bench probe inventory clean
