# Each target does its own set-up inside this folder. Needs Python 3.11 or later and nothing else.
SHELL := /bin/bash
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

export DEMO_PORT ?= 8000
export DEMO_EHR_PORT ?= 8001
export DEMO_DIR ?= var/demo

.PHONY: help demo test check bench trace simulate chaos setup setup-dev lock docs

help:
	@echo "make demo    a made-up clinic on http://127.0.0.1:$(DEMO_PORT)/"
	@echo "make test    the whole suite, on SQLite and on PostgreSQL"
	@echo "make check   ruff, mypy, import contracts, migrations, deploy check, generated docs"
	@echo "make bench   the performance goals as ratios to a limit measured in the same run"
	@echo "make simulate seeded histories of the decision core: HISTORIES=, SEED="
	@echo "make chaos   real processes under faults: MINUTES=, BROKER=redis|rabbitmq|file, DATABASE=postgresql|sqlite, SEED="
	@echo "make trace   docs/traceability.md and docs/fault-matrix.md from the tests' marks"

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("reviewportal needs Python 3.11 or later; this is " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	@$(PYTHON) -m venv .venv

.venv/.base: requirements/base.txt | .venv/bin/python
	@echo "Installing what the product runs on ..."
	@$(PIP) -r requirements/base.txt
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.base
	@echo "Installing what the tests and checks need ..."
	@$(PIP) -r requirements/dev.txt
	@touch $@

setup: .venv/.base
setup-dev: .venv/.dev

demo: setup
	@exec $(BIN)/python manage.py demo

test: setup-dev
	@exec $(BIN)/python -m tests.suite

check: setup-dev
	@exec $(BIN)/python -m tests.checks

bench: setup-dev
	@exec $(BIN)/python -m tests.bench

trace: setup-dev
	@exec $(BIN)/python -m tests.traceability

simulate: setup-dev
	@exec $(BIN)/python -m tests.simulation --histories $(or $(HISTORIES),10000) --seed $(or $(SEED),0)

chaos: setup-dev
	@exec $(BIN)/python -m tests.chaos --minutes $(or $(MINUTES),5) --broker $(or $(BROKER),redis) --database $(or $(DATABASE),postgresql) $(if $(SEED),--seed $(SEED))

docs: setup-dev
	@$(BIN)/python manage.py lifecycle_diagram --write docs/lifecycle.md
	@$(BIN)/python manage.py ehr_capabilities --write docs/ehr-capabilities.md

lock: setup-dev
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -o requirements/base.txt requirements/base.in
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -c requirements/base.txt -o requirements/dev.txt requirements/dev.in
