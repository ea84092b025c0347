"""The command line with the word embedder for a model.

$SLOW_S makes every batch take that long, $SLOW_QUERY_S every query; after two batches it waits as long as
the file $WAIT_WHILE is there; $AHEAD makes other processes read, however little there is.
"""

import os
import time
from pathlib import Path

from searchkit.cli.main import main
from searchkit.collection import extraction, index_pipeline
from searchkit.collection.library import Library
from tests.fakes import WordEmbedder


class SlowEmbedder(WordEmbedder):
    batches = 0

    def embed(self, texts, instruction=""):
        if (wait_s := float(os.environ.get("SLOW_QUERY_S", "0"))) and len(texts) == 1:
            print("asked", flush=True)
            time.sleep(wait_s)
        return super().embed(texts, instruction)

    def embed_counted(self, texts, instruction=""):
        time.sleep(float(os.environ.get("SLOW_S", "0")))
        self.batches += 1
        while self.batches > 2 and (wait_while := os.environ.get("WAIT_WHILE")) and Path(wait_while).exists():
            time.sleep(0.01)
        made = super().embed_counted(texts, instruction)
        self.texts.clear()  # nobody asks here, and large files are weighed
        return made


def use_word_embedder():
    Library.__init__.__kwdefaults__["open_model"] = SlowEmbedder
    index_pipeline.FIRST_BATCH = index_pipeline.LARGEST_BATCH = 16
    index_pipeline.SMALLEST_BATCH = 1
    if os.environ.get("AHEAD"):
        extraction.WORTH_PROCESSES_S = 0.0
        index_pipeline.AHEAD_CHARACTERS = 2_000  # or they would be done before anybody looks


if __name__ == "__main__":
    use_word_embedder()
    main()
