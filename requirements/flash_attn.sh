# Compiles flash-attn, which has no wheel for the lock's torch; install.sh reads this file for a profile with GPUs.
# shellcheck shell=bash disable=SC2154

fallback="or leave it out: \`make setup HARDWARE=$profile FLASH_ATTN=0\`, then run with \
ARGS='hardware.attention=sdpa hardware.remove_padding=false'"
pins=$(grep -E '^(flash-attn|torch)==' "$lock" | paste -sd " ")
cuda=$(sed -n 's/^cuda-toolkit==\([0-9]*\).*/\1/p' "$lock") # for which the lock's torch is built
state=$venv/flash-attn                                      # "left out", or what was compiled for what

built() { # whether the environment has flash-attn, or lacks it, as asked for; FLASH_ATTN=1 compiles a broken one again
  local now=""
  [[ ! -f $state ]] || now=$(<"$state")
  case ${FLASH_ATTN:-} in
    0) [[ $now == "left out" ]] ;;
    "") [[ $now == "left out" || $now == "$pins for "${CUDA_ARCHS:-*} ]] ;;
    *) [[ $now == "$pins for "${CUDA_ARCHS:-*} ]] && "$venv/bin/python" -c 'import flash_attn' 2> /dev/null ;;
  esac
}

what_flash_attn_needs() { # looked at before anything is installed, since the rest takes minutes
  [[ ${FLASH_ATTN:-} != 0 ]] || return 0
  local nvcc release
  if [[ ${CUDA_HOME:-${CUDA_PATH:-}} ]]; then # the places and their order are those of torch.utils.cpp_extension
    nvcc=${CUDA_HOME:-$CUDA_PATH}/bin/nvcc
  else
    nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
  fi
  [[ -x $nvcc ]] ||
    fail "nvcc, which compiles flash-attn, is missing ($nvcc): install CUDA $cuda's toolkit or set CUDA_HOME, $fallback"
  release=$("$nvcc" --version | sed -n 's/.*release \([0-9]*\).*/\1/p')
  [[ $release == "$cuda" ]] ||
    fail "$nvcc is of CUDA ${release:-?}, the lock's torch of CUDA $cuda: install that or set CUDA_HOME, $fallback"
  command -v g++ > /dev/null || fail "g++, which compiles flash-attn, is missing: install it, $fallback"
  architectures=$(architectures)
}

architectures() { # as setup.py of flash-attn 2.8.3 reads them: some of 80, 90, 100 and 120, joined by ";"
  local one capabilities given="name the architecture (CUDA_ARCHS=80: A100, A10, L4, RTX 3090 or 4090; 90: H100)"
  if [[ ${CUDA_ARCHS:-} ]]; then
    for one in ${CUDA_ARCHS//;/ }; do
      [[ $one =~ ^(80|90|100|120)$ ]] ||
        fail "CUDA_ARCHS='$CUDA_ARCHS': flash-attn knows 80 (for every 8.x), 90, 100 and 120, joined by ';'"
    done
    echo "$CUDA_ARCHS"
    return
  fi
  command -v nvidia-smi > /dev/null || fail "the NVIDIA driver (nvidia-smi) is missing: install it, $given, $fallback"
  capabilities=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>&1) && [[ $capabilities == [0-9]* ]] ||
    fail "nvidia-smi shows no GPU (${capabilities%%$'\n'*}): repair the driver, $given, $fallback"
  for one in $capabilities; do
    case $one in # code for x.0 runs on every later x.y
      8.* | 9.* | 10.* | 12.*) echo "${one%.*}0" ;;
      *) fail "flash-attn has no code for compute capability $one, which nvidia-smi shows: $given, $fallback" ;;
    esac
  done | sort -nu | paste -sd ";"
}

compilers() { # number at once: flash-attn's setup.py counts 9 GB per compiler
  local by_memory
  by_memory=$(awk '/^MemAvailable/ {print int($2 / 9e6)}' /proc/meminfo)
  echo "$(((by_memory < 1) ? 1 : (by_memory < $(nproc)) ? by_memory : $(nproc)))"
}

flash_attn() { # installs it last, since its build imports torch; or takes it out
  rm -f "$state"
  if [[ ${FLASH_ATTN:-} == 0 ]]; then
    "$venv/bin/uv" pip uninstall -q -p "$venv/bin/python" flash-attn
    echo "left out" > "$state"
    return
  fi
  export MAX_JOBS=${MAX_JOBS:-$(compilers)}
  echo "setup: compiling flash-attn for architecture $architectures, $MAX_JOBS files at once (MAX_JOBS)"
  # Its build calls ninja by name. Unforced, it looks for a wheel of CUDA 12. uv's cache does not know architectures.
  PATH=$PWD/$venv/bin:$PATH FLASH_ATTENTION_FORCE_BUILD=TRUE FLASH_ATTN_CUDA_ARCHS=$architectures \
    uv_install --no-deps --no-build-isolation --no-cache --no-binary flash-attn --reinstall-package flash-attn \
    "$(grep '^flash-attn==' "$lock")" ||
    fail "flash-attn does not compile, see above: MAX_JOBS=1 needs the least memory, $fallback"
  "$venv/bin/python" -c 'import flash_attn' || fail "flash-attn does not load, see above: repair that, $fallback"
  echo "$pins for $architectures" > "$state"
}
