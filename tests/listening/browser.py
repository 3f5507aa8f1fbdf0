"""A real browser for tests: Chromium without a window, driven through a pipe; no package is needed."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
_KEYS = {
    " ": "Space",
    "Enter": "Enter",
    "ArrowRight": "ArrowRight",
    "ArrowLeft": "ArrowLeft",
    "Tab": "Tab",
}
_CODES = {"Enter": 13, " ": 32, "ArrowRight": 39, "ArrowLeft": 37, "Tab": 9}
PATIENCE = 60.0  # seconds for anything to happen on a busy machine


class Browser:
    """One Chromium with one page."""

    def __init__(self, folder: Path) -> None:
        program = next((path for name in _NAMES if (path := shutil.which(name))), None)
        if program is None:
            pytest.skip(f"no browser: none of {', '.join(_NAMES)} is installed")
        self.downloads = folder / "downloads"
        self.downloads.mkdir(parents=True)
        (to, self._out), (self._in, back) = os.pipe(), os.pipe()
        # out of the way of 3 and 4, which are what Chromium reads and writes
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (to, back)]
        options = "no-sandbox disable-gpu no-first-run disable-dev-shm-usage disable-extensions mute-audio"
        command = [program, "--headless=new", "--remote-debugging-pipe", "--window-size=1000,900"]
        command += [f"--{name}" for name in [*options.split(), f"user-data-dir={folder}/profile"]]
        wired = f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]} 2>"{folder}/browser.log"'
        self.process = subprocess.Popen(
            ["bash", "-c", wired, "browser", *command, "about:blank"],
            pass_fds=theirs,
            start_new_session=True,
        )
        for fd in (to, back, *theirs):
            os.close(fd)
        os.set_blocking(self._in, False)
        self._number, self._buffer, self._session = 0, b"", ""
        pages = self.call("Target.getTargets")["targetInfos"]
        target = next(page for page in pages if page["type"] == "page")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        self.call("Page.enable")
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One command of the protocol and its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self._read()
            if answer is None:
                time.sleep(0.005)
            elif answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
        raise AssertionError(f"{method}: no answer from the browser")

    def _read(self) -> dict[str, Any] | None:
        try:
            self._buffer += os.read(self._in, 1 << 20)
        except BlockingIOError:
            pass
        whole, zero, rest = self._buffer.partition(b"\0")
        if not zero:
            return None
        self._buffer = rest
        return json.loads(whole)

    def open(self, address: str) -> None:
        """Go to an address and wait for the page."""
        self.call("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && !!document.querySelector('h1')")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        found = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(f"(async () => Boolean(await ({script})))()"):
            assert time.monotonic() < end, f"{script} stayed false; the page says: {self.text()}"
            time.sleep(0.02)

    def text(self) -> str:
        return str(self.run("document.body.innerText"))

    def key(self, key: str) -> None:
        """Press a key as a person does."""
        shared = {"key": key, "code": _KEYS.get(key, f"Key{key.upper()}"),
                  "windowsVirtualKeyCode": _CODES.get(key, ord(key[0].upper()))}  # fmt: skip
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        self.call(
            "Input.dispatchKeyEvent", type="keyDown", **shared, **({"text": text} if text else {})
        )
        self.call("Input.dispatchKeyEvent", type="keyUp", **shared)

    def click(self, selector: str) -> None:
        """Click into the middle of an element."""
        box = self.run(f"""(() => {{ const e = document.querySelector({json.dumps(selector)});
            e.scrollIntoView({{block: "center"}}); const b = e.getBoundingClientRect();
            return [b.x + b.width / 2, b.y + b.height / 2]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.call(
                "Input.dispatchMouseEvent",
                type=kind,
                x=box[0],
                y=box[1],
                button="left",
                clickCount=1,
            )

    def picture(self, path: Path, width: int = 1000, height: int = 900, dark: bool = False) -> None:
        """A PNG of what is seen."""
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        time.sleep(0.4)
        path.write_bytes(
            base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        )
        self.call("Emulation.clearDeviceMetricsOverride")

    def close(self) -> None:
        """End the browser and what it started."""
        try:
            self._session = ""
            os.write(self._out, b'{"id":0,"method":"Browser.close"}\0')
            self.process.wait(20)
        except (OSError, subprocess.TimeoutExpired):
            os.killpg(self.process.pid, 9)
            self.process.wait()
        finally:
            os.close(self._out)
            os.close(self._in)
