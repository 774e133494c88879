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
export NAME MESSAGE RUN IMAP MEDIA CLIENT ROLE IMAGE
export SYSTEM MIRROR
export PIP_CACHE_DIR := $(CURDIR)/.tools/pip
export PIP_DISABLE_PIP_VERSION_CHECK := 1
PIP := .venv/bin/python -m pip install --quiet --no-input
# A call for each package, because the tests of two packages have modules of the same name. All share one cache.
MYPY = $(foreach package,$(PACKAGES),.venv/bin/mypy conftest.py $(filter-out %.egg-info,$(wildcard $(addprefix $(package)/,lemonade_* tests tools))) &&) :
# Each schema comes with check-jsonschema: nothing is fetched.
SCHEMA := .venv/bin/check-jsonschema --builtin-schema
COMPOSE := compose/compose.yaml $(wildcard compose/vendors/*/compose.yaml)
# One lock for all Pythons from 3.11: uv writes what one of them needs alone with a marker. Renovate repeats this command
# from the first lines of a lock, and knows no other options than these.
LOCK := .venv/bin/uv pip compile --quiet --universal --python-version=3.11 --generate-hashes
# The authorities that this machine trusts, as pip does where it is told to
export UV_SYSTEM_CERTS := 1

# make turns any failure into its own 2, so the code of lemonade itself is printed.
define lemonade
@.venv/bin/lemonade $(1) || { code=$$?; echo "lemonade: exit code $$code" >&2; exit $$code; }
endef

# A virtual environment knows its own path: one that was moved or copied along with its folder is made anew.
ifneq ($(file < .venv/.place),$(CURDIR))
.PHONY: .venv/.place
endif

.PHONY: help setup setup-dev lock scenario matrix bench vendor-check test mypy lint prove judge images base-image up down clean
.PHONY: test-programs test-containers scenario-rfc5616 scenario-dovecot scenario-cyrus scenario-sipp scenario-baresip
.PHONY: vendor-checks refusals fuzz soak
.DEFAULT_GOAL := help

help:
	@echo "make scenario   run every scenario, side by side   NAME=ivr-service  MESSAGE=my.eml  J=1  RUNTIME=docker|local  IMAP=dovecot"
	@echo "make test       run the tests                      ARGS='wire -k sdp'"
	@echo "                make test COVERAGE=1              prints how much of the code the tests execute"
	@echo "make lint       ruff, mypy, and the schemas of the workflow files"
	@echo "make prove      show that every check can fail     NAME=ivr-service  J=6"
	@echo "make matrix     run them with every known peer     NAME=ivr-service  J=1"
	@echo "make bench      measure beside other makers' servers ARGS='urlfetch-big crowd'"
	@echo "make fuzz       feed generated octets to the parsers  MINUTES=1  ARGS='--target sdp --keep'"
	@echo "make soak       calls and logins, while memory is read  HOURS=0.05"
	@echo "make vendor-check  see if an image keeps the contract  ROLE=imap IMAGE=example/imap:1.0"
	@echo "make judge      judge a run again                  RUN=runs/latest  ARGS='--from capture'"
	@echo "make images     build the images for RUNTIME=docker, where they are not up to date"
	@echo "make base-image make what they are built from out of Debian packages, without a registry   MIRROR=http://..."
	@echo "make up, down   the servers for playing by hand    RUNTIME=docker|local"
	@echo "make setup      install into .venv                 PYTHON=python3.12  SYSTEM=1 (may use apt)"
	@echo "make lock       make the lock files anew           ARGS=--upgrade  ARGS='--upgrade-package ruff'"
	@echo "make clean      remove what was made here: tickets and keys first"

# Versions that the inputs still allow stay as they are; ARGS=--upgrade takes the newest.
lock: .venv/.dev
	@$(LOCK) $(ARGS) --output-file=requirements.lock requirements.in >/dev/null
	@$(LOCK) $(ARGS) --output-file=requirements-dev.lock requirements-dev.in >/dev/null

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
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation $(foreach package,$(PACKAGES),-e ./$(package))
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	@echo "Installing what requirements-dev.lock lists"
	@$(PIP) --require-hashes -r requirements-dev.lock
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

# -- what CI runs besides (docs/ci.md)

# Programs of other makers that drive the nodes in their tests
test-programs:
	@sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo apt-get update -qq && \
	$$sudo apt-get install -qq -y --no-install-recommends curl isync mutt sip-tester

scenario-rfc5616: .venv/.runtime
	$(call lemonade,run --all --profile rfc5616 $(if $(J),-j $(J)) $(if $(RUNTIME),--runtime $(RUNTIME)))

# The scenarios in which a peer has a part; `make matrix` runs all of them with each peer.
MAIL := announcement-service ivr-service discovery anonymous-life expired-ticket forged-ticket revoked-ticket \
    part-is-text retrieval-failures fetch-cut kept-connection
CALLS := announcement-service ivr-service unknown-caller expired-ticket video-rejected invite-lost ok-lost bye-lost

scenario-dovecot scenario-cyrus: scenario-%: .venv/.runtime
	$(call lemonade,run $(MAIL) --imap $* $(if $(J),-j $(J)) --runtime docker)

scenario-sipp scenario-baresip: scenario-%: .venv/.runtime
	$(call lemonade,run $(CALLS) --client $* $(if $(J),-j $(J)) --runtime docker)

# Each image that stands here for a node: those of the reference nodes, and those of other makers
VENDORS := imap:lemonade-imap media:lemonade-media client:lemonade-client \
    imap:dovecot imap:cyrus client:sipp client:baresip

vendor-checks: .venv/.runtime
	@set -e; for one in $(VENDORS); do echo "-- $$one"; \
	    .venv/bin/lemonade vendor-check --role "$${one%%:*}" --image "$${one#*:}"; done

test-containers:
	@$(MAKE) --no-print-directory test ARGS="testbed -k 'docker or capture or vendors or playground' $(ARGS)"

# Ends with an error where the command does not end with that exit code.
define exits
@code=0; $(2) || code=$$?; [ "$$code" -eq $(1) ] || { echo "exit code $$code instead of $(1): $(2)" >&2; exit 1; }
endef

# An image that breaks the contract is found out as IMAP server and as client (4), and a peer without containers is a
# wrong call (2). The build reaches no registry; the classic builder is there wherever an engine is.
refusals: .venv/.runtime
	@DOCKER_BUILDKIT=0 docker build --quiet -t lemonade-vendor-bad -f compose/vendors/bad/Dockerfile compose/vendors
	$(call exits,4,.venv/bin/lemonade vendor-check --role imap --image lemonade-vendor-bad)
	$(call exits,4,.venv/bin/lemonade vendor-check --role client --image lemonade-vendor-bad)
	$(call exits,2,.venv/bin/lemonade run --all --imap dovecot --runtime local)

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
	@$(if $(filter local,$(RUNTIME)),env -u CI DOCKER_HOST=none) .venv/bin/python -m pytest -n auto --dist loadgroup $(if $(COVERAGE),--cov --cov-report=term) $(ARGS)

# Both programs are maintainers' tools, which no package installs.
fuzz soak: .venv/.dev
	@PYTHONPATH=testbed/tools .venv/bin/python -m $@ $(if $(MINUTES),--minutes $(MINUTES)) $(if $(HOURS),--hours $(HOURS)) $(ARGS)

mypy: .venv/.dev
	@$(MYPY)

lint: .venv/.dev
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@$(MYPY)
	@$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	@$(SCHEMA) custom.github-workflows-require-timeout .github/workflows/*.yml
	@$(SCHEMA) vendor.gitlab-ci --data-transform gitlab-ci .gitlab-ci.yml
	@$(SCHEMA) vendor.dependabot .github/dependabot.yml
	@$(SCHEMA) vendor.renovate renovate.json
	@$(SCHEMA) vendor.compose-spec $(COMPOSE)
	@table="$$(.venv/bin/lemonade clauses --coverage)" || { printf '%s\n' "$$table"; exit 1; }

clean:
	-@[ ! -x .venv/bin/lemonade ] || .venv/bin/lemonade down
	@rm -rf runs/*/secret runs/*/store runs/*/*/secret runs/*/*/store
	@rm -rf runs .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage build */build */*.egg-info
	@find $(PACKAGES) scenarios -name __pycache__ -prune -exec rm -rf {} +
