"""Are the prompts short enough for the policy? Found when data is prepared, not in training."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from vrft_aug.data.rows.frame import Size, image_tokens
from vrft_aug.errors import InputError


class PromptBudget:
    """Counts the tokens of prompts as the policy's chat template and tokenizer make them, image included."""

    def __init__(self, path: str, policy: Mapping[str, Any]):
        from transformers import AutoTokenizer  # slow to import, and not needed by EasyR1 and TRL users

        try:
            self.tokenizer = AutoTokenizer.from_pretrained(path)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"policy.path={path}: no tokenizer ({reason}); give a local folder, or skip the check of "
                             "prompt lengths with policy.max_prompt_length=null") from None
        self.policy = policy
        self.limit: int = policy["max_prompt_length"]
        self.longest = self.over = self.rows = 0
        self.text_tokens = lru_cache(maxsize=1024)(self.text_tokens)  # many rows share a prompt

    def add(self, text: str, size: Size) -> None:
        """Count one row: its prompt text and the original size of its image."""
        length = self.text_tokens(text) + image_tokens(tuple(size), self.policy)
        self.rows += 1
        self.over += length > self.limit
        self.longest = max(self.longest, length)

    def text_tokens(self, text: str) -> int:
        """Tokens of the chat with this prompt, without the image's."""
        content = [{"type": "image"}, {"type": "text", "text": text}]
        chat = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        return len(self.tokenizer(chat, add_special_tokens=False)["input_ids"]) - 1  # one mark stands for the image

    def check(self) -> dict[str, int]:
        """Raise InputError with the count if prompts are too long; else the figures for the manifest."""
        if self.over:
            raise InputError(
                f"{self.over} of {self.rows} prompts exceed policy.max_prompt_length={self.limit} tokens (the longest: "
                f"{self.longest}); raise it, lower policy.max_pixels, or use a shorter prompt (prompt=names)"
            )
        return {"limit": self.limit, "longest": self.longest}
