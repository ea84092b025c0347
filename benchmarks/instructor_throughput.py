"""How many texts per second does a model of INSTRUCTOR-base's size embed under one Instruction?

A checkpoint of that size with random weights, made by this script (the published one cannot be shipped, and
speed does not depend on the numbers), and texts of mixed lengths: InstructorEmbedding 1.0.1 in an
environment of its own, else sentence-transformers' way of running INSTRUCTOR (prompt, left out of the
pooling), against searchkit in each of its precisions, in turn. Vectors are compared with the reference's.

    python -m benchmarks.instructor_throughput [--instructor-python PATH] [--repeats 2] [--save]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import _texts
from benchmarks._conditions import report
from benchmarks._instructor_model import make_checkpoint
from benchmarks._peers import add_pythons
from benchmarks.embedding_throughput import Encoders, compare, shares, show, unit
from benchmarks.machine import limits, t5_base_operations

INSTRUCTION = "Represent the company document for retrieval: "
WARM_UP = 8  # texts
REFERENCE = "InstructorEmbedding 1.0.1"
SECOND = "sentence-transformers, masked prompt"


def main() -> None:
    """Make the checkpoint, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--save", action="store_true", help="keep the figures in results/")
    add_pythons(parser, "instructor", "peers")
    arguments = parser.parse_args()

    from searchkit.embedding.embedder import open_embedder
    from searchkit.embedding.precision import PRECISIONS

    texts = _texts.mixed_lengths(arguments.texts)
    figures: dict[str, Any] = {"machine": limits(), "instruction": INSTRUCTION, "origin": texts.origin}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        work = Path(folder)
        model = work / "instructor-base-random"
        make_checkpoint(model, texts.texts)
        counter = open_embedder(model, device="cpu", precision="float32")
        taken = counter.count_tokens([INSTRUCTION])[0] + 1  # and the end of the text
        lengths = [min(count + taken, counter.max_tokens) for count in counter.count_tokens(texts.texts)]
        del counter
        file, little = work / "texts.json", work / "warm-up.json"
        file.write_text(json.dumps(texts.texts), encoding="utf-8")
        little.write_text(json.dumps(texts.texts[:WARM_UP]), encoding="utf-8")
        encoders = Encoders(stack, work)
        warm_up = {"texts": str(little), "instruction": INSTRUCTION}
        encoders.open(
            REFERENCE, arguments.instructor_python, {"kind": "instructor", "model": str(model)}, warm_up
        )
        masked = {"kind": "sentence-transformers", "model": str(model), "masked": True}
        encoders.open(SECOND, arguments.peers_python, masked, warm_up)
        for precision in PRECISIONS:
            how = {"kind": "searchkit", "model": str(model), "precision": precision}
            encoders.open(f"searchkit {precision}", sys.executable, how, warm_up)
        request = {"texts": str(file), "instruction": INSTRUCTION}
        timings, vectors = encoders.measure("texts", request, arguments.repeats)
    reference = REFERENCE if REFERENCE in timings else SECOND
    rows = compare(timings, vectors, len(lengths), reference)
    shares(rows, encoders.facts, figures["machine"]["matrix_gops"], t5_base_operations(lengths))
    show(f"{len(lengths)} texts, {sum(lengths)} tokens with the Instruction, from {texts.origin}", rows)
    apart = unit(vectors[reference]) @ unit(vectors[reference]).T
    between = float((apart.sum() - len(apart)) / (len(apart) * (len(apart) - 1)))
    print(f"mean cosine between different texts: {between:.3f}")
    spread = np.percentile(lengths, [0, 50, 95, 100]).round().astype(int).tolist()
    figures |= {
        "texts": len(lengths),
        "tokens": {"sum": sum(lengths), **dict(zip(("min", "median", "p95", "max"), spread, strict=True))},
        "mean_cosine_between_texts": round(between, 4),
        "reference": reference,
        "rows": rows,
        "contenders": encoders.facts,
        "absent": encoders.absent,
    }
    report("instructor_throughput", figures, save=arguments.save)


if __name__ == "__main__":
    main()
