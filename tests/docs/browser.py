"""A headless Chromium, asked over its DevTools protocol."""

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
_OPTIONS += ["--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"]


class Tab:
    """One page of the browser."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, site: str) -> None:
        self._socket, self._site, self._numbers = socket, site.rstrip("/"), itertools.count(1)

    async def _do(self, method: str, **parameters: object) -> dict:
        """The result of a command of the protocol."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while (message := await self._socket.receive_json()).get("id") != number:
            pass
        return message["result"]

    async def resize(self, width: int) -> None:
        """The width of the window, in CSS pixels; unlike a telephone's, it doesn't zoom out for what is too wide."""
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        await self._do("Emulation.setDeviceMetricsOverride", **size)
        await self.wait_for(f"innerWidth === {width}")

    async def open(self, path: str) -> None:
        """Returns once a page of the site and its pictures are loaded."""
        url = f"{self._site}{path}"
        await self._do("Page.navigate", url=url)
        await self.wait_for(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    async def wait_for(self, expression: str) -> None:
        """Returns once a JavaScript expression is true; asks for at most half a minute."""
        async with asyncio.timeout(30):
            while not await self.ask(expression):
                await asyncio.sleep(0.02)

    async def ask(self, expression: str) -> object:
        """The value of a JavaScript expression, as JSON carries it."""
        outcome = await self._do("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in outcome, outcome
        return outcome["result"].get("value")


@asynccontextmanager
async def browser(profile: Path, site: str) -> AsyncIterator[Tab]:
    """A browser of its own, with an empty profile in the folder; it ends with the block."""
    command, file = [CHROMIUM or "", *_OPTIONS, f"--user-data-dir={profile}"], profile / "DevToolsActivePort"
    running = await asyncio.create_subprocess_exec(*command, "about:blank", stdout=-3, stderr=-3)
    try:
        async with asyncio.timeout(30):
            while not file.exists() or not file.read_text().strip():
                await asyncio.sleep(0.05)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{file.read_text().split()[0]}") as session:
            async with session.get("/json/list") as answer:
                page = next(target for target in await answer.json() if target["type"] == "page")
            async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=2**26) as socket:
                yield Tab(socket, site)
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()
