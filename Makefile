# make run | test | test-all | lint | smoke | docs | clean.  STUDY=configs/NAME.yaml chooses another study for `run`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUDY ?=
# without the deprecation that an old pip tells of one package, which is installed all the same
PIP = $(BIN)/python -W ignore:DEPRECATION -m pip install --quiet --disable-pip-version-check

.PHONY: run smoke test test-all lint docs lock clean

run: $(VENV)/run.stamp
	@$(BIN)/python -m spinloom run $(STUDY)

smoke:
	@$(MAKE) --no-print-directory run STUDY=configs/smoke.yaml

PYTEST = PATH="$(CURDIR)/$(BIN):$$PATH" python -m pytest -n 2 --dist loadfile --durations 20 --durations-min 2

# without the tests that are marked long
test: $(VENV)/test.stamp
	$(PYTEST) -m "not long and not survival"

# as CI does
test-all: $(VENV)/test.stamp
	$(PYTEST)

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --lint
	PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python

# the site, build/site/index.html; a warning, as of a link that leads nowhere, is an error
docs: $(VENV)/docs.stamp
	PATH="$(CURDIR)/$(BIN):$$PATH" sphinx-build --quiet --fail-on-warning --keep-going --builder html docs build/site
	@echo "build/site/index.html"

# the pins of all requirements with the hashes of their files for every platform; needs uv, and a network
lock:
	for file in requirements requirements-slurm requirements-test requirements-docs; do \
	  { grep -E '^(#|-r )' $$file.txt; \
	    grep -vE '^(#|-r )' $$file.txt | uv pip compile --quiet --universal --python-version 3.11 --no-deps \
	      --generate-hashes --no-header --no-annotate --no-emit-index-url -; } > $$file.new && mv $$file.new $$file.txt || exit 1; \
	done

clean:
	rm -rf $(VENV) build .snakemake .cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "results/ stays; rm -r results/STUDY deletes a study"

$(VENV)/run.stamp: requirements.txt
	@command -v $(PYTHON) > /dev/null \
	  || { echo "error: found no $(PYTHON); install Python 3.11 to 3.13, or call make with PYTHON=/path/to/python"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: $(PYTHON) is older than 3.11; call make with PYTHON=python3.11 or newer"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null \
	  || { echo "error: $(PYTHON) makes no environments; on Debian: apt install python3-venv"; exit 2; }
	@echo "installing the pinned packages into $(VENV): a minute or two, 1.2 GB"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp requirements-test.txt requirements-slurm.txt
	$(PIP) -r requirements-test.txt
	@touch $@

$(VENV)/docs.stamp: $(VENV)/test.stamp requirements-docs.txt
	$(PIP) -r requirements-docs.txt
	@touch $@
