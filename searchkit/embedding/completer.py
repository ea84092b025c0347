"""Causal language models that complete prompts: for judging embedders by the examples they find. Runs torch.

Here, and not with what evaluates, because finding a model, reading its weights whole and never running its
code are the same for every network; what stands in a prompt is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from searchkit.arrays import Float64Vector
from searchkit.embedding.checkpoint import least, refuse_adapter
from searchkit.embedding.hashes import file_sha256, value_sha256
from searchkit.embedding.json_files import AGAIN, fact, read_json
from searchkit.embedding.network import load_completer
from searchkit.embedding.snapshots import CONFIG
from searchkit.embedding.sources import find_model
from searchkit.embedding.torch_runtime import resolve_device, use_physical_cores
from searchkit.embedding.weights import network_weights
from searchkit.errors import ModelError, UsageError

MOST_WINDOW = 4_096  # tokens: longer prompts take more memory than most machines have
WINDOW_OF_UNSAID = 1_024
LEAST_WINDOW = 128  # tokens: an answer of 64, and as many of the question
CAUSAL = ("ForCausalLM", "LMHeadModel")
AT_ONCE = 8  # answers whose likelihood is computed together


class Completer:
    """A causal language model in float32, which is deterministic: the likeliest token, again and again.

    Made by `open_completer`.
    """

    def __init__(self, model: str, folder: Path, device: str) -> None:
        self.model = model
        self._network = cast("Any", load_completer(folder, model).to(device))
        self._tokenizer = _tokenizer(folder)
        self._device = device
        config = self._network.config
        said = least(getattr(config, "max_position_embeddings", None), self._tokenizer.model_max_length)
        self.max_tokens = min(said or WINDOW_OF_UNSAID, MOST_WINDOW)
        if self.max_tokens < LEAST_WINDOW:
            raise ModelError(
                f"'{model}' has a window of {self.max_tokens} tokens, expected {LEAST_WINDOW} or more: "
                "half of it for the answer",
                remedy="name another causal language model, such as openai-community/gpt2",
            )
        self._lead = _leading(self._tokenizer)
        ends = self._network.generation_config.eos_token_id
        self._ends = set(ends if isinstance(ends, list) else [ends])
        weights = [file_sha256(file) for file in network_weights(folder)]
        self._fingerprint = value_sha256([weights, self.max_tokens, self._tokenizer("a b\n\n").input_ids])

    def fingerprint(self) -> str:
        """All that shapes its answers."""
        return self._fingerprint

    def count_tokens(self, text: str) -> int:
        """Tokens of a text, those included that the tokenizer puts around a prompt."""
        return len(self._tokenizer(text).input_ids)

    def complete(self, prompt: str, most_tokens: int, stop: str = "\n") -> str:
        """The likeliest continuation, token by token, up to `stop`, an end token, or so many tokens.

        A prompt too long for the window loses its beginning.
        """
        ids, past, written = self._ids(prompt, most_tokens), None, []
        with torch.inference_mode():
            for _ in range(most_tokens):
                out = self._network(input_ids=ids, past_key_values=past, use_cache=True, logits_to_keep=1)
                token = int(out.logits[0, -1].argmax())
                if token in self._ends:
                    break
                written.append(token)
                text = self._tokenizer.decode(written, skip_special_tokens=True)
                # What is answered begins at the first word: a line break before it is none after it.
                if stop in text.lstrip():
                    break
                ids, past = torch.tensor([[token]], device=self._device), out.past_key_values
        said: str = self._tokenizer.decode(written, skip_special_tokens=True)
        return said.lstrip().split(stop)[0].strip()

    def log_likelihoods(self, prompt: str, continuations: Sequence[str]) -> Float64Vector:
        """Log of the probability of each continuation, all of its tokens, right after the prompt.

        Returns: (n,) float64. A prompt too long for the window loses its beginning.
        Raises: UsageError: a continuation leaves no room for a prompt.
        """
        ends = [self._tokenizer(one, add_special_tokens=False).input_ids for one in continuations]
        longest = max(map(len, ends))
        if longest > (room := self.max_tokens - len(self._lead) - 1):
            raise UsageError(
                f"an answer to choose from has {longest:,} tokens; "
                f"the window of '{self.model}' leaves {room:,}",
                remedy="shorten the answers, or name a model with a longer window: --completer ID",
            )
        start = self._ids(prompt, longest)
        found: list[float] = []
        with torch.inference_mode():
            for first in range(0, len(ends), AT_ONCE):
                found += self._scored(start, ends[first : first + AT_ONCE], longest)
        return np.asarray(found, dtype=np.float64)

    def _scored(self, start: Tensor, ends: Sequence[Sequence[int]], longest: int) -> list[float]:
        # Filled up at the end: what comes later changes nothing of what a causal network says before.
        rows = torch.tensor([[*end, *[0] * (longest - len(end))] for end in ends], device=self._device)
        ids = torch.cat([start.expand(len(ends), -1), rows], dim=1)
        logits = self._network(input_ids=ids, logits_to_keep=longest + 1, use_cache=False).logits
        # The last `longest + 1` places; the number at each is about the next one.
        logs = torch.log_softmax(logits[:, -longest - 1 : -1].double(), dim=-1)
        of_tokens = logs.gather(2, rows[:, :, None])[:, :, 0].cpu()
        return [float(of_tokens[row, : len(end)].sum()) for row, end in enumerate(ends)]

    def _ids(self, prompt: str, room: int) -> Tensor:
        ids = self._tokenizer(prompt).input_ids
        # What stands before every text, as <s> does, is no beginning to lose: trained was never without it.
        left = max(1, self.max_tokens - room - len(self._lead))
        if len(ids) > len(self._lead) + left:
            ids = [*self._lead, *ids[-left:]]
        return torch.tensor([ids], device=self._device)


def open_completer(model: str | Path, *, device: str = "auto") -> Completer:
    """Open a causal language model: a folder, or an id on the Hugging Face hub; no code of it is ever run.

    Raises:
        ModelNotFound: it is nowhere to be found.
        ModelError: it is no causal language model, has a window of fewer than 128 tokens, or is incomplete or
            damaged.
        UsageError: there is no such device.
    """
    source = find_model(model)
    refuse_adapter(source.folder)
    file = source.folder / CONFIG
    names = [str(name) for name in fact(read_json(file), "architectures", list, file, [])]
    if not any(name.endswith(CAUSAL) for name in names):
        raise ModelError(
            f"'{model}' writes no text: {file} says {', '.join(names) or 'no architecture'}, expected one "
            f"that ends in {' or '.join(CAUSAL)}",
            remedy="name a causal language model, such as openai-community/gpt2",
        )
    resolved = resolve_device(device)
    if resolved == "cpu":
        use_physical_cores()
    return Completer(source.model, source.folder, resolved)


def _tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    # The boundary to foreign files: tokenizers and transformers each raise their own.
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"the tokenizer in {folder} cannot be loaded: {reason}", remedy=AGAIN) from error


def _leading(tokenizer: Any) -> list[int]:
    """The tokens that it puts before every text."""
    ids: list[int] = tokenizer("a").input_ids
    bare: list[int] = tokenizer("a", add_special_tokens=False).input_ids
    starts = (start for start in range(len(ids)) if ids[start : start + len(bare)] == bare)
    return ids[: next(starts, 0)]
