# VRFT-Aug. Two commands do everything: `make quickstart` and `make test`; `make help` lists the rest.
# Settings are given on the command line: make quickstart DATASET=retina DATA_ROOT=~/data

PYTHON    ?= python3
UV_VERSION = 0.13.9
DATASET   ?= phantom
PROMPT    ?= names
SHOTS     ?= null
SEED      ?= 0
DATA_ROOT ?= data
HARDWARE  ?= cpu
POLICY    ?= $(if $(filter cpu,$(HARDWARE)),tiny)
RUNS      ?= runs
RECIPE    ?= recipes/grpo.py
MINIATURE ?=
ARGS      ?=

BIN  = .venv/bin
ROWS = dataset=$(DATASET) prompt=$(PROMPT) shots=$(SHOTS) seed=$(SEED) data_root=$(DATA_ROOT)
EXPERIMENTS = $(sort $(basename $(notdir $(wildcard conf/experiment/*.yaml))))
missing = @echo 'error: make $@ needs $(1)' >&2; exit 2
QUICK  = $(if $(filter phantom%,$(DATASET)),quickstart,quickstart_images)
TABLES = $(sort $(filter-out one quickstart% miniature%,$(basename $(notdir $(wildcard conf/table/*.yaml)))))
CELLS = $(BIN)/python recipes/experiments.py hardware=$(HARDWARE) $(if $(POLICY),policy=$(POLICY)) seed=$(SEED) data_root=$(DATA_ROOT) out=$(RUNS)

.DEFAULT_GOAL := help
.PHONY: help audit bench setup doctor quickstart miniature test lint docs policy data prepare show serve knowledge-review submit lock clean plan $(EXPERIMENTS) $(TABLES)

help: ## this list
	@grep -hE '^[a-z0-9_-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 28
	@printf '\nExperiments (DATASET=, SHOTS=, DATA_ROOT=, HARDWARE=, POLICY=, RUNS=, ARGS=), one for each file of conf/experiment:\n'
	@for name in $(EXPERIMENTS); do sed -n "s/^# make $$name[^ ]* .*   /$$name\t/p" conf/experiment/$$name.yaml; done | expand -t 28
	@printf '\nWhole tables (DATA_ROOT=, HARDWARE=, POLICY=, RUNS=, ARGS="table.datasets=[...]"); make plan TABLE= prints one and runs nothing:\n'
	@for name in $(TABLES); do sed -n "1s/^# \(.*\)  make .*/$$name\t\1/p" conf/table/$$name.yaml; done | expand -t 28

setup: .venv/ready ## .venv from the CPU lock (idempotent)

.venv/ready: requirements/cpu.txt setup.cfg
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) and "error: Python 3.11 is needed, this is " + sys.version.split()[0] + ": make PYTHON=<path of a Python 3.11>")'
	@echo "setup: .venv from requirements/cpu.txt (about 7 GB; a few minutes on a first run)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip install -q -p $(BIN)/python --no-deps -r requirements/cpu.txt
	@$(BIN)/uv pip install -q -p $(BIN)/python --no-deps --no-build-isolation -e .
	@echo "setup: compiling byte code, which halves the start of every later run"
	@$(BIN)/python -m compileall -q -j 0 .venv/lib > /dev/null || true
	@touch $@
	@echo "setup: done"

.venv/ready-dev: .venv/ready requirements/dev.txt
	@echo "setup: test tools from requirements/dev.txt"
	@$(BIN)/uv pip install -q -p $(BIN)/python --no-deps -r requirements/dev.txt
	@touch $@

doctor: setup ## can this machine run it? Python, memory, disk, ports, GPU, versions, plugins (HARDWARE=)
	@$(BIN)/python -m vrft_aug.engine.run.doctor --hardware $(HARDWARE)

quickstart: setup ## the main job: prepare, GRPO with and without knowledge, evaluate, report (DATASET=, DATA_ROOT=: your images; RUNS=, ARGS=)
	@$(BIN)/python -m vrft_aug.engine.run.doctor --quick
	@$(CELLS) table=$(QUICK) table.datasets=[$(DATASET)] table.shots=[$(SHOTS)] $(ARGS)

miniature: setup ## the paper's tables and figures with the tiny policy on phantoms: MINIATURE=small: fewer tasks and images (RUNS=, ARGS=)
	@$(CELLS) table=miniature$(MINIATURE:%=_%) $(ARGS)

test: setup .venv/ready-dev ## sets up and passes the tests (ARGS='-m slow' for the long ones)
	@$(BIN)/python -m pytest $(ARGS)

lint: setup .venv/ready-dev ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/mypy

docs: setup .venv/ready-dev ## the documentation site, into build/site; fails on a broken link
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "docs: open build/site/index.html (for its search: .venv/bin/mkdocs serve)"

policy: setup ## build the tiny policy anew from its seed: 36 minutes on two cores (ARGS="--out <folder>")
	@$(BIN)/python -m vrft_aug.tiny.build $(ARGS)

data: setup ## fetch a data set whose source allows it (DATASET=, DATA_ROOT=)
	@$(BIN)/python recipes/download.py $(ROWS)

prepare: setup ## parquet rows and manifest (DATASET=, PROMPT=, SHOTS=, DATA_ROOT=, POLICY=, OUT=, ARGS=)
	@$(BIN)/python recipes/prepare.py $(ROWS) $(if $(POLICY),policy=$(POLICY)) $(if $(OUT),out=$(OUT)) $(ARGS)

show: setup ## contact sheet of prepared rows (DATA=<folder of prepare>)
	$(if $(DATA),,$(call missing,DATA=<folder that prepare wrote>))
	@$(BIN)/python recipes/show.py data=$(DATA) $(ARGS)

serve: setup ## answer over HTTP on this machine with `vllm serve` (POLICY=<folder>, HARDWARE=, ARGS='--port 8000')
	$(if $(filter file,$(origin POLICY)),$(call missing,POLICY=<folder of a policy>))
	@$(BIN)/python -m vrft_aug.engine.verl.serve $(POLICY) --hardware $(HARDWARE) $(ARGS)

$(EXPERIMENTS): setup
	@$(CELLS) table.rows=[{experiment:$@}] table.datasets=[$(DATASET)] table.shots=[$(SHOTS)] $(ARGS)

$(TABLES): setup
	@$(CELLS) table=$@ $(ARGS)

plan: setup ## every cell of a table and its cost, without running (TABLE=table1; ARGS=plan=commands: every command)
	$(if $(TABLE),,$(call missing,TABLE=<one of: $(TABLES)>))
	@$(CELLS) table=$(TABLE) plan=true $(ARGS)

submit: setup ## a recipe as a job on a running Ray cluster (FOLDER=<shared by its nodes>, RECIPE=, ARGS=<overrides>)
	$(if $(FOLDER),,$(call missing,FOLDER=<folder that all nodes of the cluster share>))
	@$(BIN)/python launch/ray_job.py submit --folder $(FOLDER) -- $(RECIPE) $(ARGS)

knowledge-review: setup ## entries of the knowledge bank that still are drafts (ARGS="out=<file>" for those of one file)
	@$(BIN)/python recipes/knowledge.py review=true $(ARGS)

lock: setup ## write requirements/*.txt anew from setup.cfg (add ARGS=--upgrade for newer versions)
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"; compile="$(BIN)/uv pip compile -q setup.cfg --python-version 3.11 --no-annotate $(ARGS)"; \
	$$compile --extra cpu --override requirements/overrides.txt -o requirements/cpu.txt && \
	$$compile --extra dev -c requirements/cpu.txt -o requirements/dev.txt && \
	$$compile --extra gpu --python-platform x86_64-manylinux_2_28 --no-build-isolation-package flash-attn -o requirements/gpu.txt

audit: setup ## look for known vulnerabilities of the locked packages (asks PyPI; one that cannot be looked up is an error)
	@$(BIN)/uv tool run pip-audit==2.10.1 --strict --no-deps --disable-pip -r requirements/cpu.txt

bench: setup .venv/ready-dev ## every benchmark, on a quiet machine: an hour; writes into benchmarks/RESULTS.md
	@$(BIN)/python benchmarks/all.py

clean: ## remove .venv and Python's caches; runs and data stay
	@rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache && find . -name __pycache__ -prune -exec rm -rf {} +
