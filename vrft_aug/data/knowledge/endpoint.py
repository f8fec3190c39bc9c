"""Asks a vision model through any OpenAI-compatible chat endpoint, and counts the tokens."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass

from vrft_aug.errors import InputError, RunFailed

TRANSIENT = (408, 409, 429)  # and 500 and above: HTTP states after which the client tries again


@dataclass
class Endpoint:
    """An endpoint with one of its models, and the tokens used so far.

    url: up to /v1. api_key_env: the environment variable with the key; it may be unset if the endpoint needs no key.
    retries: after failed tries, each after a longer wait of the `openai` client. timeout: seconds per try.
    price_in, price_out: per million tokens.
    """

    url: str
    model: str
    api_key_env: str
    retries: int
    timeout: float
    price_in: float
    price_out: float
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def cost(self) -> float:
        return (self.tokens_in * self.price_in + self.tokens_out * self.price_out) / 1e6

    def ask(self, text: str, images: Sequence[bytes]) -> str:
        """The model's answer to a text with encoded images.

        Raises InputError for a refused request, and RunFailed if the retries are used up or the answer has no text.
        """
        import openai  # slow to import

        key = os.environ.get(self.api_key_env) or "none"  # the client needs one
        client = openai.OpenAI(base_url=self.url, api_key=key, timeout=self.timeout, max_retries=self.retries)
        kinds = ["png" if image.startswith(b"\x89PNG") else "jpeg" for image in images]
        urls = [f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
                for kind, image in zip(kinds, images, strict=True)]
        pictures = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
        message = {"role": "user", "content": [*pictures, {"type": "text", "text": text}]}
        try:
            answer = client.chat.completions.create(model=self.model, messages=[message], temperature=0)
            content = answer.choices[0].message.content
        except openai.APIStatusError as error:
            reason = f"HTTP {error.status_code}"
            if error.status_code < 500 and error.status_code not in TRANSIENT:
                raise InputError(f"{self.url}: {reason} for the model {self.model}; check endpoint.url, endpoint.model "
                                 f"and the key in {self.api_key_env}") from None
        except (openai.OpenAIError, ValueError, AttributeError, IndexError, TypeError) as error:
            reason = repr(error)  # no connection, or an answer in another form
        else:
            if answer.usage:
                self.tokens_in += answer.usage.prompt_tokens
                self.tokens_out += answer.usage.completion_tokens
            return content or ""
        raise RunFailed(f"{self.url}: no answer with {self.retries} retries: {reason}; run the command again later, "
                        "the drafts so far are kept")
