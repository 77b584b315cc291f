# Everything sets itself up: a bare machine needs Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
JOBS ?= 4
# test processes: most tests wait, for brokers and timeouts

.PHONY: help demo test coverage check test-kafka test-kafka-faults test-redis test-prometheus test-native native native-check chaos chaos-short chaos-long chaos-planted bench bench-hanging docs format lock wheel clean
.DEFAULT_GOAL := help

help: ## these lines
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: pushgw needs Python 3.11 or newer; name it with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP) ## the main job on embedded parts: what is pushed, what is not, and why
	$(BIN)/pushgw demo

test: $(STAMP) ## all tests but those that need a real Apache Kafka, Redis or Prometheus
	$(BIN)/pytest tests/workers # starts and kills processes: alone, without others beside it
	$(BIN)/pytest -n $(JOBS) --dist loadfile --max-worker-restart 0 --ignore=tests/workers

coverage: $(STAMP) ## branches of vendors/ that the tests take: at least 95 %
	$(BIN)/coverage run -m pytest tests/vendors tests/vendor tests/credentials --ignore tests/vendor/test_transports.py
	$(BIN)/coverage report

check: $(STAMP) ## format, lint, types, floors
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

KAFKA_LIB := .kafka/lib
$(KAFKA_LIB)/.fetched: tests/kafka/pom.xml
	@command -v java >/dev/null || { echo "make test-kafka: needs Java 17 or newer (no 'java' found); 'make test' does without"; exit 1; }
	@command -v mvn >/dev/null || { echo "make test-kafka: needs Maven (no 'mvn' found) to fetch Apache Kafka; 'make test' does without"; exit 1; }
	mvn -q -f tests/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory=$(CURDIR)/$(KAFKA_LIB)
	@touch $@

test-kafka: $(STAMP) $(KAFKA_LIB)/.fetched ## end-to-end tests on a real Apache Kafka (Java 17, Maven)
	$(BIN)/pytest -n 2 --dist loadfile --max-worker-restart 0 -m kafka tests

test-redis: $(STAMP) ## state on a real Redis: alone, as a cluster, behind sentinels (redis-server 7 or Valkey)
	@command -v redis-server >/dev/null || command -v valkey-server >/dev/null || { echo "make test-redis: needs redis-server 7 or newer, or valkey-server (Debian: apt-get install redis-server); 'make test' does without"; exit 1; }
	$(BIN)/pytest -m redis tests

test-kafka-faults: $(STAMP) $(KAFKA_LIB)/.fetched ## brokers die, topics vanish, rights are taken away: three real brokers
	$(BIN)/pytest -m kafka_faults tests/kafka_faults

test-prometheus: $(STAMP) ## tests with a real Prometheus and promtool
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || { echo "make test-prometheus: needs prometheus and promtool (Debian: apt-get install prometheus); 'make test' does without"; exit 1; }
	$(BIN)/pytest -m prometheus tests

chaos: $(STAMP) $(KAFKA_LIB)/.fetched ## 40,000 records while a nemesis kills gateways, Kafka and Redis; nothing lost or doubled (5 min)
	$(BIN)/python -m tests.chaos $(CHAOS)

chaos-short: $(STAMP) $(KAFKA_LIB)/.fetched ## the same with 4,000 records, on SQLite and on Redis (2 min)
	$(BIN)/python -m tests.chaos --profile short --state sqlite $(CHAOS)
	$(BIN)/python -m tests.chaos --profile short --state redis $(CHAOS)

chaos-long: $(STAMP) $(KAFKA_LIB)/.fetched ## the same with 1,000,000 records and 30 % vendor faults (hours)
	$(BIN)/python -m tests.chaos --profile long $(CHAOS)

chaos-planted: $(STAMP) $(KAFKA_LIB)/.fetched ## bugs that are planted in a copy must be caught by the short run
	$(BIN)/pytest -m chaos tests/chaos

NATIVE := $(VENV)/.native
NATIVE_SOURCES := $(wildcard native/src/*.rs) native/Cargo.toml native/Cargo.lock native/pyproject.toml
MATURIN := maturin==1.16.0

$(NATIVE): $(STAMP) $(NATIVE_SOURCES)
	@cargo --version >/dev/null 2>&1 || { echo "make native: needs Rust 1.85 or newer (no 'cargo' that works; see https://rustup.rs); everything else does without"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(MATURIN)'
	$(BIN)/maturin build --quiet --release --locked --manifest-path native/Cargo.toml --interpreter $(BIN)/python --out native/dist
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --force-reinstall --find-links native/dist pushgw-native
	@touch $(NATIVE)

native: $(NATIVE) ## build and install the native transport (Rust); dispatch.transport = "native" uses it

native-check: $(STAMP) ## format and lints of the native transport (Rust)
	@cargo --version >/dev/null 2>&1 || { echo "make native-check: needs Rust 1.85 or newer (no 'cargo' that works; see https://rustup.rs)"; exit 1; }
	cd native && cargo fmt --check
	cd native && PYO3_PYTHON=$(CURDIR)/$(BIN)/python cargo clippy --quiet --locked --all-targets -- -D warnings

test-native: native native-check ## the transports' tests with the native one among them (Rust)
	$(BIN)/python -c 'import pushgw_native'
	$(BIN)/pytest tests/vendor -k native

bench: $(STAMP) $(if $(shell cargo --version 2>/dev/null),$(NATIVE)) ## CPU us per push and pushes/s, as ratios to a baseline of the same run
	$(BIN)/python -m bench

bench-hanging: $(STAMP) $(KAFKA_LIB)/.fetched $(if $(shell cargo --version 2>/dev/null),$(NATIVE)) ## 10 minutes beside a vendor that hangs: the others' p99, and memory (real Kafka)
	$(BIN)/python -m bench --scenario hanging-vendor --seconds 600 --kafka apache

docs: $(STAMP) ## write again what is made from code: README's tables, docs/reasons.md, vendors.md, metrics.md, alerts
	$(BIN)/python -m docs.generate

format: $(STAMP) ## ruff format and fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: ## renew requirements.lock
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --group dev pyproject.toml -o requirements.lock

wheel: $(STAMP) ## dist/*.whl
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

clean: ## remove the environment and everything that was made
	rm -rf $(VENV) native/target native/dist .kafka dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis
