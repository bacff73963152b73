# `make reproduce` (the main job) and `make test` install everything that they need into .venv.
SHELL := /bin/bash
PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
READY := $(VENV)/.ready
ACTIVATE := source $(VENV)/bin/activate

.PHONY: reproduce test bench gpu-check ui lint lock schemas reference

reproduce: $(READY)
	$(ACTIVATE) && snakemake --cores 8 --resources gpu=2

# Two processes, each with whole files of tests (tests/conftest.py); plain `pytest` does the same in one.
test: $(READY)
	$(ACTIVATE) && pytest -n 2

# Compares the speed of each part with its alternatives: half an hour on an otherwise idle machine.
bench: $(READY)
	$(ACTIVATE) && snakemake benchmark --cores 8 --resources gpu=2 --forcerun benchmark

# Checks this machine's GPU in at most 8 minutes: is it right, how fast is it, what would it be used for. Everything is in
# results/gpu-check; `.venv/bin/python -m alexnet2012.gpu_check --device cpu --tiny` rehearses it.
gpu-check: $(READY)
	$(ACTIVATE) && python -m alexnet2012.gpu_check

ui: $(READY)
	$(ACTIVATE) && alexnet2012 ui

lint: $(READY)
	$(ACTIVATE) && ruff check . && ruff format --check . && mypy && lint-imports && snakefmt --check Snakefile workflow && snakemake --lint

# Pins the currently installed versions, e.g. after an upgrade.
lock: $(READY)
	$(VENV)/bin/python envs/lock.py

# Writes the schemas by which editors complete the keys of config/*.yaml, after a change of settings.
schemas: $(READY)
	$(VENV)/bin/python -m alexnet2012.config.json_schema workflow/schemas

# Prepares the results of a run, finished or not, for committing: `make reference NAME=cifar10` copies them to
# results/reference/cifar10, without weights and probabilities, and renders tables, figures and report there.
# PICTURES=no leaves out figures that show images, if you may not publish these.
reference: $(if $(NAME),$(READY))
	@test -n "$(NAME)" || { echo "error: no run is named; write e.g. make reference NAME=cifar10" >&2; exit 1; }
	$(ACTIVATE) && alexnet2012 reference results/$(NAME) $(if $(filter no,$(PICTURES)),--no-pictures)

# PIP_ARGS goes to pip, e.g. PIP_ARGS="--extra-index-url URL" for an index with the CPU build of torch.
$(READY): envs/requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another one with PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install $(PIP_ARGS) -r envs/requirements.txt
	$(VENV)/bin/python -m pip install $(PIP_ARGS) --no-deps --editable .
	touch $@
