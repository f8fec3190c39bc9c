"""Asks the tiny policy what it can do, with vLLM and with transformers: the probes of its build, in one run.

    python benchmarks/tiny_policy.py                        # the policy of the package
    python benchmarks/tiny_policy.py --policy build/policy --number 100

Each probe has `--number` images of diseases that are held out from the policy's training, in the product's prompt, and
greedy answers in float32. Both engines are asked the same; the last line says how often they give the same answer.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import machine
from PIL import Image

from vrft_aug.configs import compose
from vrft_aug.data.settings import Policy
from vrft_aug.engine.run import preflight
from vrft_aug.tiny import probes, shipped

PROBES = [(classes, known) for classes in (4, 8) for known in (True, False)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", type=Path, default=shipped.FOLDER)
    parser.add_argument("--number", type=int, default=500, help="images per probe")
    options = parser.parse_args()
    engines = Engines(options.policy)
    print(f"{machine.describe()}; {options.number} images per probe")
    for classes, known in PROBES:
        text = "descriptions" if known else "names alone"
        print(f"{classes} classes, {text}: {probes.look(engines.answer, classes, known, options.number)}", flush=True)
    print(f"bank, text alone: {probes.read_bank(engines.answer):.3f}")
    print(f"transformers gives the same answer to {engines.same} of {engines.asked} prompts")


class Engines:
    """Answers with vLLM, and counts how many answers of transformers are the same."""

    def __init__(self, folder: Path) -> None:
        config = compose("evaluate", ["policy=tiny", "parquet=unused", "out=unused"])
        preflight.prepare_environment(config.hardware)
        from vrft_aug.evaluation.answers.generation import Generator  # only now: vLLM reads the environment
        from vrft_aug.tiny.build import transformers_parts

        self._vllm = Generator(str(folder), Policy.of(config.policy), config.hardware, config.sampling, seed=0)
        self._model, self._processor = transformers_parts(folder)
        self.asked = self.same = 0

    def answer(self, prompts: Sequence[str], images: Sequence[Image.Image] | None) -> list[str]:
        from vrft_aug.tiny.generating import generate

        shown = [{}] * len(prompts) if images is None else [{"multi_modal_data": {"image": [one]}} for one in images]
        requests = [{"prompt": text, **media} for text, media in zip(prompts, shown, strict=True)]
        found = [answers[0][0] for answers in self._vllm.complete(requests)]
        others = generate(self._model, self._processor, prompts, images)
        self.asked += len(found)
        self.same += sum(one == other for one, other in zip(found, others, strict=True))
        return found


if __name__ == "__main__":
    main()
