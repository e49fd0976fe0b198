# Two commands to begin with: `make demo` and `make test`. `make help` lists the others.
# The environment is .venv in the checkout; the first command makes it. Another interpreter: make PYTHON=/path/to/python3 ...

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help env services demo demo-siem test check proofs faults format format-check lint types imports bandit docs docs-check release-schema boards lock fuzz tamper timing bench-core bench-audit bench-sinks endure detections mutants coverage clean

export PYTHON
BIN := .venv/bin
CODE := core audit observability jvpn lab
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--custom-compile-command "make lock" $(UPGRADE) pyproject.toml

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: env ## a session jumps between transports; its history is verified, then tampered with and refused
	@$(BIN)/python -m lab.demo $(ARGS)

demo-siem: services env ## the same into a real local OpenSearch, which is fetched and started
	@$(BIN)/python -m lab.demo --siem

test: services env ## all tests; what the machine lacks is skipped, and said at the end
	@$(BIN)/python -m pytest $(ARGS)

check: services env format-check lint types imports bandit docs-check ## everything that must hold before a merge; tests last
	@$(BIN)/python -m pytest -p tests.branches $(ARGS)

proofs: env ## every proof in its long form, some minutes; writes docs/evidence
	@$(BIN)/python -m lab.proofs --long --jobs 2 --json docs/evidence/proofs.json

faults: env ## put each seeded fault into a copy: is it caught by the check that claims to? minutes; writes docs/evidence/faults.*
	@$(BIN)/python -m lab.faults --evidence $(ARGS)

format: env ## bring the code into the one format
	@$(BIN)/ruff format .

format-check: env
	@$(BIN)/ruff format --check .

lint: env ## ruff, every rule that is not excepted with a reason
	@$(BIN)/ruff check .

types: env ## mypy, strict
	@$(BIN)/mypy

imports: env ## the layers of the architecture
	@$(BIN)/lint-imports --no-logo

bandit: env
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml $(CODE)

docs: env ## regenerate what is generated from the registry
	@$(BIN)/python -m lab.registry
	@$(BIN)/python -m lab.golden
	@$(BIN)/python -m lab.reference
	@$(BIN)/python -m lab.ocsf
	@$(BIN)/python -m lab.grafana.make

release-schema: docs ## keep the present version of the schemas for ever, in schemas/released
	@$(BIN)/python -m lab.evolution --release

docs-check: env
	@$(BIN)/python -m lab.registry --check
	@$(BIN)/python -m lab.golden --check
	@$(BIN)/python -m lab.reference --check
	@$(BIN)/python -m lab.ocsf --check
	@$(BIN)/python -m lab.grafana.make --check

boards: services env ## draw every Grafana board from logs in a real OpenSearch; writes docs/evidence/boards; ARGS="LOG ..." for other logs
	@$(BIN)/python -m tests.observability.grafana.draw $(ARGS)

timing: env ## time the functions on secrets, a million calls a run (about ten minutes); writes docs/evidence/timing.*
	@$(BIN)/python -m lab.timing --long

bench-core: env ## the core on one processor, against its bars (some minutes); writes docs/evidence/bench-core.*
	@$(BIN)/python -m lab.bench.core $(ARGS)

bench-audit: env ## sealing and verifying the audit log, against their bars (some minutes); writes docs/evidence/bench-audit.*
	@$(BIN)/python -m lab.bench.audit $(ARGS)

bench-sinks: services env ## the tunnel while the audit log's sink is dead, hung or full, against its bars (some minutes, root); writes docs/evidence/sinks.*
	@$(BIN)/python -m lab.bench.sinks $(ARGS)

endure: services env ## a million events, 200 times kill -9 and all fault schedules; rsyslog beside it: about 20 minutes; writes docs/evidence/endure.*
	@$(BIN)/python -m lab.endure --events 1000000 --kills 220 --rounds 2 --peer 60000 --evidence $(ARGS)

tamper: env ## change sound logs in every way that we know, 500 places each, and verify 1,000 clean ones: minutes; writes docs/evidence/tamper.*
	@$(BIN)/python -m lab.tamper --positions 500 --clean 1000 --jobs 2 --evidence $(ARGS)

mutants: env ## mutation testing of the core, hours; can be stopped and taken up again; ARGS="--plan NAME --minutes N"
	@$(BIN)/python -m lab.mutants $(ARGS)

coverage: env ## lines and branches of the core that its own tests take; fails below 100 % (a part of `make check`)
	@$(BIN)/python -m pytest -p tests.branches tests/abuse tests/core tests/jvpn/keys tests/meta/test_branches.py $(ARGS)

fuzz: env ## the long form: ten million inputs to parsers and engines; can be stopped and taken up again; writes docs/evidence/fuzz.*
	@$(BIN)/python -m lab.fuzz --runs 10000000 --resume --evidence $(ARGS)

detections: services env ## three executors of the detections over 100,000 labelled events; minutes; writes docs/evidence/detections.*
	@$(BIN)/python -m lab.detections --evidence $(ARGS)

lock: env ## pin all dependencies again, with hashes; UPGRADE=--upgrade takes newer ones
	@$(LOCK) --group dev --output-file requirements/dev.txt >/dev/null
	@$(LOCK) --constraint requirements/dev.txt --output-file requirements/runtime.txt >/dev/null
	@$(LOCK) --constraint requirements/dev.txt --group siem --output-file requirements/siem.txt >/dev/null
	@$(LOCK) --constraint requirements/dev.txt --group pdf --output-file requirements/pdf.txt >/dev/null

clean: ## remove what was built; the environment goes too
	rm -rf .venv .cache build dist htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

env:
	@tools/bootstrap

services:
	@tools/debian-packages
