"""What a user sees who got something wrong: the real package, through the real actions."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.act.conftest import SECRETS, Outside, Shop

STEP = """
on: push
jobs:
  job:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - uses: slipway-deploy/slipway/actions/{action}@v0
        with:
          {inputs}
          render-api-key: ${{{{ secrets.RENDER_API_KEY }}}}
          posthog-api-key: ${{{{ secrets.POSTHOG_API_KEY }}}}
          edge-token: ${{{{ secrets.EDGE_TOKEN }}}}
"""
IMAGE = f"image: registry.sandbox/livestreamsell/bot@sha256:{'0' * 64}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    action: str = "canary-prod"
    inputs: tuple[str, ...] = ("service: bot", IMAGE)
    without: str = ""
    """The secret that is not defined."""
    status: int = 200
    body: bytes = b"{}"
    title: str
    said: str
    """Part of the message: what was found."""


MISTAKES = {
    "no reason": Mistake(
        action="rollback", inputs=("service: bot",), title="Wrong input", said="`reason` is missing"
    ),
    "no key": Mistake(
        without="RENDER_API_KEY", title="Wrong input", said="`render-api-key` is missing"
    ),
    "unknown service": Mistake(
        inputs=("service: bto", IMAGE), title="Wrong input", said="no service 'bto'"
    ),
    "an image by tag": Mistake(
        inputs=("service: bot", "image: registry.sandbox/livestreamsell/bot:latest"),
        title="Wrong input",
        said="`image` is",
    ),
    "no edge": Mistake(inputs=("service: dashboard",), title="Wrong input", said="dashboard"),
    "no slipway.yml": Mistake(
        inputs=("service: bot", IMAGE, "config: elsewhere.yml"),
        title="Wrong input",
        said="elsewhere.yml cannot be read",
    ),
    "wrong key": Mistake(
        status=401, body=b'{"message": "unauthorized"}', title="Key not accepted", said="Render"
    ),
    "Render answers HTML": Mistake(
        body=b"<html>a page</html>", title="Outside service failed", said="Render"
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_one_titled_annotation_and_changes_nothing(
    shop: Shop, outside: Outside, mistake: Mistake
) -> None:
    outside.status, outside.body = mistake.status, mistake.body
    inputs = "\n          ".join(mistake.inputs)
    shop.workflow("mistake.yml", STEP.format(action=mistake.action, inputs=inputs))
    secrets = {k: v for k, v in SECRETS.items() if k != mistake.without}
    run = shop.run("mistake.yml", "push", secrets=secrets)

    assert run.exit_code != 0
    (error,) = run.errors
    assert error.title.startswith(mistake.title)
    assert mistake.said in error.message
    assert run.outputs["job"]["result"] == "refused"
    assert run.outputs["job"]["reason"]
    assert outside.changed == []
    shown = "\n".join([run.log, error.message, *run.summaries])
    assert not [value for value in SECRETS.values() if value in shown]
