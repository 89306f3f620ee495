"""Headless Chromium, driven through its DevTools protocol.

The protocol is JSON over a websocket, and `websockets` (which Prefect needs) speaks it; selenium
would be a package and a driver more, and tells neither requests nor console messages as directly.
"""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from websockets.sync.client import ClientConnection, connect

Values = dict[str, Any]

# Whatever reaches past the right edge, unless a box around it scrolls.
TOO_WIDE = """
[...document.querySelectorAll("body *")].filter(e =>
    e.getBoundingClientRect().right > innerWidth + 0.5
    && !e.parentElement.closest(".scroll, .hidden")
).map(e => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40)).concat(
    document.documentElement.scrollWidth > innerWidth ? ["the page scrolls sideways"] : [])
"""


class Browser:
    """One tab."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._calls = 0
        self.events: list[Values] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> Values:
        self._calls += 1
        message = {"id": self._calls, "method": method, "params": parameters}
        self._connection.send(json.dumps(message))
        while True:
            answer: Values = json.loads(self._connection.recv(timeout=30))
            if answer.get("id") == self._calls:
                assert "error" not in answer, answer
                found: Values = answer["result"]
                return found
            self.events.append(answer)

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def open(self, page: Path, width: int, height: int = 900, scheme: str = "light") -> None:
        """Open a file as on a screen of this size."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        deadline = time.monotonic() + 60
        while self.run("document.readyState") != "complete" or not self.of("Page.loadEventFired"):
            if time.monotonic() > deadline:
                raise TimeoutError(page)
            time.sleep(0.02)

    def of(self, *methods: str) -> list[Values]:
        """Events since the page was opened."""
        return [event["params"] for event in self.events if event["method"] in methods]

    def complaints(self) -> list[Values]:
        """What the console has."""
        self.run("1")  # events that are under way come before the answer
        return self.of("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")

    def requests(self) -> list[str]:
        """What was asked for, but for the page itself and what it holds."""
        urls = [event["request"]["url"] for event in self.of("Network.requestWillBeSent")]
        return [url for url in urls[1:] if not url.startswith("data:")]

    def too_wide(self) -> list[str]:
        """What reaches past the right edge."""
        found: list[str] = self.run(TOO_WIDE)
        return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    folder = tmp_path_factory.mktemp("chromium")
    options = (
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
        *("--disable-dev-shm-usage", "--remote-debugging-port=0", f"--user-data-dir={folder}"),
    )
    process = subprocess.Popen(
        [chromium, *options, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        there = folder / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (there.exists() and there.read_text().count("\n")):
            assert process.poll() is None and time.monotonic() < deadline, "it did not start"
            time.sleep(0.05)
        port = there.read_text().split()[0]
        with urlopen(Request(f"http://127.0.0.1:{port}/json/new", method="PUT")) as answer:
            address = json.load(answer)["webSocketDebuggerUrl"]
        with connect(address, max_size=None) as connection:
            yield Browser(connection)
    finally:
        process.terminate()
        process.wait(30)


def keep(name: str, content: str) -> None:
    """Write what Chromium made to the folder that LASSO_JOBS_SCREENSHOTS names, to look at."""
    if folder := os.environ.get("LASSO_JOBS_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / name).write_bytes(base64.b64decode(content))
