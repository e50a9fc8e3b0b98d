"""The page on which a person looks at a pull request and what was reported to it."""

from __future__ import annotations

from jinja2 import Environment

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
pre { white-space: pre-wrap; border: 1px solid #8886; border-radius: 8px; padding: 1rem }
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
<pre>{{ comment.body }}</pre>
</article>
{% else %}<p>None yet.</p>{% endfor %}
</html>
"""
)


def pull_page(pull: Pull, store: Store) -> str:
    """Return the pull request as HTML. What was reported is shown as text, never rendered."""
    shas = {pull.head_sha, pull.merge_sha}
    return _TEMPLATE.render(
        pull=pull,
        deployments=[d for d in store.deployments.values() if d.sha in shas],
        comments=[c for c in store.comments.values() if c.number == pull.number],
    )
