"""Says which weights of a policy a training leaves as they are: the key `freeze` of grpo.yaml and sft.yaml.

The parts are found by the names of modules in transformers. Qwen2.5-VL, Qwen3-VL and Qwen3.5 call the vision tower
`visual`. Inside it are the mergers, which make visual tokens of patches: `merger`, and in Qwen3-VL besides
`deepstack_merger_list`. Everything outside the tower is the language model, with embedding and output head.
"""

MEANING = {  # in a report or a model card
    "vision": "the vision tower without its mergers",
    "vision+merger": "the vision tower",
    "language": "the language model",
}
CHOICES = ("none", *MEANING)
TOWER = "visual"
MERGERS = frozenset({"merger", "deepstack_merger_list"})


def is_of_tower(name: str) -> bool:
    """Whether the dotted name of a weight or a module is in the vision tower, mergers included."""
    return TOWER in name.split(".")


def is_frozen(name: str, freeze: str) -> bool:
    """Whether `freeze`, one of CHOICES, holds the weight with this dotted name, also an adapter's."""
    if not is_of_tower(name):
        return freeze == "language"
    return freeze == "vision+merger" or (freeze == "vision" and MERGERS.isdisjoint(name.split(".")))
