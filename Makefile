# Two commands: `make run` (a working cluster on an isolated test host) and `make test` (everything checked).
PYTHON ?= python3
BIN := .venv/bin
# The release line that is built: a file of distribution/releases.
DEFAULT_RELEASE := v1.36
RELEASE ?= $(DEFAULT_RELEASE)
DIST := build/$(if $(filter-out $(DEFAULT_RELEASE),$(RELEASE)),$(RELEASE)/)dist
DISTRIBUTION := $(BIN)/python -m distribution --release $(RELEASE)
PREFIX ?= /usr/local
PYTEST_ARGS ?=

# Debian packages: what makes the network of test hosts, what tests look at hosts with, what loads web servers, and what
# makes .rpm packages.
HOST_PACKAGES := iproute2
TEST_PACKAGES := busybox-static docker-registry iptables libfaketime mmdebstrap procps rpm
BENCH_PACKAGES := wrk
RELEASE_PACKAGES := rpm

# Python packages, each pinned by hash: those of rke2 and its build, and with them those of development.
REQUIREMENTS := packaging/requirements
OLDEST_PYTHON := 3.11
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Pins in $(REQUIREMENTS)/$(1).txt what pyproject.toml needs, for every Python that rke2 runs with, with the options $(2).
# The packages of the build system come on standard input. A pin that is there already stays unless UPGRADE is set.
# Wheels only: what building another archive needs would be fetched unchecked.
define pin
	@$(BIN)/python -c 'import tomllib; \
	    print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' \
	| $(BIN)/uv pip compile --quiet --no-python-downloads --universal --python-version $(OLDEST_PYTHON) \
	    --generate-hashes --only-binary :all: --emit-build-options --no-emit-index-url \
	    --custom-compile-command 'make requirements' $(if $(UPGRADE),--upgrade) \
	    --output-file $(REQUIREMENTS)/$(1).txt $(2) - pyproject.toml >/dev/null
endef

# Installs those packages of $(1) that are missing.
define packages
	@missing=$$(for package in $(1); do \
	    dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || echo $$package; \
	done); \
	if [ -n "$$missing" ]; then \
	    apt-get update -q && apt-get install -qy --no-install-recommends $$missing; \
	fi
endef

.DEFAULT_GOAL := help
.PHONY: help run stop test test-all lint unit content content-all dist bench bench-join bench-scale bench-snapshot bench-content bench-encryption soak-joins soak-faults soak-restore docs releases requirements release install clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: content ## build what is missing, boot a server on an isolated test host, show it
	$(call packages,$(HOST_PACKAGES))
	@$(BIN)/rke2 lab up --content $(DIST)

stop: .venv/.ready ## remove the test hosts
	@$(BIN)/rke2 lab down

test: content dist lint ## lint, types, import rules, then unit, contract, integration and cluster tests
	$(call packages,$(HOST_PACKAGES) $(TEST_PACKAGES))
	@$(BIN)/python -m tests.run $(PYTEST_ARGS)

test-all: content-all release ## as `make test`, with the tests that take minutes each and those of optional archives
	@$(MAKE) test PYTEST_ARGS="-m '' $(PYTEST_ARGS)"

lint: .venv/.ready ## ruff, mypy, import rules
	@$(BIN)/ruff check src distribution tests
	@$(BIN)/ruff format --check src distribution tests
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

unit: .venv/.ready ## only the tests that need neither root nor built content
	$(BIN)/python -m pytest tests/unit tests/contract $(PYTEST_ARGS)

content: .venv/.ready ## build the distribution into build/dist (incremental)
	@$(DISTRIBUTION) prerequisites --install
	@$(DISTRIBUTION) all

dist: .venv/.ready ## make build/release/rke2.linux-amd64: rke2 with its Python in one file
	@$(DISTRIBUTION) prerequisites --install
	@$(DISTRIBUTION) dist

content-all: .venv/.ready ## as `make content`, with the optional archives (Cilium, Traefik, Multus)
	@$(DISTRIBUTION) prerequisites --install
	@$(DISTRIBUTION) all --optional

