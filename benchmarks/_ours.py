"""An open Library of searchkit that answers questions, as a worker process.

python -m benchmarks._ours LIBRARY K MODE
"""

from __future__ import annotations

import sys
import time
from typing import Any

from benchmarks._peers import serve
from searchkit import Library


def main() -> None:
    """Answer requests with the rows of the best passages."""
    library, k, mode = Library(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        hits = library.query(request["text"], k=k, mode=mode).hits
        took = time.perf_counter() - started
        return {"names": [str(int(hit.document.rpartition("#")[2]) - 1) for hit in hits], "s": took}

    serve(answer)


if __name__ == "__main__":
    main()
