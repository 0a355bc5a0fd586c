# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The two commands of the README, and their parts. Everything they need is set up on the way.

EXAMPLE_FLEET := {"audit_facts_files": ["$(CURDIR)/docs/example_fleet"]}

help:
	@echo 'make audit                      audit the recorded example fleet and this machine'
	@echo 'make audit INVENTORY=hosts.yml  audit real nodes; ARGS="-b --limit node-1" is passed on'
	@echo 'make test                       everything'
	@echo 'make test-quick                 what needs no root'
	@echo 'parts of make test:             lint unit sanity build importer nodes-python kernel lab truth-table artifact faults switch-faults leftovers probe inventory molecule'
	@echo 'make ipvs_probe.py              the probe as one file, for a node without Ansible'
	@echo 'make fuzz                       try every parser with input that nobody foresaw, FUZZ_SECONDS=1800 in all, PARSERS="yaml facts" or all'
	@echo 'make docs                       write docs/kernels.md, docs/kube-proxy.md, docs/reference and the matrix in docs/support.md anew'
	@echo 'make matrix                     ask the package index and each ansible-core for the support matrix, then as make docs'
	@echo 'make bench                      what things cost, against baselines; writes docs/performance.md'
	@echo 'make clean                      remove what these leave in the checkout'

# On a terminal long audits show how far they are, in place of a line for each node that is well. See docs/progress.md.
audit:
	@environment=$$(tests/environment.sh audit) && \
	if [ -t 1 ] && [ -t 2 ]; then \
	    others=$$(tests/run --callers-settings "$$environment" python -c 'from ansible import constants; print(*constants.CALLBACKS_ENABLED, sep=",")') && \
	    export ANSIBLE_CALLBACKS_ENABLED="$${others:+$$others,}kubeproxy.ipvs.progress" && \
	    { [ -n "$${ANSIBLE_CONFIG:-}" ] || export ANSIBLE_DISPLAY_OK_HOSTS="$${ANSIBLE_DISPLAY_OK_HOSTS:-no}"; } || exit 1; \
	fi && \
	if [ -n "$(INVENTORY)" ]; then \
	    export ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="$${ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED:-true}" && \
	    tests/run --callers-settings "$$environment" ansible-playbook -i "$(INVENTORY)" kubeproxy.ipvs.audit $(ARGS); \
	else \
	    tests/run --callers-settings "$$environment" ansible-playbook -i localhost, -c local -e '$(EXAMPLE_FLEET)' kubeproxy.ipvs.audit $(ARGS); \
	fi

# Six restarts of each node with what everybody finds and with ours, three probes of each kernel; `make molecule` and `make probe` alone have twenty.
test:
	@RESTARTS=$${RESTARTS:-6} RUNS=$${RUNS:-3} tests/all unit+lint build+importer+nodes-python+inventory kernel+lab+truth-table+artifact faults+molecule+~sanity switch-faults+leftovers+probe

test-quick:
	@tests/all lint unit

lint unit sanity build importer kernel molecule bench docs:
	@tests/$@/run

nodes-python:
	@tests/nodes_python/run

# Which ansible-core drives which Python: tests/matrix/cores.yml and docs/support.md.
matrix:
	@tests/run "$$(tests/environment.sh audit)" python tests/matrix/matrix.py record
	@tests/docs/run

lab:
	@tests/lab/test/run

truth-table:
	@tests/lab/truth_table/run

# The built artifact alone, in an empty home, on a node of the lab.
artifact:
	@tests/lab/artifact/run

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

# Not a part of make test, which tries what was found again. See CONTRIBUTING.md.
fuzz:
	@tests/fuzz/run $(or $(FUZZ_SECONDS),1800) $(PARSERS)

# 5,000 Node objects in a real API server.
inventory:
	@tests/lab/inventory/run

clean:
	rm -f ipvs_probe.py
	rm -rf .cache .hypothesis .pytest_cache context ipvs-report ipvs-report-merged kubeproxy-ipvs-*.tar.gz

.PHONY: help audit test test-quick lint unit sanity build importer nodes-python kernel lab truth-table artifact faults switch-faults leftovers molecule bench docs matrix probe inventory fuzz clean
