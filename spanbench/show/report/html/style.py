"""The page's looks: one column on a telephone, as many as fit on a desk, light or dark as the reader has set, and on paper."""

from __future__ import annotations

from spanbench.show.report.svg.draw import themed

__all__ = ["stylesheet"]

_RULES = """
*{box-sizing:border-box}
body{margin:0 auto;max-width:1360px;padding:0 16px 48px;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;overflow-wrap:break-word}
a{color:var(--blue)}
:focus-visible{outline:3px solid var(--red);outline-offset:2px}
.skip{position:absolute;left:-999px}
.skip:focus{position:static;display:inline-block;padding:8px}
h1{font-size:1.75rem;line-height:1.2;margin:24px 0 8px}
h2{font-size:1.35rem;line-height:1.25;margin:48px 0 4px;padding-top:16px;border-top:1px solid var(--grid)}
h3{font-size:1.05rem;margin:28px 0 8px}
p,ul{margin:8px 0;max-width:80ch}
ul{padding-left:22px}
li{margin:4px 0}
nav ul{columns:20rem;max-width:none}
.where,figcaption,caption,footer{color:var(--muted)}
.plots{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,380px),1fr));gap:28px}
figure{margin:0;break-inside:avoid}
figcaption{font-size:.85rem;line-height:1.4}
h4{font-size:.95rem;margin:0 0 4px}
svg{display:block;width:100%;max-width:480px;height:auto;stroke-linejoin:round;stroke-linecap:butt}
.scroll{overflow-x:auto;margin:12px 0 20px}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:4px 0}
th,td{padding:3px 10px;text-align:right;white-space:nowrap;border-bottom:1px solid var(--grid);vertical-align:top}
thead th{vertical-align:bottom}
tbody th{position:sticky;left:0;background:var(--paper)}
caption span{position:sticky;left:0;display:inline-block;max-width:min(80ch,calc(100vw - 32px))}
th[scope=colgroup]{text-align:center}
th[scope=colgroup],td.first{border-left:1px solid var(--grid)}
td small{display:block;color:var(--muted)}
.note{border-left:4px solid var(--red);padding:4px 12px}
@media print{.skip,nav{display:none}body{max-width:none;font-size:10pt}.scroll{overflow:visible}h2{break-before:page}
h2,h3{break-after:avoid}.plots{grid-template-columns:1fr 1fr}section:first-of-type h2{break-before:auto}}
"""


def stylesheet(plots: str) -> str:
    """Return the page's CSS; `plots` are the rules that the plots share."""
    light = "".join(f"--{colour.name}:{colour.light};" for colour in themed())
    dark = "".join(f"--{colour.name}:{colour.dark};" for colour in themed())
    return f":root{{color-scheme:light dark;{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}{_RULES}{plots}"
