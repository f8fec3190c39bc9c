"""Makes transformers and verl accept the stand-in, in every process that imports verl (entry point `verl.plugins`)."""

from unittest import mock

from transformers import modeling_flash_attention_utils
from transformers.utils import import_utils

# transformers asks for flash-attn *and* a GPU, once: it remembers the answer. Nothing else is told of a GPU.
import_utils.is_flash_attn_2_available.cache_clear()
with mock.patch.object(import_utils, "is_torch_cuda_available", lambda: True):
    if not import_utils.is_flash_attn_2_available():
        raise ImportError("transformers does not find the stand-in for flash-attn")

# verl/models/transformers/qwen2_vl.py casts float32 to bfloat16, since the kernels know no float32; the stand-in does.
modeling_flash_attention_utils.fa_peft_integration_check = lambda q, k, v, target_dtype=None: (q, k, v)
