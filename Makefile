# Two commands: `make run` (a working cluster on an isolated test host) and `make test` (everything checked).
PYTHON ?= python3
BIN := .venv/bin
DIST := build/dist
PYTEST_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run stop test lint unit content bench docs install clean distclean

help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: content ## build what is missing, boot a server on an isolated test host, show it
	@$(BIN)/rke2 lab up --content $(DIST)

stop: .venv/.ready ## remove the test hosts
	@$(BIN)/rke2 lab down

test: content lint ## lint, types, import rules, then unit, contract, integration and cluster tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

lint: .venv/.ready ## ruff, mypy, import rules
	@$(BIN)/ruff check src distribution tests
	@$(BIN)/ruff format --check src distribution tests
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

unit: .venv/.ready ## only the tests that need neither root nor built content
	$(BIN)/python -m pytest tests/unit tests/contract $(PYTEST_ARGS)

content: .venv/.ready ## build the distribution into build/dist (incremental)
	@$(BIN)/python -m distribution prerequisites
	@$(BIN)/python -m distribution all

bench: content ## compare the boot with kubeadm's on the same kind of host; prints figures and ratios
	@$(BIN)/python -m tests.bench.boot

docs: .venv/.ready ## regenerate docs/configuration.md and the JSON schema from the flags table
	@$(BIN)/python -m rke2.config.docs

clean: ## remove test hosts, built content, caches and the virtual environment
	@if [ -x $(BIN)/rke2 ]; then $(BIN)/rke2 lab down --all; fi
	@rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info
	@rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/rke2-distribution"

.venv/.ready: pyproject.toml
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { apt-get update -q && apt-get install -qy python3-venv; }
	@echo "preparing the virtual environment .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@
