# Two commands do all the set-up: `make reproduce` (the main job) and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
PIP_ARGS ?=
VENV := .venv
READY := $(VENV)/.ready
ACTIVATE := source $(VENV)/bin/activate

.PHONY: reproduce test bench ui lint lock reference

reproduce: $(READY)
	$(ACTIVATE) && snakemake --cores 8 --resources gpu=2

# Two processes, each with whole files of tests (tests/conftest.py); plain `pytest` does the same in one.
test: $(READY)
	$(ACTIVATE) && pytest -n 2

# Each part beside what people would use instead: half an hour on a machine with nothing else to do.
bench: $(READY)
	$(ACTIVATE) && snakemake benchmark --cores 8 --resources gpu=2 --forcerun benchmark

ui: $(READY)
	$(ACTIVATE) && alexnet2012 ui

lint: $(READY)
	$(ACTIVATE) && ruff check . && ruff format --check . && snakefmt --check Snakefile workflow && snakemake --lint

# Pins what is installed now, after an upgrade.
lock: $(READY)
	$(VENV)/bin/python envs/lock.py

# What a finished run found, to be committed: tables, figures, report, records, and per image what tables count; without
# weights and probabilities: `make reference NAME=cifar10`. Benchmarks that were measured at another time stay. PICTURES=no
# leaves out what shows images, where these are not yours to publish.
reference:
	@test -n "$(NAME)" && test -f "results/$(NAME)/experiments.json" || { echo "error: results/$(NAME)/experiments.json is not there; name a finished run, e.g. NAME=cifar10" >&2; exit 1; }
	mkdir -p results/reference/$(NAME) && find results/reference/$(NAME) -type f -not -name 'benchmarks.*' -delete
	cd results/$(NAME) && find tables experiments.json $(if $(filter no,$(PICTURES)),,report.html figures) predictions analyses $$(find runs -name record.json -printf '%h\n') $(foreach optional,calibration benchmarks.json,$(if $(wildcard results/$(NAME)/$(optional)),$(optional))) -type f -not -path '*/state/*' -not -name run.json \
	    \( -name '*.md' -o -name '*.json' -o -name '*.yaml' -o -name '*.parquet' -o -name '*.png' -o -name '*.html' \
	    -o -name '*-ranks.npz' -o -name answers.npz $(if $(filter no,$(PICTURES)),,-o -name examples.npz) \) \
	    -exec cp --parents -t ../reference/$(NAME) {} +

# PIP_ARGS goes to pip, e.g. PIP_ARGS="--extra-index-url URL" for an index with the CPU build of torch.
$(READY): envs/requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name another one with PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install $(PIP_ARGS) -r envs/requirements.txt
	$(VENV)/bin/python -m pip install $(PIP_ARGS) --no-deps --editable .
	touch $@
