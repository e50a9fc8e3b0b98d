"""The page on which a person looks at a pull request and what was reported to it."""

from __future__ import annotations

import cmarkgfm
import nh3
from cmarkgfm.cmark import Options
from jinja2 import Environment
from markupsafe import Markup

from sandbox.github.store import Pull, Store

_TEMPLATE = Environment(autoescape=True).from_string(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>#{{ pull.number }} {{ pull.title }}</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
.comment { border: 1px solid #8886; border-radius: 8px; padding: 0 1rem; overflow-wrap: anywhere }
.comment td, .comment th { border: 1px solid #8884; padding: .3rem .6rem }
pre[lang=mermaid] { max-height: 6rem; overflow: auto; font-size: .75rem; opacity: .7 }
pre[lang=mermaid]::before { content: "GitHub draws this as a chart; so does `make screens`.";
  display: block }
table { border-collapse: collapse }
summary { cursor: pointer; margin: 1rem 0 }
td, th { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0 }
</style>
<h1>{{ pull.title }} <small>#{{ pull.number }}</small></h1>
<p>Head <code>{{ pull.head_sha }}</code>,
{% if pull.merge_sha %}merged as <code>{{ pull.merge_sha }}</code>{% else %}open{% endif %}.</p>
<h2>Deployments</h2>
<table>
<tr><th>Environment<th>Task<th>State<th>Description<th>When</tr>
{% for deployment in deployments %}{% for status in deployment.statuses %}
<tr><td>{{ status.environment }}<td>{{ deployment.task }}<td>{{ status.state }}
<td>{{ status.description }}<td>{{ status.created_at }}</tr>
{% endfor %}{% else %}<tr><td colspan="5">None yet.</tr>{% endfor %}
</table>
<h2>Comments</h2>
{% for comment in comments %}
<article id="issuecomment-{{ comment.id }}">
<p>github-actions[bot], {{ comment.updated_at }}</p>
<div class="comment">{{ shown(comment.body) }}</div>
</article>
{% else %}<p>None yet.</p>{% endfor %}
</html>
"""
)


def as_github_shows(body: str) -> Markup:
    """Render a comment with GitHub's own parser, and let pass only what GitHub does."""
    html = cmarkgfm.github_flavored_markdown_to_html(body, options=Options.CMARK_OPT_UNSAFE)
    return Markup(nh3.clean(html, tags=nh3.ALLOWED_TAGS | {"details", "summary"}))  # noqa: S704


def pull_page(pull: Pull, store: Store) -> str:
    """Return the pull request as HTML, its comments as GitHub would show them."""
    shas = {pull.head_sha, pull.merge_sha}
    return _TEMPLATE.render(
        pull=pull,
        shown=as_github_shows,
        deployments=[d for d in store.deployments.values() if d.sha in shas],
        comments=[c for c in store.comments.values() if c.number == pull.number],
    )
