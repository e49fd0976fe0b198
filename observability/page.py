"""A page in one file: no script, nothing fetched, readable on paper, in the dark, by screen readers."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import chain, repeat
from typing import Final, NamedTuple

STYLE: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1b1b;--soft:#555;--line:#c4c4c4;--stripe:#f4f4f2;--good:#005f45}
:root{--bad:#a03c00;--focus:#0047b3}
@media (prefers-color-scheme:dark){
:root{--paper:#16181a;--ink:#ececec;--soft:#b0b0b0;--line:#4a4d50;--stripe:#1f2225;--good:#3fc79b;--bad:#ff9a52;--focus:#8ab4ff}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:66rem;background:var(--paper);color:var(--ink)}
body{font:1rem/1.5 "DejaVu Sans",Verdana,sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.25rem;margin:2.5rem 0 .5rem;padding-top:.6rem;border-top:2px solid var(--line)}
p{max-width:46rem;margin:.5rem 0}
p,h3,li{overflow-wrap:anywhere}
.soft,caption{color:var(--soft)}
.verdict{font-weight:bold}.good{color:var(--good)}.bad{color:var(--bad)}
a{color:inherit}
nav ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem}
dl.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.6rem;margin:1rem 0}
dl.facts div{border:1px solid var(--line);border-radius:.4rem;padding:.5rem .7rem}
dl.facts dt{color:var(--soft);font-size:.85rem}
dl.facts dd{margin:0;font-size:1.35rem;font-variant-numeric:tabular-nums}
h3{font-size:1.02rem;margin:1.6rem 0 .3rem}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;top:.5rem;background:var(--paper);padding:.5rem .8rem}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
.alarm{border:3px solid var(--bad);border-radius:.4rem;padding:.4rem .9rem;margin:1rem 0}
.alarm p:first-child{font-size:1.25rem;font-weight:bold;color:var(--bad);margin:.2rem 0}
code{font-family:"DejaVu Sans Mono",monospace;font-size:.88em;overflow-wrap:anywhere}
pre{overflow-x:auto;padding:.6rem .8rem;border:1px solid var(--line);border-radius:.4rem;background:var(--stripe)}
summary{cursor:pointer;color:var(--soft);font-size:.85rem;width:fit-content}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.85rem;margin:.6rem 0;min-width:60%}
caption{text-align:left;padding:.2rem 0;font-size:.85rem}
th,td{text-align:left;vertical-align:top;padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--line)}
tbody th{min-width:7rem}
thead th{border-bottom:2px solid var(--line)}
tbody tr:nth-child(even){background:var(--stripe)}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
td.verdict{font-weight:bold}
td.code,tbody th.code{font-family:"DejaVu Sans Mono",monospace;font-size:.95em;overflow-wrap:anywhere}
figure{margin:.8rem 0}
figure svg{width:100%;min-width:40rem;height:auto;display:block}
figcaption{font-size:.85rem;color:var(--soft);max-width:46rem}
@media screen and (max-width:60rem){td.code,tbody th.code{min-width:17ch}}
@media print{
@page{size:A4;margin:16mm 14mm 18mm;@bottom-right{content:"Page " counter(page) " of " counter(pages);font:8pt "DejaVu Sans",sans-serif}}
:root{--paper:#fff;--ink:#000;--soft:#333;--line:#999;--stripe:#fff;--good:#000;--bad:#000}
html{font-size:8.5pt}body{max-width:none;padding:0}nav ul{display:block}.skip{display:none}p,figcaption{max-width:none}
.wide,pre{overflow:visible}pre{white-space:pre-wrap}
dl.facts{grid-template-columns:repeat(4,1fr)}table{font-size:.8rem;min-width:0;width:100%}tbody th{min-width:0}
th,td{padding:.2rem .45rem .2rem 0}h2,h3,h3+p,caption,summary{break-after:avoid}
figure,tr,dl.facts div,.alarm{break-inside:avoid}thead{display:table-header-group}figure svg{min-width:0}
td.code,tbody th.code{font-size:.85em}td.hash{overflow-wrap:normal}details::details-content{content-visibility:visible;block-size:auto}summary{list-style:none}}
""".strip()
MAIN: Final = "report"
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


