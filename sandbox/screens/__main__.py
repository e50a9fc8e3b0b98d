"""``python -m sandbox.screens OUT [MERMAID]``: one picture for every report of :mod:`.reports`.

The markdown is read by GitHub's own parser and passes the filter of the sandbox's pull request;
the style is ours and only looks like GitHub's. Charts are drawn by npm's mermaid, the file
``MERMAID``; without it the page says that GitHub would draw them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from jinja2 import Environment

from sandbox.github.page import as_github_shows
from sandbox.screens.reports import pictures

WIDTH = 860
DEADLINE = 60
"""Seconds for one picture."""
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
    "--virtual-time-budget=8000",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing in a report may be fetched
]
_TEMPLATE = Environment(autoescape=True).from_string(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{{ name }}</title>
<style>
body { font: 14px/1.5 -apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif;
  color: #1f2328; background: #fff; margin: 16px }
.box { border: 1px solid #d1d9e0; border-radius: 6px }
.who { background: #f6f8fa; border-bottom: 1px solid #d1d9e0; border-radius: 6px 6px 0 0;
  padding: 8px 16px; color: #59636e }
.body { padding: 16px; overflow-wrap: break-word }
.body > :first-child { margin-top: 0 }
h2 { font-size: 1.5em; font-weight: 600; line-height: 1.25; margin: 24px 0 16px;
  padding-bottom: .3em; border-bottom: 1px solid #d1d9e0b3 }
h3 { font-size: 1.25em; font-weight: 600; line-height: 1.25; margin: 24px 0 16px }
p, ul, table, details, pre { margin: 0 0 16px }
ul { padding-left: 2em }
a { color: #0969da }
table { border-collapse: collapse; display: block; width: max-content; max-width: 100% }
th, td { border: 1px solid #d1d9e0; padding: 6px 13px; text-align: left }
tr:nth-child(2n) td { background: #f6f8fa }
code { background: #818b981f; border-radius: 6px; padding: .2em .4em;
  font: 85% ui-monospace, "Liberation Mono", monospace }
pre { background: #f6f8fa; border-radius: 6px; padding: 16px; overflow: auto }
pre code { background: none; padding: 0 }
.chart { background: none; padding: 0; text-align: center }
.chart svg { max-width: 100% }
.undrawn::before { content: "GitHub draws this as a chart; mermaid is not installed here.";
  display: block; color: #9a6700; margin-bottom: 8px }
</style>
<div class="box">
<div class="who"><b>{{ who }}</b></div>
<div class="body">{{ shown }}</div>
</div>
{% if mermaid %}<script src="{{ mermaid }}"></script>{% endif %}
<script>
(async () => {
  {% if unfolded %}document.querySelectorAll("details").forEach(d => { d.open = true });{% endif %}
  const charts = [...document.querySelectorAll('pre[lang="mermaid"]')];
  if (window.mermaid) mermaid.initialize({ startOnLoad: false });
  for (const [n, pre] of charts.entries()) {
    if (!window.mermaid) { pre.classList.add("undrawn"); continue }
    try {
      pre.innerHTML = (await mermaid.render("chart" + n, pre.textContent.trim())).svg;
      pre.classList.add("chart");
    } catch (error) { pre.textContent = "mermaid cannot draw this: " + error }
  }
  document.documentElement.dataset.height = document.documentElement.scrollHeight;
})();
</script>
</html>
"""
)


def main(out: Path, mermaid: str | None) -> int:
    """Write the pictures to ``out``; return the exit code."""
    browser = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if browser is None:
        print("chromium is missing; `make screens` says how to install it", file=sys.stderr)
        return 2
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("*.png"):
        old.unlink()
    undrawn = 0
    for name, markdown in pictures():
        page = _TEMPLATE.render(
            name=name,
            who="github-actions[bot] commented" if name.startswith("comment") else "Job summary",
            shown=as_github_shows(markdown),
            unfolded=name.endswith("unfolded"),
            mermaid=Path(mermaid).resolve().as_uri() if mermaid else None,
        )
        undrawn += _draw(browser, page, out / f"{name}.png")
        print(out / f"{name}.png")
    if undrawn:
        print(f"{undrawn} pictures could not be drawn as they should", file=sys.stderr)
    return 1 if undrawn else 0


def _draw(browser: str, page: str, picture: Path) -> bool:
    """Write one picture as high as its page; return whether something could not be drawn."""
    with tempfile.TemporaryDirectory(prefix="screens-") as place:
        source = Path(place) / "page.html"
        source.write_text(page, encoding="utf-8")

        def look(*options: str) -> str:
            profile = f"--user-data-dir={place}/profile"
            done = subprocess.run(
                [browser, *_FLAGS, profile, *options, source.as_uri()],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=DEADLINE,
                check=True,
                text=True,
            )
            return done.stdout

        drawn = look(f"--window-size={WIDTH},600", "--dump-dom")
        height = re.search(r'data-height="(\d+)"', drawn)
        size = f"--window-size={WIDTH},{height[1] if height else 2000}"
        look(size, f"--screenshot={picture.resolve()}")
    return height is None or "mermaid cannot draw this: " in drawn.partition("<script")[0]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), next(iter(sys.argv[2:]), None)))
