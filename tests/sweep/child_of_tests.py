"""A child for tests of engines: holds its device for a moment, writes down when, and dies where it was told to.

What it does is in the job's request: `folder`, `seconds`, and `deaths`, how often it dies before it answers. It speaks the
protocol of `spanbench point`, with and without --many.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def work(job: dict[str, Any]) -> str:
    """Hold the device, log the time of it, and return the answer's line; or die."""
    asked, begin = job["request"], time.monotonic()
    folder, name = Path(asked["folder"]), job["key"]
    tried = folder / f"{name}.tries"
    with tried.open("a") as file:
        file.write(".")
    if asked.get("error"):
        sys.exit(f"spanbench: error: {asked['error']}")
    if tried.stat().st_size <= asked.get("deaths", 0):
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(asked["seconds"])
    entry = {"key": name, "device": job["device"], "begin": begin, "end": time.monotonic(), "pid": os.getpid()}
    (folder / f"{name}.done").write_text(json.dumps(entry))
    return json.dumps({"schema": 1, "id": name}) + "\n"


def main() -> None:
    """Answer one job, or one a line."""
    if "--many" not in sys.argv:
        sys.stdout.write(work(json.loads(sys.stdin.read())))
        return
    for line in sys.stdin:
        sys.stdout.write(json.dumps({"line": work(json.loads(line)), "reason": None}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
