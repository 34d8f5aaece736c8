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

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def do(self, method: str, **parameters: object) -> dict:
        """A command of the protocol, and its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while (message := await self._socket.receive_json()).get("id") != number:
            pass
        return message["result"]

    async def resize(self, width: int, height: int = 900) -> None:
        """The size of the window, in CSS pixels; unlike a telephone's, it doesn't zoom out for what is too wide."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        await self.do("Emulation.setDeviceMetricsOverride", mobile=False, **size)
        await self.wait_for(f"innerWidth === {width}")

    async def open(self, url: str) -> None:
        """Returns once the page and its pictures are loaded."""
        await self.do("Page.navigate", url=url)
        await self.wait_for(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    async def wait_for(self, expression: str) -> None:
        """Returns once a JavaScript expression is true; asks for at most half a minute."""
        async with asyncio.timeout(30):
            while not await self.ask(expression):
                await asyncio.sleep(0.02)

    async def ask(self, expression: str) -> object:
        """The value of a JavaScript expression, as JSON carries it."""
        outcome = await self.do("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in outcome, outcome
        return outcome["result"].get("value")


@asynccontextmanager
async def browser(profile: Path) -> AsyncIterator[Tab]:
    """A browser of its own, with an empty profile in the folder; it ends with the block."""
    assert CHROMIUM is not None
    running = await asyncio.create_subprocess_exec(
        CHROMIUM, *_OPTIONS, f"--user-data-dir={profile}", "about:blank", stdout=-3, stderr=-3
    )
    try:
        async with asyncio.timeout(30):
            while not (file := profile / "DevToolsActivePort").exists() or not file.read_text().strip():
                await asyncio.sleep(0.05)
        place = f"http://127.0.0.1:{file.read_text().split()[0]}/json/list"
        async with aiohttp.ClientSession() as session:
            async with session.get(place) as answer:
                pages = [target for target in await answer.json() if target["type"] == "page"]
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=2**26) as socket:
                yield Tab(socket)
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()
