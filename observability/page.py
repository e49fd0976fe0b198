"""A page in one file: no script, nothing fetched, readable on paper, in the dark, by screen readers."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1b1b1b;--soft:#555;--line:#c4c4c4;--stripe:#f4f4f2;--good:#005f45;--bad:#a03c00}
@media (prefers-color-scheme:dark){
:root{--paper:#16181a;--ink:#ececec;--soft:#b0b0b0;--line:#4a4d50;--stripe:#1f2225;--good:#3fc79b;--bad:#ff9a52}}
*{box-sizing:border-box}
body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:66rem;background:var(--paper);color:var(--ink)}
body{font:1rem/1.5 "DejaVu Sans",Verdana,sans-serif}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 .3rem}
h2{font-size:1.25rem;margin:2.5rem 0 .5rem;padding-top:.6rem;border-top:2px solid var(--line)}
p{max-width:46rem;margin:.5rem 0}
.soft,caption{color:var(--soft)}
.verdict{font-weight:bold}.good{color:var(--good)}.bad{color:var(--bad)}
a{color:inherit}
nav ul{list-style:none;padding:0;display:flex;flex-wrap:wrap;gap:.2rem 1.2rem}
dl.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(13rem,1fr));gap:.6rem;margin:1rem 0}
dl.facts div{border:1px solid var(--line);border-radius:.4rem;padding:.5rem .7rem}
dl.facts dt{color:var(--soft);font-size:.85rem}
dl.facts dd{margin:0;font-size:1.35rem;font-variant-numeric:tabular-nums}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:.85rem;margin:.6rem 0;min-width:60%}
caption{text-align:left;padding:.2rem 0;font-size:.85rem}
th,td{text-align:left;vertical-align:top;padding:.25rem .9rem .25rem 0;border-bottom:1px solid var(--line)}
thead th{border-bottom:2px solid var(--line)}
tbody tr:nth-child(even){background:var(--stripe)}
td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
td.code{font-family:"DejaVu Sans Mono",monospace;font-size:.95em;overflow-wrap:anywhere}
figure{margin:.8rem 0}
figure svg{width:100%;min-width:40rem;height:auto;display:block}
figcaption{font-size:.85rem;color:var(--soft);max-width:46rem}
@media print{:root{--paper:#fff;--ink:#000;--soft:#333;--line:#999;--stripe:#fff;--good:#000;--bad:#000}
html{font-size:8.5pt}body{max-width:none;padding:0}nav{display:none}.wide{overflow:visible}
h2{break-after:avoid}figure,tr,dl.facts div{break-inside:avoid}thead{display:table-header-group}figure svg{min-width:0}}
""".strip()
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def page(title: str, intro: str, sections: Sequence[tuple[str, str, str]]) -> str:
    """Return the whole page. ``sections``: anchor, heading (text), content (HTML). ``intro``: HTML below the title."""
    links = "".join(f'<li><a href="#{anchor}">{escape(heading)}</a></li>' for anchor, heading, _ in sections)
    parts = (
        f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(heading)}</h2>\n{content}\n</section>'
        for anchor, heading, content in sections
    )
    lines = (
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{STYLE}\n</style>",
        "</head>",
        "<body>",
        f"<header><h1>{escape(title)}</h1>",
        intro,
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>',
        "<main>",
        *parts,
        "</main>",
        "</body>",
        "</html>",
    )
    return "\n".join(lines) + "\n"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of plain text."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return the few numbers that matter most: what, how much."""
    return '<dl class="facts">' + "".join(f"<div><dt>{escape(what)}</dt><dd>{escape(value)}</dd></div>" for what, value in pairs) + "</dl>"


def table(caption: str, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """Return a table. ``columns``: heading and class (``number``, ``code`` or nothing); the first cell of a row names the row."""
    head = "".join(f'<th scope="col"{_class(kind)}>{escape(name)}</th>' for name, kind in columns)
    kinds = [kind for _, kind in columns]
    lines = ("".join(_cell(cell, kind, place) for place, (cell, kind) in enumerate(zip(row, kinds, strict=True))) for row in rows)
    body = "".join(f"<tr>{line}</tr>\n" for line in lines)
    top = f"<caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
    return f'<div class="wide"><table>{top}\n<tbody>\n{body}</tbody></table></div>'


def figure(svg: str, caption: str) -> str:
    """Return a picture with its caption."""
    return f'<figure><div class="wide">{svg}</div><figcaption>{escape(caption)}</figcaption></figure>'


def _cell(text: str, kind: str, place: int) -> str:
    tag, scope = ("th", ' scope="row"') if place == 0 else ("td", "")
    return f"<{tag}{scope}{_class(kind)}>{escape(text)}</{tag}>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
