"""A claim of a table: one experiment has a better value of a metric than another. The report tests it."""

from dataclasses import dataclass

from vrft_aug.errors import InputError

AXES = ("shots", "datasets")


@dataclass(frozen=True)
class Claim:
    """An entry of a table's `claims`; conf/table/table1.yaml explains its keys.

    better, worse: experiments; `better` is claimed to have the better value of `metric`: the larger one, or the smaller
    one of an error. better_variant, worse_variant: of GRPO; None: the paper's. slice: "<name>=<value>", the test images
    that it is about. every: an axis of the table: the claim must hold at each of its values. not_tested: why no test
    set can show the claim; it is only stated then.
    """

    text: str
    better: str
    worse: str
    metric: str = "accuracy"
    slice: str | None = None
    datasets: list[str] | None = None
    shots: list[int | None] | None = None
    every: str | None = None
    better_policy: str | None = None
    worse_policy: str | None = None
    better_variant: str | None = None
    worse_variant: str | None = None
    better_shots: int | None = None
    worse_shots: int | None = None
    not_tested: str | None = None

    @property
    def ends(self) -> tuple[str, str]:
        """better and worse, each with its variant, if it is not the paper's: "v_rft, dapo"."""
        pairs = (self.better, self.better_variant), (self.worse, self.worse_variant)
        one, other = (", ".join(filter(None, pair)) for pair in pairs)
        return one, other

    def __post_init__(self) -> None:
        for key in ("text", "better", "worse", "metric"):
            if not isinstance(value := getattr(self, key), str) or not value:
                raise InputError(f"claim {self.text!r}: {key}={value!r} must be a text")
        if self.slice is not None and not all(str(self.slice).partition("=")):
            raise InputError(f"claim {self.text!r}: slice={self.slice!r} must be null or \"<name>=<value>\", as in "
                             "\"sex=female\"")  # fmt: skip
        for key in AXES:
            if not isinstance(value := getattr(self, key), list | None) or value == []:
                raise InputError(f"claim {self.text!r}: {key}={value!r} must be a list, or null for all of the table's")
        if self.every not in (None, *AXES):
            raise InputError(f"claim {self.text!r}: every={self.every!r} must be null, {' or '.join(AXES)}")
        if (self.better_shots is None) != (self.worse_shots is None):
            raise InputError(f"claim {self.text!r}: better_shots and worse_shots need each other")
        if self.better_shots is not None and (self.shots or self.every == "shots"):
            raise InputError(f"claim {self.text!r}: better_shots compares two numbers of images; leave out shots and "
                             "every=shots")  # fmt: skip

