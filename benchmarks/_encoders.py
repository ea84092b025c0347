"""Encoders of texts as worker processes: sentence-transformers, its ONNX backend, INSTRUCTOR, searchkit.

Started by the throughput scripts, under the interpreter that has the encoder; nothing is imported before it
is asked for. Requests: open (kind, model, ...), embed (texts: a JSON file, out: where vectors are kept).
"""

from __future__ import annotations

import inspect
import json
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._conditions import versions
from benchmarks._peers import serve

Encode = Callable[[Sequence[str], str], Any]  # texts and literal Instruction to (n, dim)


def open_searchkit(model: str, precision: str = "auto", runtime: str = "") -> tuple[Encode, dict[str, Any]]:
    """Ours, in one precision; `runtime` is handed on where this searchkit has a choice of them."""
    from searchkit.embedding.embedder import open_embedder

    known = inspect.signature(open_embedder).parameters
    chosen = {"runtime": runtime} if runtime and "runtime" in known else {}
    embedder = open_embedder(model, precision=precision, device="cpu", **chosen)
    facts = {
        "precision": embedder.precision,
        "runtime": type(embedder.runtime).__name__,
        "class": embedder.fingerprint()["precision"],
    }
    return lambda texts, instruction: embedder.embed(list(texts), instruction), facts


def open_sentence_transformers(model: str, masked: bool = False) -> tuple[Encode, dict[str, Any]]:
    """sentence-transformers in float32 as it comes; `masked`: the prompt takes no part in pooling."""
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(model, device="cpu")
    if masked:
        encoder.set_pooling_include_prompt(False)

    def encode(texts: Sequence[str], instruction: str) -> Any:
        return encoder.encode(list(texts), prompt=instruction or None, show_progress_bar=False)

    return encode, {}


def open_sentence_transformers_onnx(
    model: str, folder: str, int8: bool = False
) -> tuple[Encode, dict[str, Any]]:
    """Its ONNX backend; exported into a copy of the model in `folder`, in 8 bits the way its manual says."""
    from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model

    copy = Path(folder)
    if not (copy / "onnx" / "model.onnx").is_file():
        shutil.copytree(model, copy, dirs_exist_ok=True)
        SentenceTransformer(str(copy), backend="onnx", device="cpu").save_pretrained(str(copy))
    provider = {"provider": "CPUExecutionProvider"}
    chosen = "onnx/model.onnx"
    if int8:
        config = _quantization()
        chosen = f"onnx/model_qint8_{config}.onnx"
        if not (copy / chosen).is_file():
            source = SentenceTransformer(
                str(copy),
                backend="onnx",
                device="cpu",
                model_kwargs={**provider, "file_name": "onnx/model.onnx"},
            )
            export_dynamic_quantized_onnx_model(source, config, str(copy))
    encoder = SentenceTransformer(
        str(copy), backend="onnx", device="cpu", model_kwargs={**provider, "file_name": chosen}
    )
    return (lambda texts, _: encoder.encode(list(texts), show_progress_bar=False)), {"file": chosen}


def open_instructor(model: str) -> tuple[Encode, dict[str, Any]]:
    """InstructorEmbedding, whose pairs are (Instruction, text)."""
    from InstructorEmbedding import INSTRUCTOR

    encoder = INSTRUCTOR(model, device="cpu")
    return (lambda texts, instruction: encoder.encode([[instruction, text] for text in texts])), {}


KINDS: dict[str, Callable[..., tuple[Encode, dict[str, Any]]]] = {
    "searchkit": open_searchkit,
    "sentence-transformers": open_sentence_transformers,
    "sentence-transformers-onnx": open_sentence_transformers_onnx,
    "instructor": open_instructor,
}
PACKAGES = (
    "sentence-transformers", "transformers", "torch", "onnxruntime", "optimum-onnx", "InstructorEmbedding",
    "tokenizers", "numpy",
)  # fmt: skip


def main() -> None:
    """Answer requests."""
    opened: list[Encode] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if request.pop("do") == "open":
            started = time.perf_counter()
            encode, facts = KINDS[request.pop("kind")](**request)
            opened.append(encode)
            return {
                **facts,
                "open_s": round(time.perf_counter() - started, 2),
                "python": platform.python_version(),
                "packages": versions(PACKAGES),
            }
        texts = json.loads(Path(request["texts"]).read_text(encoding="utf-8"))
        started = time.perf_counter()
        vectors = opened[-1](texts, request.get("instruction", ""))
        took = time.perf_counter() - started
        if request.get("out"):
            np.save(request["out"], np.asarray(vectors, dtype=np.float32))
        return {"s": took}

    serve(answer)


def _quantization() -> str:
    """The configuration that the manual of sentence-transformers names for this processor."""
    if platform.machine().lower() in ("arm64", "aarch64"):
        return "arm64"
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return "avx2"
    wanted = {"avx512_vnni": "avx512_vnni", "avx512": "avx512f"}
    return next((name for name, flag in wanted.items() if flag in flags), "avx2")


if __name__ == "__main__":
    main()
