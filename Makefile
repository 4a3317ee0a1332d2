# Everything runs in the project's own environment, .venv; nothing else on the machine is changed.
PYTHON ?= $(shell for p in python3.13 python3 python3.12 python3.11; do \
	if $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo $$p; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export UV_PROJECT_ENVIRONMENT := $(VENV)
export PYTHONHASHSEED := 0

# Tools of the cloud pin old versions of what the product uses: they live in environments of their own.
CLOUD := .venv-cloud
CHECKOV := .venv-checkov
ARCHITECTURE ?= arm64
SAM := PATH="$(CURDIR)/$(CLOUD)/bin:$(CURDIR)/$(BIN):$$PATH" SAM_CLI_TELEMETRY=0 ARCHITECTURE=$(ARCHITECTURE) $(CLOUD)/bin/sam
TEMPLATES := template.yaml infra/people.yaml infra/watching.yaml infra/athena.yaml

.PHONY: help setup demo test check check-code check-cloud format bench plan differential fuzz crash tamper seals clean
.PHONY: cloud-faults deliveries erasures bench-delivery bench-audit
.PHONY: build deploy cloud-demo test-cloud bench-aws layer-locks

help:
	@echo "make demo          set up, then sanitize the sample lists"
	@echo "make test          set up, then run the tests"
	@echo "make check         ruff, mypy, and the checks of the templates"
	@echo "make bench         the naive script and the product, side by side"
	@echo "make build         what goes to AWS (ARCHITECTURE=x86_64 for another processor than arm64)"
	@echo "make deploy        bring it to AWS: STACK=name, and what AWS asks for in the environment"
	@echo "make cloud-demo    the whole application on an emulator on this machine"
	@echo "make test-cloud    tests of the deployed application, on the emulator"
	@echo "make bench-aws     sizes of the layers, cold starts of the functions"
	@echo "make differential  the two phone paths against each other, at length"
	@echo "make fuzz          hostile files, at length"
	@echo "make crash         kill -9 during run, at length"
	@echo "make tamper        12 kinds of tampering at 1,000 places of an audit log"
	@echo "make seals         8 writers and a crashing sealer, 500 times"
	@echo "make cloud-faults  every call of AWS struck while a list is made, 1,000 seeds of messages in any order"
	@echo "make erasures      an erasure killed at each of its effects, in a home and in a stack"
	@echo "make deliveries    redemptions at once with 1,000 seeds, 100,000 people to two senders"
	@echo "make bench-delivery  deliver a million rows, redeem their tokens"
	@echo "make bench-audit   verify and report on an audit log of a million events"
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

check: check-code check-cloud

check-code: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

check-cloud: $(READY) $(CLOUD)/.ready $(CHECKOV)/.ready
	@$(BIN)/cfn-lint $(TEMPLATES)
	@AWS_DEFAULT_REGION=eu-central-1 $(SAM) validate --lint
	@$(CHECKOV)/bin/checkov --config-file .checkov.yaml $(TEMPLATES:%=--file %)

$(CLOUD)/.ready: infra/tools/pyproject.toml infra/tools/uv.lock $(READY)
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/$(CLOUD) $(BIN)/uv sync --quiet --frozen --compile-bytecode --project infra/tools --group deploy
	@touch $@

$(CHECKOV)/.ready: infra/tools/pyproject.toml infra/tools/uv.lock $(READY)
	@UV_PROJECT_ENVIRONMENT=$(CURDIR)/$(CHECKOV) $(BIN)/uv sync --quiet --frozen --compile-bytecode --project infra/tools --group policy
	@touch $@

# A cache for each processor: sam knows a cached layer by its sources alone, whatever it was built for.
build: $(CLOUD)/.ready
	@$(SAM) build --cached --cache-dir .aws-sam/cache-$(ARCHITECTURE) --parameter-overrides Architecture=$(ARCHITECTURE)

STACK ?= contact-sanitizer
deploy: build
	@$(SAM) deploy --stack-name $(STACK) --resolve-s3 --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND \
	  --parameter-overrides Architecture=$(ARCHITECTURE) $(PARAMETERS)

cloud-demo: $(CLOUD)/.ready
	@$(BIN)/python infra/local/demo.py

test-cloud: $(CLOUD)/.ready
	@$(BIN)/python -m pytest tests/cloud

bench-aws: $(CLOUD)/.ready
	@$(BIN)/python infra/local/coldstart.py

layer-locks: $(READY)
	@for layer in light engine; do $(BIN)/uv export --quiet --frozen --only-group layer-$$layer --no-emit-project \
	  --no-annotate --no-header > infra/layers/$$layer.txt; done

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
	@CONTACT_SANITIZER_TAMPER=1000 $(BIN)/python -m pytest -n auto --dist worksteal tests/audit/test_audit_tamper.py

seals: $(READY)
	@CONTACT_SANITIZER_SEALS=500 $(BIN)/python -m pytest -n auto tests/audit/test_audit_seal.py

cloud-faults: $(READY)
	@CONTACT_SANITIZER_CLOUD_FAULTS=1 CONTACT_SANITIZER_CLOUD_SEEDS=1000 $(BIN)/python -m pytest -n auto --dist worksteal \
	  tests/handlers/test_handlers_faults.py tests/handlers/test_handlers_races.py tests/handlers/test_handlers_unaudited.py

erasures: $(READY)
	@CONTACT_SANITIZER_ERASURES=1 $(BIN)/python -m pytest -n auto tests/faults/test_faults_erase.py

deliveries: $(READY)
	@CONTACT_SANITIZER_SEEDS=1000 CONTACT_SANITIZER_PEOPLE=100000 $(BIN)/python -m pytest -n auto tests/delivery

bench-delivery: $(READY)
	@$(BIN)/python benchmarks/delivery.py

# AGAINST: the functions folder of another version, to run it alternately.
bench-audit: $(READY)
	@$(BIN)/python benchmarks/audit.py --against "$(AGAINST)"

plan: $(READY)
	@$(BIN)/python -m contact_sanitizer.phone.compile

clean:
	rm -rf $(VENV) $(CLOUD) $(CHECKOV) .aws-sam build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
