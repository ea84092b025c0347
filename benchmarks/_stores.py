"""txtai, Chroma and LanceDB as their manuals use them: index a folder, load vectors, answer queries.

Run under the interpreter that has them:

    python -m benchmarks._stores NAME index FOLDER STORE MODEL     texts of FOLDER/*.txt, embedded
    python -m benchmarks._stores NAME load DATA STORE MODEL        DATA/texts.json with DATA/vectors.npy
    python -m benchmarks._stores NAME query STORE MODEL TEXT       names of the ten best, as JSON
    python -m benchmarks._stores NAME serve STORE MODEL            the same for every request

Each store keeps id and text and compares by cosine; sizes and index kinds are the store's own defaults.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks._conditions import versions
from benchmarks._peers import serve

K = 10
NAME = "passages"


class Store(Protocol):
    """A peer that keeps passages in a folder."""

    def __init__(self, folder: str, model: str) -> None:
        """Open the model; `folder` may be empty."""

    def add(self, names: Sequence[str], texts: Sequence[str], vectors: np.ndarray | None) -> None:
        """Store passages, embedding them unless vectors are given, and leave them on the disk."""

    def open(self) -> Callable[[str], list[str]]:
        """What answers a query with the names of the K best passages, best first."""


class Txtai:
    """txtai with its content database, so that texts come back with the answers."""

    def __init__(self, folder: str, model: str) -> None:
        from txtai import Embeddings

        self._folder = folder
        self._make = Embeddings
        self._model = model

    def add(self, names: Sequence[str], texts: Sequence[str], vectors: np.ndarray | None) -> None:
        """Index and save; given vectors take the place of what its model would compute."""
        store = self._make(path=self._model, content=True)
        if vectors is not None:
            place = {text: row for row, text in enumerate(texts)}
            store.model = store.loadvectors()
            store.model.encode = lambda data, category=None: vectors[[place[text] for text in data]]
            store.loadvectors = lambda: store.model
        store.index(list(zip(names, texts, strict=True)))
        store.save(self._folder)

    def open(self) -> Callable[[str], list[str]]:
        """Load the saved index, with its model."""
        store = self._make()
        store.load(self._folder)
        return lambda text: [hit["id"] for hit in store.search(text, K)]


class Chroma:
    """Chroma on disk, embedding through sentence-transformers."""

    def __init__(self, folder: str, model: str) -> None:
        import chromadb

        self._client = chromadb.PersistentClient(path=folder)
        self._embed = self.embedding_function(model)

    def embedding_function(self, model: str) -> Any:
        """How Chroma embeds."""
        from chromadb.utils.embedding_functions import SentenceTransformerEmbeddingFunction

        return SentenceTransformerEmbeddingFunction(model_name=model)

    def add(self, names: Sequence[str], texts: Sequence[str], vectors: np.ndarray | None) -> None:
        """Add in the largest batches that the client takes."""
        kept = self._client.create_collection(
            NAME, embedding_function=self._embed, configuration={"hnsw": {"space": "cosine"}}
        )
        most = self._client.get_max_batch_size()
        for start in range(0, len(texts), most):
            part = slice(start, start + most)
            kept.add(
                ids=list(names[part]),
                documents=list(texts[part]),
                embeddings=None if vectors is None else vectors[part],
            )

    def open(self) -> Callable[[str], list[str]]:
        """Open the collection."""
        kept = self._client.get_collection(NAME, embedding_function=self._embed)
        return lambda text: list(kept.query(query_texts=[text], n_results=K)["ids"][0])


class ChromaOnnx(Chroma):
    """Chroma with the embedding function that is its default, on the same weights: `model` is a folder
    with an `onnx` folder in it, laid out as the archive that Chroma would download.
    """

    def embedding_function(self, model: str) -> Any:
        """Its ONNX runtime, which needs no torch."""
        from chromadb.utils.embedding_functions.onnx_mini_lm_l6_v2 import ONNXMiniLM_L6_V2

        embed = ONNXMiniLM_L6_V2(preferred_providers=["CPUExecutionProvider"])
        embed.DOWNLOAD_PATH = model
        return embed


class Lance:
    """LanceDB, whose registry embeds through sentence-transformers."""

    def __init__(self, folder: str, model: str) -> None:
        import lancedb
        from lancedb.embeddings import get_registry

        self._database = lancedb.connect(folder)
        self._embed = get_registry().get("sentence-transformers").create(name=model, device="cpu")

    def add(self, names: Sequence[str], texts: Sequence[str], vectors: np.ndarray | None) -> None:
        """Make the table; given vectors are stored as they are."""
        from lancedb.pydantic import LanceModel, Vector

        embed = self._embed
        width = embed.ndims() if vectors is None else vectors.shape[1]

        class Row(LanceModel):
            name: str
            text: str = embed.SourceField()
            vector: Vector(width) = embed.VectorField()  # type: ignore[valid-type]

        table = self._database.create_table(NAME, schema=Row)
        rows: list[dict[str, Any]] = [
            {"name": name, "text": text} for name, text in zip(names, texts, strict=True)
        ]
        if vectors is not None:
            rows = [{**row, "vector": vector} for row, vector in zip(rows, vectors, strict=True)]
        table.add(rows)

    def open(self) -> Callable[[str], list[str]]:
        """Open the table; the query is embedded by the function that the table's schema names."""
        table = self._database.open_table(NAME)

        def answer(text: str) -> list[str]:
            found = (
                table.search(text).distance_type("cosine").select(["name", "_distance"]).limit(K).to_list()
            )
            return [row["name"] for row in found]

        return answer


STORES: dict[str, type[Store]] = {
    "txtai": Txtai,
    "chroma": Chroma,
    "chroma-onnx": ChromaOnnx,
    "lancedb": Lance,
}
PACKAGES = (
    "txtai", "chromadb", "lancedb", "sentence-transformers", "transformers", "torch", "onnxruntime",
    "tokenizers", "faiss-cpu", "numpy",
)  # fmt: skip


def main() -> None:
    """Do one thing with one store."""
    kind, action, *rest = sys.argv[1:]
    if action in ("index", "load"):
        data, folder, model = rest
        names, texts, vectors = (read_folder if action == "index" else read_data)(Path(data))
        STORES[kind](folder, model).add(names, texts, vectors)
        print(json.dumps({"texts": len(texts), "packages": versions(PACKAGES)}))
    elif action == "query":
        folder, model, text = rest
        print(json.dumps(STORES[kind](folder, model).open()(text)))
    else:
        folder, model = rest
        answer = STORES[kind](folder, model).open()

        def timed(request: dict[str, Any]) -> dict[str, Any]:
            started = time.perf_counter()
            names = answer(request["text"])
            return {"names": names, "s": time.perf_counter() - started}

        serve(timed)


def read_folder(folder: Path) -> tuple[list[str], list[str], None]:
    """Names and texts of the text files of a folder."""
    files = sorted(folder.glob("*.txt"))
    return [file.stem for file in files], [file.read_text(encoding="utf-8") for file in files], None


def read_data(folder: Path) -> tuple[list[str], list[str], np.ndarray]:
    """Texts that have vectors; a text's name is its row."""
    texts = json.loads((folder / "texts.json").read_text(encoding="utf-8"))
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    return [str(row) for row in range(len(texts))], texts, np.asarray(vectors)


if __name__ == "__main__":
    main()
