"""A report on paper: the page as tagged PDF (PDF/UA-1), by WeasyPrint, which is an optional library and needs Pango from the system.

Fonts are those that come with the pictures' library, so that the same page makes the same bytes whatever fonts a machine has (A-102).
Nothing is fetched (A-103).
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import matplotlib as mpl

FONTS: Final = {"sans.ttf": "DejaVuSans.ttf", "bold.ttf": "DejaVuSans-Bold.ttf", "mono.ttf": "DejaVuSansMono.ttf"}
FONT_HOST: Final = "fonts:"
STYLE: Final = """
@font-face{font-family:"DejaVu Sans";src:url("fonts:sans.ttf")}
@font-face{font-family:"DejaVu Sans";font-weight:bold;src:url("fonts:bold.ttf")}
@font-face{font-family:"DejaVu Sans Mono";src:url("fonts:mono.ttf")}
nav a{text-decoration:none}
nav a::after{content:leader(". ") " " target-counter(attr(href url), page)}
""".strip()
MISSING: Final = (
    "needs WeasyPrint: pip install -r requirements/pdf.txt, or the extra `pdf`; and Pango 1.44 or newer, on Debian libpango-1.0-0"
)


class NoPaper(Exception):
    """No PDF can be made on this machine; the message says what is missing. The operator's to install."""


class Fetched(Exception):
    """The page asks for something from outside, which it must not. Ours."""


def available() -> None:
    """Load what makes PDF; raise NoPaper."""
    try:
        import weasyprint  # noqa: PLC0415 - is it there? It also loads libraries of the system
        import weasyprint.text.fonts  # noqa: F401, PLC0415 - the same
    except ImportError as error:
        raise NoPaper(f"PDF {MISSING} (not there: {error.name or error})") from None
    except OSError as error:
        raise NoPaper(f"PDF {MISSING} ({str(error).splitlines()[0]})") from None


def pdf(html: str, progress: Callable[[str, int, int], None] | None = None) -> bytes:
    """Return the page as PDF. The same page makes the same bytes. Raises NoPaper, Fetched."""
    available()
    from weasyprint import CSS, HTML  # noqa: PLC0415 - optional, and slow to load
    from weasyprint.text.fonts import FontConfiguration  # noqa: PLC0415 - the same
    from weasyprint.urls import FatalURLFetchingError, URLFetcher, URLFetcherResponse  # noqa: PLC0415 - the same

    class Fonts(URLFetcher):  # type: ignore[misc]  # the library has no types
        """Gives the fonts, and refuses everything else."""

        def fetch(self, url: str, headers: object = None) -> URLFetcherResponse:  # noqa: ARG002 - as its base has it
            return URLFetcherResponse(url, font(url), {"Content-Type": "font/ttf"})

    if progress:
        progress("printing", 0, 1)
    fetcher, fonts = Fonts(fail_on_errors=True), FontConfiguration()
    faces = CSS(string=STYLE, font_config=fonts, url_fetcher=fetcher)
    paper = HTML(string=printable(html), url_fetcher=fetcher)
    try:
        printed: bytes = paper.write_pdf(stylesheets=[faces], font_config=fonts, pdf_variant="pdf/ua-1")
    except FatalURLFetchingError as error:  # derived from BaseException there
        raise Fetched(f"a report asks for something from outside: {error}") from error
    if progress:
        progress("printing", 1, 1)
    return printed


def printable(html: str) -> str:
    """Return the page as a program for paper wants it: pictures in the colours of paper, and named with all that they say."""
    html = re.sub(r"<svg.*?</svg>", _picture, html, flags=re.DOTALL)
    return html.replace("<details>", '<div class="open">').replace("</details>", "</div>")


def _picture(found: re.Match[str]) -> str:
    svg = found[0].replace("var(--ink)", "#000000").replace("var(--line)", "#999999")
    said = re.search(r"<title[^>]*>(.*?)</title><desc[^>]*>(.*?)</desc>", svg, re.DOTALL)
    if said is None:
        return svg
    return svg.replace(said[0], f"<title>{said[1]}: {said[2]}</title>", 1)


def font(url: str) -> bytes:
    """Return one of the fonts; raise Fetched for everything else."""
    name = url.removeprefix(FONT_HOST)
    if not url.startswith(FONT_HOST) or name not in FONTS:
        raise Fetched(f"a report asks for {url[:80]!r}")
    return (Path(mpl.get_data_path()) / "fonts" / "ttf" / FONTS[name]).read_bytes()
