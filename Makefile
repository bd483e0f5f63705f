# `make` alone lists what there is. Every target works in a fresh clone.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first Python on this machine that is 3.11 or later; 3.11 is the one tried.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)
PY := .venv/bin/python
TEST_MODELS := $(or $(MENTORING_MODELS),$(CURDIR)/.cache/models)

# HOST and DATA count on make's command line alone: shells set variables of these names for themselves.
HOST_FLAG := $(if $(filter command line,$(origin HOST)),--host $(HOST))
PORT_FLAG := $(if $(PORT),--port $(PORT))
DATA_SETTING := $(if $(filter command line,$(origin DATA)),MENTORING_DATA="$(DATA)")

.PHONY: help python setup setup-dev run test check fresh evals bench lock clean

help: ## list the targets
	@echo "make TARGET, where TARGET is one of:"
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  \1|/' | \
		while IFS='|' read -r name text; do printf '%-10s %s\n' "$$name" "$$text"; done

python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed and was not found." \
		"Install it, or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }

setup: python ## make .venv, install the locked versions, prepare the models once (TORCH=cuda for CUDA)
	@$(DATA_SETTING) $(PYTHON) scripts/setup.py

setup-dev: python
	@MENTORING_MODELS="$(TEST_MODELS)" $(PYTHON) scripts/setup.py --dev

run: setup ## start on http://127.0.0.1:7860 (PORT=…, HOST=…, DATA=folder)
	@$(DATA_SETTING) exec $(PY) -m assistant serve $(HOST_FLAG) $(PORT_FLAG)

test: setup-dev ## every test: quick ones, then models and wheel, then the browser
	@MENTORING_MODELS="$(TEST_MODELS)" scripts/test.sh

check: python ## format, lint, types, architecture
	@$(PYTHON) scripts/setup.py --dev --no-models
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -m pytest tests/test_architecture.py

fresh: ## make test and make run in an empty clone of HEAD with an empty HOME
	@scripts/fresh.sh

evals: setup-dev ## measure quality on the evaluation data
	@MENTORING_MODELS="$(TEST_MODELS)" $(PY) -m benchmarks.evaluate

bench: setup-dev ## measure speed, and ways to run the small model
	@MENTORING_MODELS="$(TEST_MODELS)" $(PY) -m benchmarks.speed
	@MENTORING_MODELS="$(TEST_MODELS)" $(PY) -m benchmarks.engines

lock: python ## write the locks in requirements/ anew (needs a network)
	@$(PYTHON) scripts/setup.py --dev --no-models
	@$(PY) scripts/lock.py

clean: ## remove .venv, caches and build leftovers; your data stays
	rm -rf .venv .cache build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
