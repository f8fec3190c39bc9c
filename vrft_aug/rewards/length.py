"""Pays for a response that is not too long (the soft overlong punishment of DAPO, arXiv:2503.14476)."""

from vrft_aug.rewards.parsing import Response
from vrft_aug.rewards.row import ExtraInfo


def reward(response: Response, ground_truth: str, row: ExtraInfo, *, tokens: float = 256, margin: float = 256) -> float:
    """1 up to `tokens` tokens, then falling in a line to 0 at `tokens` + `margin`, right or wrong answer alike.

    This is DAPO's penalty plus 1, with tokens = L_max - L_cache and margin = L_cache; a constant changes no advantage.
    A response whose number of tokens the caller does not know is taken as short: 1.
    """
    beyond = 0 if response.tokens is None else response.tokens - tokens
    if beyond <= 0:
        return 1.0
    return max(0.0, 1 - beyond / margin) if margin > 0 else 0.0
