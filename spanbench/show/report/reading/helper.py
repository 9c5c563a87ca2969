"""A process that reads pieces of large files for a report: started by readers.py, asked by lines of JSON, answering with pickles."""

from __future__ import annotations

import gc
import json
import pickle
import sys

from spanbench.show.report.reading.digest import Wanted
from spanbench.show.report.reading.pieces import Piece, read_piece

__all__ = ["main"]


def main() -> None:
    """Answer each question with a pickled `Reading`; end with a traceback, which nobody sees, where there is none."""
    gc.disable()
    for line in sys.stdin:
        asked = json.loads(line)
        pickle.dump(read_piece(Piece(**asked["piece"]), Wanted(**asked["wanted"])), sys.stdout.buffer, pickle.HIGHEST_PROTOCOL)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
