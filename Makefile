# Three commands for a bare clone: `make demo`, `make test`, `make lint`.
#
# Each makes .venv once (python3 -m venv) and installs into it; later calls only compare stamp files.
#   PYTHON      interpreter the environment is made with        (default python3)
#   VENV        where the environment lives                     (default .venv)
#   TORCH_SPEC  what to give pip for torch, e.g. "torch==2.13.0 --index-url https://…/whl/cpu"
#   OUT         where `make demo` writes                        (default demo_output)

PYTHON ?= python3
VENV ?= .venv
TORCH_SPEC ?= torch==2.13.0
OUT ?= demo_output
ARGS ?=

BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check -qq
SUITES := $(wildcard tests/core tests/nodes tests/fire tests/host tests/browser)
PAGE := tests/browser
PAGE_TOOLS := $(PAGE)/node_modules/.package-lock.json

.PHONY: demo test lint clean

demo: $(VENV)/.core
	@$(PY) -m pixwizard_core demo --out $(OUT) $(ARGS)

test: $(VENV)/.test $(PAGE_TOOLS)
	$(PY) -m pytest -c tests/pytest.ini $(SUITES) $(ARGS)

lint: $(VENV)/.lint $(PAGE_TOOLS)
	$(PY) -m ruff check .
	$(BIN)/basedpyright --pythonpath $(PY) --level error
	$(BIN)/bandit -q -c pyproject.toml -r pixwizard_core nodes
	@test ! -d $(PAGE)/node_modules || npm run --silent --prefix $(PAGE) lint

clean:
	rm -rf $(VENV) build *.egg-info

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	@touch $@

# torch comes first and alone, so that the build asked for is the one the rest is resolved against.
$(VENV)/.torch: $(VENV)/.made
	@$(PY) -c "import torch" 2>/dev/null || { echo "installing $(TORCH_SPEC)"; $(PIP) install $(TORCH_SPEC); }
	@touch $@

$(VENV)/.core: $(VENV)/.torch pyproject.toml
	@echo "installing pixwizard"
	@$(PIP) install -e .
	@touch $@

$(VENV)/.test: $(VENV)/.core
	@echo "installing the test packages"
	@$(PIP) install -e ".[test]"
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	@echo "installing the checkers"
	@$(PIP) install -e ".[lint]"
	@touch $@

# The page's type checker and browser driver. Without npm or a network their checks are left out.
$(PAGE_TOOLS): $(PAGE)/package-lock.json
	@npm ci --prefix $(PAGE) --no-audit --no-fund --loglevel=error --fetch-retries=0 \
	  || echo "npm could not install the page's tools: web/ is not checked, browser tests are skipped"
	@test ! -f $@ || touch $@
