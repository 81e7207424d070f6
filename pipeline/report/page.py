"""The report as one HTML file that asks for nothing from anywhere, and lets nothing in it run."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources

from pipeline.report.markup import paragraph

# Should escaping ever fail: no scripts, no requests, no forms, only what the file has in itself.
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)
PARTS = {
    "numbers": "Numbers",
    "distributions": "Distributions",
    "drops": "Left out",
    "split": "Split",
    "legibility": "Legibility",
    "samples": "Samples",
    "worst": "Worst pages",
}


def page(version: str, sections: Sequence[str]) -> str:
    """Return the whole file.

    Args:
      sections: HTML, each with the id of one of the parts.
    """
    content = "\n".join(section for section in sections if section)
    links = "".join(
        f'<li><a href="#{anchor}">{title}</a></li>'
        for anchor, title in PARTS.items()
        if f'<section id="{anchor}">' in content
    )
    style = resources.files(__package__ or "").joinpath("style.css").read_text(encoding="ascii")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Pagecast report</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>Pagecast report</h1>
{paragraph(f"Pagecast {version}. The manifest, split_manifest.json, has the rest.")}
<nav aria-label="Parts"><ul>{links}</ul></nav>
</header>
<main>
{content}
</main>
</body>
</html>
"""
