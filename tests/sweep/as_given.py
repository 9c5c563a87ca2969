"""Runs the child of the engines' suite on the GPU that Ray gave its task: `python as_given.py CHILD…`, a Job on standard input.

All of Ray's tasks call their GPU cuda:0; the suite looks at who held which one.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

from spanbench.sweep.lifeline import die_with_parent


def main() -> None:
    """Become the child."""
    die_with_parent()  # as `spanbench point` does; it holds for what this process becomes
    job = json.load(sys.stdin)
    if job["device"] == "cuda:0":
        job["device"] = f"GPU {os.environ['CUDA_VISIBLE_DEVICES']}"
    with tempfile.TemporaryFile("w+") as file:
        file.write(json.dumps(job))
        file.seek(0)
        os.dup2(file.fileno(), 0)
        os.lseek(0, 0, os.SEEK_SET)
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606  # the tests' own child


if __name__ == "__main__":
    main()
