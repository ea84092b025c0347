# Works with GNU make 3.81 and later; needs Python 3.11, 3.12 or 3.13 and nothing else.
# Another interpreter: make demo PYTHON=/path/to/python

VENV ?= .venv
BIN = $(VENV)/bin
PIP_INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST_ARGS ?=
# A worker for each core, of which each takes a gigabyte of memory; `-n 0` among PYTEST_ARGS runs without any.
PYTEST = $(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal
BENCHMARKS = $(filter-out benchmarks/_%,$(sort $(wildcard benchmarks/*.py)))

# Asked of each interpreter, because a name on the PATH may be too old, too new, or a stub.
SUITABLE = import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	if $$name -c '$(SUITABLE)' 2>/dev/null; then echo $$name; break; fi; done)

# A Library of its own, so that the demo leaves alone what the user indexed into indexes/.
DEMO_LIBRARY = indexes/demo
DEMO_SEARCHKIT = SEARCHKIT_LIBRARY=$(DEMO_LIBRARY) $(BIN)/searchkit

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test check format bench mini clean

help:  ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.installed  ## Index sample_corpus and answer three questions
	$(DEMO_SEARCHKIT) index sample_corpus --profile company-docs
	@for question in \
		"how do I get a new laptop" \
		"what happens to unused vacation days at the end of the year" \
		"a client ordered the wrong thing, do we take it back"; \
	do \
		printf '\n%s\n' "$$question"; \
		$(DEMO_SEARCHKIT) query "$$question" -k 3 || exit $$?; \
	done

test: $(VENV)/.installed-dev  ## Run the tests (PYTEST_ARGS="-m 'not slow'" for the quick ones)
	$(PYTEST) $(PYTEST_ARGS)

check: $(VENV)/.installed-dev  ## Format, lint, types, tests: all that must hold before a commit
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(PYTEST) $(PYTEST_ARGS)

format: $(VENV)/.installed-dev  ## Format the code and apply the safe lint fixes
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-dev  ## Run every script of benchmarks/
	@if [ -z "$(BENCHMARKS)" ]; then echo "no scripts in benchmarks/"; fi
	@for script in $(basename $(notdir $(BENCHMARKS))); do \
		echo "== $$script"; \
		$(BIN)/python -m "benchmarks.$$script" --save || exit $$?; \
	done

mini: $(VENV)/.installed-dev  ## Make searchkit/models/searchkit-mini again, in build/mini/shipped (SEARCHKIT_SHARED=...; takes hours)
	$(BIN)/python -m benchmarks._mini_rows build/mini
	$(BIN)/searchkit train build/mini/mini-1-follow.toml
	$(BIN)/searchkit train build/mini/mini-2-remember.toml
	rm -rf build/mini/shipped
	$(BIN)/searchkit models quantise build/mini/searchkit-mini/model build/mini/shipped --over all-MiniLM-L6-v2

clean:  ## Remove the environment, caches, builds and the demo's Library; other Libraries stay
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis $(DEMO_LIBRARY)
	find cli.py searchkit tests sample_corpus benchmarks -name __pycache__ -prune -exec rm -rf {} +

# pip is the last thing venv puts in: an environment that was cut short is made again.
$(BIN)/pip:
	@if [ -z "$(PYTHON)" ]; then \
		echo "no Python 3.11, 3.12 or 3.13 with venv found on the PATH;" \
			"name one: make PYTHON=/path/to/python3.11" >&2; \
		exit 1; \
	fi
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# Touched last: an installation that was cut short is done again.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing searchkit into $(VENV), once; this takes a minute or more"
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing searchkit and its development tools into $(VENV), once; this takes a minute or more"
	@$(PIP_INSTALL) -e '.[dev]'
	@touch $@ $(VENV)/.installed
