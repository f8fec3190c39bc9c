"""Checks during preparation, before any training, that the prompts are short enough for the policy."""

from functools import lru_cache

from vrft_aug.data.prompts.rendering import IMAGE_MARK, chat_parts
from vrft_aug.data.rows.frame import Size, image_tokens
from vrft_aug.data.settings import Policy
from vrft_aug.errors import InputError


class PromptBudget:
    """Counts the tokens of prompts, images included, with the policy's chat template and tokenizer.

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

    def add(self, message: str, *sizes: Size) -> int:
        """Count one row: its message with the image marks, and the original size of each image. Returns its tokens."""
        length = self.text_tokens(message) + sum(image_tokens(size, self.policy) for size in sizes)
        self.count(length)
        return length

    def count(self, length: int) -> None:
        """Count one row by the tokens of its prompt."""
        self.rows += 1
        self.over += length > self.limit
        self.longest = max(self.longest, length)

    def count_text(self, message: str) -> int:
        """Tokens of the chat with this message, without those of the images."""
        chat = [{"role": "user", "content": chat_parts(message)}]
        tokens = self.tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        return len(tokens) - message.count(IMAGE_MARK)  # one token marks each image

    def check(self) -> dict[str, int]:
        """The figures for the manifest. Raises InputError, with the number of rows, if prompts are too long."""
        if self.over:
            raise InputError(
                f"{self.over} of {self.rows} prompts exceed policy.max_prompt_length={self.limit} tokens (the longest: "
                f"{self.longest}); raise it, lower policy.max_pixels, or use a shorter prompt (prompt=names)"
            )
        return {"limit": self.limit, "longest": self.longest}
