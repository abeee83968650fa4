# `make` or `make help` lists the verbs. Each sets up what it needs.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
options ?=

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all lessons check bench docs starters

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(READY) ## make .venv and install septet into it

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

demo: $(READY) ## from a bare checkout to generated content
	$(BIN)/septet demo $(options)

test: $(READY) ## the tests that take seconds each
	$(BIN)/python -m pytest -q $(options)

test-all: $(READY) ## every test, the slow ones too
	$(BIN)/python -m pytest -q -m "slow or not slow" $(options)

lessons: $(READY) ## every page of docs/lessons, as it stands
	$(BIN)/python -m pytest -q -m lesson tests/docs/test_lessons.py $(options)

check: $(READY) ## lint, format, types, and the project's habits
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/python -m pytest -q tests/habits

bench: $(READY) ## every benchmark, one after another; options=--quick for a short look
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	set -e; for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script $(options); done

docs: $(READY) ## write the command page and the notebooks anew, then run every example in the documents
	$(BIN)/python -m typer septet.cli.app utils docs --name septet --output docs/commands.md
	$(BIN)/python docs/lessons/notebooks.py
	$(BIN)/python -m pytest -q tests/docs

starters: $(READY) ## train the models that ship with the package (hours)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[prep]'
	set -e; for script in pretraining/train_*.py; do echo "== $$script"; $(BIN)/python $$script --publish $(options); done
