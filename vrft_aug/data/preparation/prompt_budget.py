"""Checks during preparation, before any training, that the prompts are short enough for the policy."""

from functools import lru_cache

from vrft_aug.data.rows.frame import Size, image_tokens
from vrft_aug.data.settings import Policy
from vrft_aug.errors import InputError


class PromptBudget:
    """Counts the tokens of prompts, image included, with the policy's chat template and tokenizer.

    Raises InputError if `path` has no tokenizer.
    """

    def __init__(self, path: str, policy: Policy, limit: int):
        from transformers import AutoTokenizer  # slow to import; EasyR1 and TRL users do not need it

        try:
            self.tokenizer = AutoTokenizer.from_pretrained(path)
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"policy.path={path}: no tokenizer ({reason}); give a local folder, or skip the check of "
                             "prompt lengths with policy.max_prompt_length=null") from None
        self.policy, self.limit = policy, limit
        self.longest = self.over = self.rows = 0
        self.text_tokens = lru_cache(maxsize=1024)(self.count_text)  # many rows share a prompt

    def add(self, text: str, size: Size) -> int:
        """Count one row: its prompt text and the original size of its image. Returns the tokens of its prompt."""
        length = self.text_tokens(text) + image_tokens(size, self.policy)
        self.count(length)
        return length

    def count(self, length: int) -> None:
        """Count one row by the tokens of its prompt."""
        self.rows += 1
        self.over += length > self.limit
        self.longest = max(self.longest, length)

    def count_text(self, text: str) -> int:
        """Tokens of the chat with this prompt, without those of the image."""
        content = [{"type": "image"}, {"type": "text", "text": text}]
        chat = [{"role": "user", "content": content}]
        tokens = self.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        return len(tokens) - 1  # one token marks the image

    def check(self) -> dict[str, int]:
        """The figures for the manifest. Raises InputError, with the number of rows, if prompts are too long."""
        if self.over:
            raise InputError(
                f"{self.over} of {self.rows} prompts exceed policy.max_prompt_length={self.limit} tokens (the longest: "
                f"{self.longest}); raise it, lower policy.max_pixels, or use a shorter prompt (prompt=names)"
            )
        return {"limit": self.limit, "longest": self.longest}
