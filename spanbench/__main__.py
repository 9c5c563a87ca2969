"""Run the command line as `python -m spanbench`."""

from __future__ import annotations

import sys

from spanbench.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
