# Every target is a line that could be typed. PARAMS picks a parameter file, DATA a folder of recordings;
# NOISE and RESPONSES are folders as of asd scenes --noise and --impulse-responses.
PYTHON ?= python3
PARAMS ?= params/demo.yaml
BIN := .venv/bin
# the shell reads them as they were typed, whatever characters they hold
override PARAMS := $(value PARAMS)
override DATA := $(value DATA)
override NOISE := $(value NOISE)
override RESPONSES := $(value RESPONSES)
export PARAMS DATA NOISE RESPONSES

.PHONY: env report test faults lint bench verdict lab scenes clean

env: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys, ensurepip; assert sys.version_info >= (3, 11)' 2>/dev/null || { \
	  echo "$(PYTHON): Python 3.11 or newer with venv is needed (Debian: apt install python3-venv);" \
	    "to take another one: make env PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[report,test,cluster,encoder]'
	touch $@

report: env
	$(BIN)/asd report --params "$$PARAMS" $(if $(DATA),--data "$$DATA")

test: env
	$(BIN)/python -m pytest

faults: env
	$(BIN)/python -m pytest --every-fault -m kind --dist load

lint: env
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: env
	$(BIN)/python benchmarks/bench.py

verdict: env
	$(BIN)/python studies/untrained.py $(if $(NOISE),--noise "$$NOISE") \
	  $(if $(RESPONSES),--impulse-responses "$$RESPONSES")
	$(BIN)/python studies/verdict.py $(if $(NOISE),--noise "$$NOISE") \
	  $(if $(RESPONSES),--impulse-responses "$$RESPONSES")

# notebooks open on a double click; the settings for that are the project's, not the user's
lab: export JUPYTER_CONFIG_DIR := $(CURDIR)/.venv/jupyter
lab: env
	$(BIN)/jupytext-config set-default-viewer python
	$(BIN)/jupyter lab notebooks --LabApp.news_url=None \
	  --LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate$(if $(filter 0,$(shell id -u)), --allow-root)

scenes: env
	$(BIN)/asd scenes scenes --truth

clean:
	rm -rf _build results
