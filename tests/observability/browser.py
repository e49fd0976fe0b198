"""Chromium, as the tests of reports drive it: the system's own browser, through Playwright."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright

FLAGS: Final = ["--no-sandbox", "--disable-gpu"]  # as root, in a container, there is no sandbox to be had
WIDE: Final = (1280, 900)
NARROW: Final = (380, 800)


@contextmanager
def browser() -> Iterator[Browser]:
    """Start the browser, and end it."""
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        try:
            yield started
        finally:
            started.close()


@contextmanager
def opened(started: Browser, page: Path, *, size: tuple[int, int] = WIDE, dark: bool = False) -> Iterator[Page]:
    """Open a page in a window of this size, and close it."""
    context = started.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if dark else "light", offline=True)
    try:
        window = context.new_page()
        window.goto(page.as_uri())
        yield window
    finally:
        context.close()
