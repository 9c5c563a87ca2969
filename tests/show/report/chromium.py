"""A real browser without a driver: Chromium by its own protocol (DevTools) over a pair of pipes."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["FOUND", "Browser", "browser"]

FOUND = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
"""The browser's program, or None."""

_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions", "--remote-debugging-pipe")


class Browser:
    """One tab. `events` are all that the browser reported since the last `open`."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = os.fdopen(commands, "wb", buffering=0)
        self._answers = os.fdopen(answers, "rb")
        self._last = 0
        self._session: str | None = None
        self.events: list[Mapping[str, Any]] = []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> Mapping[str, Any]:
        """Send one command and return its answer; events on the way are kept."""
        self._last += 1
        session = {"sessionId": self._session} if self._session else {}
        self._commands.write(json.dumps({"id": self._last, "method": method, "params": parameters, **session}).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self._last:
                assert "error" not in found, found
                return found["result"]  # type: ignore[no-any-return]  # JSON

    def open(self, page: Path, width: int, scheme: str) -> None:
        """Show a page in a window of so many pixels, in the light or the dark scheme, and wait until it is there."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events = []
        self.ask("Page.navigate", url=page.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self._next()

    def value(self, expression: str) -> Any:
        """Return what an expression of JavaScript is on the page."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"]["value"]

    def press_tab(self) -> None:
        """Press the tabulator key."""
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)

    def requests(self) -> list[str]:
        """Return what was asked of a file, a network or a cache since the page was opened."""
        sent = [event["params"]["request"]["url"] for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]

    def complaints(self) -> list[str]:
        """Return every message on the console, and every exception."""
        kinds = {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}
        return [json.dumps(event["params"]) for event in self.events if event.get("method") in kinds]

    def picture(self) -> bytes:
        """Return the whole page as a PNG."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"])

    def close(self) -> None:
        """Close the pipes."""
        self._commands.close()
        self._answers.close()

    def _next(self) -> Mapping[str, Any]:
        letters = bytearray()
        while not letters.endswith(b"\0"):
            letter = self._answers.read(1)
            assert letter, "the browser ended"
            letters += letter
        found: Mapping[str, Any] = json.loads(letters[:-1])
        self.events.append(found)
        return found


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start the browser with an empty profile in a folder, and end it."""
    their_in, our_out = _pipe()
    our_in, their_out = _pipe()
    process = _start(profile, their_in, their_out)
    tab = None
    try:
        tab = Browser(our_out, our_in)
        yield tab
        tab.ask("Browser.close")
    finally:
        if tab is not None:
            tab.close()
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)
        os.waitpid(process, 0)


def _pipe() -> tuple[int, int]:
    """Return a pipe whose ends are numbered so high that they are not in the way of the browser's."""
    ends = os.pipe()
    high = fcntl.fcntl(ends[0], fcntl.F_DUPFD_CLOEXEC, 20), fcntl.fcntl(ends[1], fcntl.F_DUPFD_CLOEXEC, 20)
    for end in ends:
        os.close(end)
    return high


def _start(profile: Path, commands: int, answers: int) -> int:
    """Start the browser, whose protocol reads from descriptor 3 and writes to 4, and return its process."""
    assert FOUND is not None
    quiet = [(os.POSIX_SPAWN_OPEN, at, os.devnull, os.O_WRONLY, 0) for at in (1, 2)]
    given = [(os.POSIX_SPAWN_DUP2, commands, 3), (os.POSIX_SPAWN_DUP2, answers, 4)]
    process = os.posix_spawn(FOUND, [FOUND, *_FLAGS, f"--user-data-dir={profile}"], os.environ, file_actions=[*quiet, *given])
    os.close(commands)
    os.close(answers)
    return process
