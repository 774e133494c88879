# Everything a person needs. Works inside this folder alone: .venv, .tools and runs.
PYTHON ?= python3
NAME ?=
RUNTIME ?=
MESSAGE ?=
RUN ?= runs/latest
J ?= $(patsubst -j%,%,$(filter -j%,$(MAKEFLAGS)))
ARGS ?=

IMAP ?=
MEDIA ?=
CLIENT ?=
ROLE ?=
IMAGE ?=
PEERS = $(if $(IMAP),--imap "$$IMAP") $(if $(MEDIA),--media "$$MEDIA") $(if $(CLIENT),--client "$$CLIENT")

PACKAGES := wire imap-server media-server client testbed
MODULES := $(foreach name,wire imap media client testbed,$(wildcard */lemonade_$(name)))
export NAME MESSAGE RUN IMAP MEDIA CLIENT ROLE IMAGE
export SYSTEM MIRROR
export PIP_CACHE_DIR := $(CURDIR)/.tools/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
PIP := .venv/bin/python -m pip install --quiet --no-input

# make turns any failure into its own 2, so the code of lemonade itself is printed.
define lemonade
@.venv/bin/lemonade $(1) || { code=$$?; echo "lemonade: exit code $$code" >&2; exit $$code; }
endef

# A virtual environment knows its own path: one that was moved or copied along with its folder is made anew.
ifneq ($(file < .venv/.place),$(CURDIR))
.PHONY: .venv/.place
endif

.PHONY: help setup setup-dev scenario matrix bench vendor-check test lint prove judge images base-image up down clean
.DEFAULT_GOAL := help

help:
	@echo "make scenario   run every scenario, side by side   NAME=ivr-service  MESSAGE=my.eml  J=1  RUNTIME=docker|local  IMAP=dovecot"
	@echo "make test       run the tests                      ARGS='wire -k sdp'"
	@echo "make lint       ruff and mypy"
	@echo "make prove      show that every check can fail     NAME=ivr-service  J=6"
	@echo "make matrix     run them with every known peer     NAME=ivr-service  J=1"
	@echo "make bench      measure beside other makers' servers ARGS='urlfetch-big crowd'"
	@echo "make vendor-check  see if an image keeps the contract  ROLE=imap IMAGE=example/imap:1.0"
	@echo "make judge      judge a run again                  RUN=runs/latest  ARGS='--from capture'"
	@echo "make images     build the images for RUNTIME=docker, where they are not up to date"
	@echo "make base-image make what they are built from out of Debian packages, without a registry   MIRROR=http://..."
	@echo "make up, down   the servers for playing by hand    RUNTIME=docker|local"
	@echo "make setup      install into .venv                 PYTHON=python3.12  SYSTEM=1 (may use apt)"
	@echo "make clean      remove what was made here: tickets and keys first"

setup: .venv/.runtime
setup-dev: .venv/.dev

.venv/.place:
	@command -v "$(PYTHON)" >/dev/null || { \
		echo "There is no $(PYTHON) here: install Python 3.11 or later, or name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "$$("$(PYTHON)" --version) is too old: Python 3.11 or later is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		if [ -n "$(SYSTEM)$$CI" ]; then \
			sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
			$$sudo apt-get update -qq && $$sudo apt-get install -qq -y python3-venv; \
		else \
			echo "$(PYTHON) has no venv: run 'apt install python3-venv' as root, or 'make SYSTEM=1 $(MAKECMDGOALS)'" >&2; exit 1; \
		fi; }
	@echo "Setting up .venv"
	@rm -rf .venv && "$(PYTHON)" -m venv .venv
	@printf '%s' "$(CURDIR)" >.venv/.place

.venv/.runtime: .venv/.place requirements.lock $(addsuffix /pyproject.toml,$(PACKAGES))
	@echo "Installing what requirements.lock lists"
	@$(PIP) -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation $(foreach package,$(PACKAGES),-e ./$(package))
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	@echo "Installing what requirements-dev.lock lists"
	@$(PIP) -r requirements-dev.lock
	@touch $@

scenario: .venv/.runtime
	$(call lemonade,run $$NAME $(if $(NAME),,--all) $${MESSAGE:+--message "$$MESSAGE"} $(if $(J),-j $(J)) $(if $(RUNTIME),--runtime $(RUNTIME)) $(PEERS) $(ARGS))

matrix: .venv/.runtime
	$(call lemonade,matrix $$NAME $(if $(J),-j $(J)) $(ARGS))

bench: .venv/.runtime
	$(call lemonade,bench $(ARGS))

vendor-check: .venv/.runtime
	$(call lemonade,vendor-check --role "$$ROLE" --image "$$IMAGE" $(ARGS))

prove: .venv/.runtime
	$(call lemonade,prove $$NAME $(if $(J),-j $(J)) $(if $(RUNTIME),--runtime $(RUNTIME)))

judge: .venv/.runtime
	$(call lemonade,judge "$$RUN" $(ARGS))

images: .venv/.runtime
	$(call lemonade,images)

base-image: .venv/.runtime
	$(call lemonade,images --base)

up: .venv/.runtime
	$(call lemonade,up $(if $(RUNTIME),--runtime $(RUNTIME)))

down: .venv/.runtime
	$(call lemonade,down)

test: .venv/.dev
	@.venv/bin/python -m pytest -n auto --dist loadgroup $(ARGS)

lint: .venv/.dev
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy $(MODULES)

clean:
	-@[ ! -x .venv/bin/lemonade ] || .venv/bin/lemonade down
	@rm -rf runs/*/secret runs/*/store runs/*/*/secret runs/*/*/store
	@rm -rf runs .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis build */build */*.egg-info
	@find $(PACKAGES) scenarios -name __pycache__ -prune -exec rm -rf {} +
