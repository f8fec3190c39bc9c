"""Says at the start of a training what its settings cannot give, where they are allowed but easily misunderstood."""

from omegaconf import DictConfig


def before_training(config: DictConfig) -> list[str]:
    """Lines for the terminal; empty if there is nothing to say. config: of grpo.yaml or sft.yaml."""
    drawn = config.dataset.name.startswith("phantom")
    if config.policy.name != "tiny" or drawn:
        return []
    return [f"policy=tiny on dataset={config.dataset.name} shows that data, reward and settings work together, and no "
            "more: this small policy has never seen real images, and a reward alone does not teach it to see them. For "
            "a result use policy=qwen2_5_vl_3b hardware=gpu_2x80g"]  # fmt: skip
