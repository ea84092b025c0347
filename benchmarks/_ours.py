"""An open Library of searchkit that answers questions, as a worker process.

python -m benchmarks._ours LIBRARY K
"""

from __future__ import annotations

import sys
import time
from typing import Any

from benchmarks._peers import serve
from searchkit import Library


def main() -> None:
    """Answer requests with the rows of the best passages."""
    library, k = Library(sys.argv[1]), int(sys.argv[2])

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        started = time.perf_counter()
        hits = library.query(request["text"], k=k).hits
        took = time.perf_counter() - started
        return {"names": [str(int(hit.document.rpartition("#")[2]) - 1) for hit in hits], "s": took}

    serve(answer)


if __name__ == "__main__":
    main()
