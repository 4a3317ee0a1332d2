# Everything runs in the project's own environment, .venv; nothing else on the machine is changed.
PYTHON ?= $(shell for p in python3.13 python3 python3.12 python3.11; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export UV_PROJECT_ENVIRONMENT := $(VENV)
export PYTHONHASHSEED := 0

.PHONY: help setup demo test check format bench plan differential fuzz crash tamper seals clean

help:
	@echo "make demo          set up, then sanitize the sample lists"
	@echo "make test          set up, then run the tests"
	@echo "make check         ruff and mypy"
	@echo "make bench         the naive script and the product, side by side"
	@echo "make differential  the two phone paths against each other, at length"
	@echo "make fuzz          hostile files, at length"
	@echo "make crash         kill -9 during run, at length"
	@echo "make tamper        12 kinds of tampering at 1,000 places of an audit log"
	@echo "make seals         8 writers and a crashing sealer, 500 times"
	@echo "make plan          rebuild the numbering plan from the installed phonenumbers"

setup: $(READY)

$(READY): pyproject.toml uv.lock
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$$(sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"/\1/p;}' uv.lock)"
	@$(BIN)/uv sync --quiet --frozen --all-extras --compile-bytecode --python $(BIN)/python
	@$(BIN)/python -m compileall -q functions
	@touch $@

demo: $(READY)
	@$(BIN)/python examples/demo.py

test: $(READY)
	@$(BIN)/python -m pytest -n auto

check: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(READY)
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY)
	@$(BIN)/python benchmarks/bench.py

differential: $(READY)
	@cd tests/phone && PYTHONPATH=.. ../../$(BIN)/python -c "import test_phone_plan as plan, test_phone_vector as vector; \
	plan.check(1_000_000, 50_000, 11); print('the plan agrees with phonenumbers on 1,000,000 digit strings'); \
	[print(f'seed {seed}: 250,000 cells alike, {vector.check(250_000, seed):.0%} read by columns', flush=True) for seed in range(8)]"

fuzz: $(READY)
	@CONTACT_SANITIZER_FUZZ=10000 $(BIN)/python -m pytest -n auto tests/faults/test_faults_files.py

crash: $(READY)
	@CONTACT_SANITIZER_KILLS=200 $(BIN)/python -m pytest tests/faults/test_faults_kill.py

tamper: $(READY)
	@CONTACT_SANITIZER_TAMPER=1000 $(BIN)/python -m pytest -n auto tests/audit/test_audit_tamper.py

seals: $(READY)
	@CONTACT_SANITIZER_SEALS=500 $(BIN)/python -m pytest -n auto tests/audit/test_audit_seal.py

plan: $(READY)
	@$(BIN)/python -m contact_sanitizer.phone.compile

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
