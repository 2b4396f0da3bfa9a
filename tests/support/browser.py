"""A real browser for the pool's own page: Chromium without a window, told what to do over a pipe.

It speaks the DevTools protocol: JSON messages with a NUL behind each. Expressions are JavaScript in
the page; what it waits for is a condition, with a generous limit.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

PATIENCE_SECONDS = 60
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# As root, in a container, without a graphics card, and without asking anybody for anything.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--no-first-run", "--disable-background-networking", "--hide-scrollbars"),
    "--remote-debugging-pipe",
)


def chromium() -> str | None:
    """The program, if this machine has one."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Tab:
    """One page; `errors` is what its scripts complained of."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self.errors: list[str] = []
        self._to, self._from = to_browser, from_browser
        self._unread = b""
        self._number = 0
        self._session: str | None = None

    def begin(self, width: int = 1160, height: int = 800) -> None:
        """Make the page; everything after this is about it."""
        target = self.say("Target.createTarget", url="about:blank")["targetId"]
        found = self.say("Target.attachToTarget", targetId=target, flatten=True)
        self._session = str(found["sessionId"])
        self.say("Runtime.enable")
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.say("Emulation.setDeviceMetricsOverride", **size)
        dark = [{"name": "prefers-color-scheme", "value": "dark"}]
        self.say("Emulation.setEmulatedMedia", features=dark)

    def go(self, url: str) -> None:
        """Show the page at this address."""
        self.errors.clear()
        self.say("Page.navigate", url=url)
        self.wait_until(f"location.href == {json.dumps(url)} && document.readyState == 'complete'")

    def ask(self, expression: str) -> object:
        """The value of an expression in the page; a promise is waited for."""
        found = self.say(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in found:
            raise AssertionError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait_until(self, expression: str) -> None:
        """Until the expression is true in the page."""
        script = f"""new Promise((done) => {{
            const end = Date.now() + {PATIENCE_SECONDS * 1000};
            const look = () => ({expression}) ? done(true)
                : Date.now() > end ? done(false) : setTimeout(look, 20);
            look();
        }})"""
        if not self.ask(script):
            shown = self.ask("document.body.innerText")
            raise AssertionError(f"it never came true: {expression}\n{shown}\n{self.errors}")

    def picture(self, selector: str = "html") -> bytes:
        """What an element looks like, as PNG."""
        box = self.ask(f"""(() => {{
            const r = document.querySelector({json.dumps(selector)}).getBoundingClientRect();
            return {{ x: r.x, y: r.y, width: r.width, height: r.height, scale: 1 }};
        }})()""")
        found = self.say("Page.captureScreenshot", clip=box, captureBeyondViewport=True)
        return base64.b64decode(found["data"])

    def say(self, method: str, **parameters: object) -> dict:
        """One order, and what it brought."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            heard = self._hear()
            if heard.get("id") == self._number:
                if "error" in heard:
                    raise AssertionError(f"{method}: {heard['error']}")
                return heard["result"]
            if heard.get("method") == "Runtime.exceptionThrown":
                self.errors.append(json.dumps(heard["params"]))

    def _hear(self) -> dict:
        while b"\0" not in self._unread:
            data = os.read(self._from, 1_048_576)
            if not data:
                raise AssertionError("the browser is gone")
            self._unread += data
        text, _, self._unread = self._unread.partition(b"\0")
        return json.loads(text)


@contextlib.contextmanager
def open_tab(program: str) -> Iterator[Tab]:
    """A page of a browser that ends with the block."""
    theirs_in, ours_out = _pipe()
    ours_in, theirs_out = _pipe()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        # Why a shell: the browser reads descriptor 3 and writes descriptor 4.
        start = f'exec "$0" "$@" 3<&{theirs_in} 4>&{theirs_out}'
        process = subprocess.Popen(
            ["bash", "-c", start, program, *FLAGS, f"--user-data-dir={folder}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": folder},
        )
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            tab = Tab(ours_out, ours_in)
            tab.begin()
            yield tab
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)
            os.close(ours_in)
            os.close(ours_out)


def _pipe() -> tuple[int, int]:
    """Descriptors above those that the shell is about to use."""
    found = []
    for descriptor in os.pipe():
        found.append(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(descriptor)
    return found[0], found[1]
