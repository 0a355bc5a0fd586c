# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The two commands of the README, and their parts. Everything they need is set up on the way.

SHELL := /bin/sh
ENVIRONMENT := tests/environment.sh
RUN := tests/run

help:
	@echo 'make audit                      audit the recorded example fleet and this machine'
	@echo 'make audit INVENTORY=hosts.yml  audit real nodes; ARGS="-b --limit node-1" is passed on'
	@echo 'make test                       everything'
	@echo 'make test-quick                 what needs no root and takes less than two minutes'
	@echo 'parts: lint sanity unit build nodes-python bench    make clean'

audit:
	@environment=$$($(ENVIRONMENT) audit) && \
	if [ -n "$(INVENTORY)" ]; then \
	    $(RUN) "$$environment" ansible-playbook kubeproxy.ipvs.audit -i "$(INVENTORY)" $(ARGS); \
	else \
	    $(RUN) "$$environment" ansible-playbook kubeproxy.ipvs.audit -i localhost, -c local -e '{"audit_facts_files": ["$(CURDIR)/docs/example_fleet"]}' $(ARGS); \
	fi

test:
	@tests/all lint sanity unit build nodes-python

test-quick:
	@tests/all lint unit

lint:
	@environment=$$($(ENVIRONMENT) test) && $(RUN) "$$environment" ansible-lint -q --strict

unit:
	@environment=$$($(ENVIRONMENT) test) && $(RUN) "$$environment" tests/unit/run

sanity:
	@tests/sanity/run

build:
	@tests/build/run

nodes-python:
	@tests/nodes_python/run

bench:
	@tests/bench/run

clean:
	rm -rf .cache .hypothesis .pytest_cache ipvs-report *.tar.gz

.PHONY: help audit test test-quick lint unit sanity build nodes-python bench clean
