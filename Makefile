# Two commands: `make demo` runs the main job on real data, `make test` passes the tests.
# Everything is installed into .venv from hash-pinned locks; nothing but Python, git and make is needed.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
LOCKS := infra/locks
SERVE ?= 1
export PYTHONDONTWRITEBYTECODE :=
export DO_NOT_TRACK := true

.PHONY: demo test up setup setup-dev lint format bench audit lock clean

demo: setup  ## the main job on 1,989 real mortgage applications, through Airflow
	$(BIN)/clew demo --land examples/boston_mortgages/land.py \
	  --candidate naive --candidate fair $(if $(filter 0,$(SERVE)),--no-serve,)

up: setup  ## Airflow, MLflow and the reports, until Ctrl-C
	$(BIN)/clew up

test: setup-dev lint  ## lint, types, layers and all tests
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

lint: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup-dev
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: setup-dev  ## the tables of docs/reference/benchmarks.md
	$(BIN)/python benchmarks/retrain.py

audit: setup-dev  ## every locked package among known vulnerabilities; 69: nobody could be asked
	$(BIN)/python infra/audit.py

setup: .venv/clew.done
setup-dev: .venv/dev.done

.venv/uv.done: $(LOCKS)/bootstrap.lock
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Clew needs Python 3.11, 3.12 or 3.13: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	touch $@

INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes

.venv/clew.done: $(LOCKS)/clew.lock $(LOCKS)/examples.lock $(LOCKS)/model.lock .venv/uv.done
	@echo "setting up from the locks, once: about a minute and 2 GB"
	$(INSTALL) -r $(LOCKS)/clew.lock
	$(INSTALL) --no-deps -r $(LOCKS)/examples.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	$(BIN)/clew init
	touch $@

.venv/dev.done: $(LOCKS)/dev.lock .venv/clew.done
	$(INSTALL) -r $(LOCKS)/dev.lock
	touch $@

COMPILE = $(CURDIR)/$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --no-header

lock: .venv/uv.done  ## resolve the locks again; the smaller ones are subsets of dev.lock
	cd $(LOCKS) && $(COMPILE) dev.in -o dev.lock
	cd $(LOCKS) && for name in clew model bootstrap http; do \
	  $(COMPILE) -c dev.lock $$name.in -o $$name.lock || exit 1; done
	cd $(LOCKS) && $(COMPILE) --no-deps examples.in -o examples.lock

clean:  ## remove the virtual environment and the state folder
	rm -rf .venv var
