# make run    the demonstration: installs, trains on the demo tags, classifies the demo images
# make test   everything that must hold: style, types, tests; with the plugins of plugins/ installed
#             (BATCHCLS_FRESH=1 make test: with each command in a fresh interpreter, twice as long)
# make soak   the tests with random input, with 100 times as much of it (a few minutes)
# make bench  this project beside what else one would write, in a table (ten minutes)
# make bench-scale  what a run of millions meets besides its images: names, rows, tasks (15 minutes)
# make format puts the code into its form

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# What the machine has; tests are spread over it.
WORKERS ?= auto
PLUGINS := $(wildcard plugins/batchcls-*)

.PHONY: run test soak bench bench-scale lint format clean

run: $(VENV)/installed
	BATCHCLS_LOG_LEVEL=normal $(BIN)/batchcls run

test: lint $(VENV)/installed-plugins
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

soak: $(VENV)/installed-plugins
	BATCHCLS_SOAK=100 $(BIN)/python -m pytest -n $(WORKERS) --timeout 7200 -m fuzz

bench: $(VENV)/installed-bench
	$(BIN)/python -m benchmarks

bench-scale: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks.scale

lint: $(VENV)/installed-plugins
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "Python 3.10 to 3.13 is needed; name one: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(VENV)/installed-bench: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@

# As anyone would install them: not to be edited in place, so anew after each change.
$(VENV)/installed-plugins: $(VENV)/installed-dev $(shell find plugins -name '*.py' -o -name '*.toml')
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(PLUGINS:%=./%[dev])
	@touch $@

clean:
	rm -rf $(VENV) demo.batchcls report.csv report.html build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
