"""A client for any OpenAI-compatible chat endpoint: one request, retries with back-off, tokens counted."""

import base64
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vrft_aug.errors import InputError, RunFailed

TRANSIENT = (408, 409, 425, 429, 500, 502, 503, 504)  # HTTP states that a later try may mend


@dataclass
class Endpoint:
    """Where and how to ask.

    url: up to and with /v1. api_key_env: the environment variable that holds the key; none is sent where it is not set.
    price_in, price_out: per million tokens, in whatever currency. first_wait: seconds, doubled at each retry.
    """

    url: str
    model: str
    api_key_env: str
    retries: int
    timeout: float
    first_wait: float
    price_in: float
    price_out: float
    tokens_in: int = 0
    tokens_out: int = 0

    @property
    def cost(self) -> float:
        return (self.tokens_in * self.price_in + self.tokens_out * self.price_out) / 1e6

    def ask(self, text: str, images: Sequence[bytes]) -> str:
        """The model's answer to a text with encoded images. Raises InputError (refused) or RunFailed (gave up)."""
        pictures = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in images]
        message = {"role": "user", "content": [*pictures, {"type": "text", "text": text}]}
        body = json.dumps({"model": self.model, "messages": [message], "temperature": 0}).encode()
        for attempt in range(self.retries + 1):
            try:
                answer = self._post(body)
                usage = answer.get("usage") or {}
                self.tokens_in += usage.get("prompt_tokens", 0)
                self.tokens_out += usage.get("completion_tokens", 0)
                return answer["choices"][0]["message"]["content"] or ""
            except urllib.error.HTTPError as error:
                if error.code not in TRANSIENT:
                    remedy = f"check endpoint.url, endpoint.model and the key in {self.api_key_env}"
                    raise InputError(f"{self.url}: HTTP {error.code} {error.reason}; {remedy}") from None
                reason, wait = f"HTTP {error.code}", error.headers.get("Retry-After", "")
            except (OSError, ValueError, KeyError, IndexError, TypeError) as error:  # connection, JSON, or its form
                reason, wait = repr(error), ""
            if attempt < self.retries:
                time.sleep(float(wait) if wait.isdecimal() else self.first_wait * 2**attempt)
        raise RunFailed(f"{self.url}: no answer in {self.retries + 1} tries, the last: {reason}; run the command again "
                        "later, what is drafted is kept")

    def _post(self, body: bytes) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.api_key_env):
            headers["Authorization"] = f"Bearer {key}"
        request = urllib.request.Request(f"{self.url.rstrip('/')}/chat/completions", body, headers)
        with urllib.request.urlopen(request, timeout=self.timeout) as response:
            return json.load(response)


def data_url(image: bytes) -> str:
    """An encoded image as a data URL."""
    kind = "png" if image.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(image).decode()}"