bench: content ## compare the boot with kubeadm's on the same kind of host; prints figures and ratios
	$(call packages,$(HOST_PACKAGES) $(TEST_PACKAGES))
	@$(BIN)/python -m tests.bench.boot

bench-join: content ## compare joining with kubeadm's on the same kind of host, and boot three servers at once
	$(call packages,$(HOST_PACKAGES) $(TEST_PACKAGES))
	@$(BIN)/python -m tests.bench.join

bench-scale: content ## see what 50, 225 and 1000 simulated agents cost a server
	$(call packages,$(HOST_PACKAGES) $(TEST_PACKAGES))
	@$(BIN)/python -m tests.bench.scale

bench-snapshot: content ## compare snapshots of etcd with those of etcdctl, of the same member; seconds, ratio, memory
	$(call packages,$(HOST_PACKAGES) $(TEST_PACKAGES))
	@$(BIN)/python -m tests.bench.snapshot

bench-content: content ## what the content costs: sizes, builds, imports, CNI plugins, ingress; ratios
	$(call packages,$(HOST_PACKAGES) $(TEST_PACKAGES) $(BENCH_PACKAGES))
	@$(BIN)/python -m tests.bench.content

bench-encryption: content ## exchange the key of 10,000 Secrets on a server that is used; prints seconds and ratios
	$(call packages,$(HOST_PACKAGES) $(TEST_PACKAGES))
	@$(BIN)/python -m tests.bench.encryption

soak-joins: content ## start three servers at the same moment, twenty times
	$(call packages,$(HOST_PACKAGES) $(TEST_PACKAGES))
	@$(BIN)/python -m tests.soak.joins

soak-faults: content ## the tests of faults, ten times in a row on one cluster each
	$(call packages,$(HOST_PACKAGES) $(TEST_PACKAGES))
	@$(BIN)/python -m tests.soak.faults

soak-restore: content ## take a cluster of three servers back to a snapshot, twenty times in a row
	$(call packages,$(HOST_PACKAGES) $(TEST_PACKAGES))
	@$(BIN)/python -m tests.soak.restores

docs: .venv/.ready ## regenerate docs/configuration.md and the JSON schema from the flags table
	@$(BIN)/python -m rke2.config.docs

releases: .venv/.ready ## regenerate src/rke2/releases.py from distribution/releases
	@$(BIN)/python -m distribution tables

requirements: .venv/.ready ## pin the Python packages of pyproject.toml by hash (UPGRADE=1: the newest versions)
	$(call pin,runtime)
	$(call pin,dev,--extra dev --constraint $(REQUIREMENTS)/runtime.txt)

release: content dist ## the program as tarball, .deb and .rpm, with install.sh, archives and checksums, into build/release
	$(call packages,$(RELEASE_PACKAGES))
	@$(BIN)/python -m distribution.packages --line $(RELEASE)

install: ## install rke2 and its content on this machine (PREFIX, DESTDIR; see docs/install.md)
	@PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' DIST='$(abspath $(DIST))' PYTHON='$(PYTHON)' packaging/from-source.sh

clean: ## remove test hosts, built content, caches and the virtual environment
	@PYTHONPATH=src $(PYTHON) -m rke2 lab down --all
	@rm -rf build .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/*.egg-info
	@find src distribution tests -name __pycache__ -prune -exec rm -rf {} +
	@cache="$${XDG_CACHE_HOME:-$$HOME/.cache}/rke2-distribution"; \
	    if [ -d "$$cache" ]; then chmod -R u+w "$$cache" && rm -rf "$$cache"; fi

.venv/.ready: pyproject.toml $(REQUIREMENTS)/dev.txt
	$(if $(shell $(PYTHON) -c 'import ensurepip; print(1)' 2>/dev/null),,$(call packages,python3-venv))
	@echo "preparing the virtual environment .venv"
	@$(PYTHON) -m venv .venv
	@$(PIP_INSTALL) --require-hashes --requirement $(REQUIREMENTS)/dev.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@