class Link(NamedTuple):
    """A cell that leads to an anchor of the page."""

    text: str
    anchor: str


Cell = str | Link


def page(title: str, intro: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """Return the whole page. ``sections``: anchor, heading (text), content (HTML). ``intro``: HTML below the title."""
    links = "".join(f'<li><a href="#{anchor}">{text_of(heading)}</a></li>' for anchor, heading, _ in sections)
    parts = (
        f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{text_of(heading)}</h2>\n{content}\n</section>'
        for anchor, heading, content in sections
    )
    lines = (
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{text_of(title)}</title>",
        f"<style>\n{STYLE}\n</style>",
        "</head>",
        "<body>",
        f'<a class="skip" href="#{MAIN}">Skip to the report</a>',
        f"<header><h1>{text_of(title)}</h1>",
        intro,
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>',
        f'<main id="{MAIN}" tabindex="-1">',
        *parts,
        "</main>",
        "</body>",
        "</html>",
    )
    return "\n".join(lines) + "\n"


def text_of(text: str) -> str:
    """Return text as a page can hold it: markup escaped, and a mark for each character that would be unseen, or turn what is around it."""
    return escape("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text))


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of plain text."""
    return f"<p{_class(kind)}>{text_of(text)}</p>"


def alarm(text: str, *others: str) -> str:
    """Return what nobody may miss: a box, its first line large."""
    return f'<div class="alarm">{"".join(map(paragraph, (text, *others)))}</div>'


def heading(text: str, anchor: str) -> str:
    """Return a heading within a section."""
    return f'<h3 id="{text_of(anchor)}">{text_of(text)}</h3>'


def commands(*lines: str) -> str:
    """Return commands to type."""
    shown = "\n".join(map(text_of, lines))
    return f'<pre tabindex="0" role="group" aria-label="Commands"><code>{shown}</code></pre>'


def details(summary: str, content: str) -> str:
    """Return what is folded on a screen and open on paper."""
    return f"<details><summary>{text_of(summary)}</summary>{content}</details>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the few numbers that matter most: what, how much."""
    return (
        '<dl class="facts">' + "".join(f"<div><dt>{text_of(what)}</dt><dd>{text_of(value)}</dd></div>" for what, value in pairs) + "</dl>"
    )


def table(caption: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[Cell]], anchors: Sequence[str] = ()) -> str:
    """Return a table, in a frame that a keyboard can move when it is too wide.

    ``columns``: heading and class (``number``, ``code`` or nothing); the first cell of a row names the row. ``anchors``: of each row.
    """
    head = "".join(f'<th scope="col"{_class(kind)}>{text_of(name)}</th>' for name, kind in columns)
    kinds = [kind for _, kind in columns]
    lines = ("".join(_cell(cell, kind, place) for place, (cell, kind) in enumerate(zip(row, kinds, strict=True))) for row in rows)
    ids = chain((f' id="{anchor}"' for anchor in anchors), repeat(""))
    body = "".join(f"<tr{name}>{line}</tr>\n" for name, line in zip(ids, lines, strict=False))
    top = f"<caption>{text_of(caption)}</caption><thead><tr>{head}</tr></thead>"
    return f"{_frame(caption)}<table>{top}\n<tbody>\n{body}</tbody></table></div>"


def figure(svg: str, caption: str, title: str) -> str:
    """Return a picture with its caption, in a frame as a table has it."""
    return f"<figure>{_frame(title)}{svg}</div><figcaption>{text_of(caption)}</figcaption></figure>"


def _frame(label: str) -> str:
    return f'<div class="wide" role="group" tabindex="0" aria-label="{text_of(label)}">'


def _cell(cell: Cell, kind: str, place: int) -> str:
    tag, scope = ("th", ' scope="row"') if place == 0 else ("td", "")
    content = text_of(cell) if isinstance(cell, str) else f'<a href="#{text_of(cell.anchor)}">{text_of(cell.text)}</a>'
    return f"<{tag}{scope}{_class(kind)}>{content}</{tag}>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
