"""A headless Chromium, driven over its own pipe: it needs no driver and no other package."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next(filter(None, map(shutil.which, NAMES)), "")

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
]
# The protocol is spoken on these two file descriptors, whatever else stood there.
AS_3_AND_4 = """
import os, sys
for given, high in zip(sys.argv[1:3], (100, 101)):
    os.dup2(int(given), high)
for high, wanted in ((100, 3), (101, 4)):
    os.dup2(high, wanted)
    os.close(high)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Chromium:
    """One tab, and its DevTools protocol: JSON messages that each end in a zero byte."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, os.fdopen(answers, "rb")
        self._number, self._left = 0, b""
        self.events: list[dict[str, Any]] = []
        self._session: dict[str, str] = {}
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Give a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **self._session}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, path: Path, width: int, height: int, dark: bool) -> None:
        """Load a file as a screen of that size shows it, and wait until it is there."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 600,
        )  # fmt: skip
        self.events.clear()
        self.send("Page.navigate", url=path.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def value(self, script: str) -> Any:
        """Return what a script gives; the page's policy does not hold for it."""
        result = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        return result["result"].get("value")

    def wait_for(self, script: str) -> None:
        """Wait until a script gives what is true, some seconds at most."""
        for _ in range(200):
            if self.value(script):
                return
            time.sleep(0.05)
        raise AssertionError(f"{script} is not true")

    def screenshot(self, path: Path) -> bytes:
        """Keep what the screen shows as a PNG file, and return it."""
        png = base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"])
        path.write_bytes(png)
        return png

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._left:
            piece = os.read(self._answers.fileno(), 1 << 20)
            assert piece, "Chromium is gone"
            self._left += piece
        message, _, self._left = self._left.partition(b"\0")
        return json.loads(message)


@contextmanager
def chromium(home: Path) -> Iterator[Chromium]:
    """Start a Chromium that keeps its files in `home`, and end it."""
    theirs_in, commands = os.pipe()
    answers, theirs_out = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", AS_3_AND_4, str(theirs_in), str(theirs_out), PROGRAM, *ARGUMENTS,
         f"--user-data-dir={home}/profile"],
        pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        yield Chromium(commands, answers)
    finally:
        os.close(commands)
        process.kill()
        process.wait()
