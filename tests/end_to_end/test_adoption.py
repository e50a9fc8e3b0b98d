"""A build that somebody deployed by hand: refused, then adopted, then released from."""

from __future__ import annotations

import json
import time
import urllib.request

from tests.end_to_end.conftest import Shop


def deploy_by_hand(shop: Shop, service: str, image: str, commit: str) -> None:
    """Deploy as a person at Render's dashboard does, and wait until it serves."""
    request = urllib.request.Request(
        f"{shop.world.url('render')}/v1/services/{service}/deploys",
        method="POST",
        data=json.dumps({"imageUrl": image}).encode(),
        headers={
            "Authorization": f"Bearer {shop.world.keys.render}",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=5):
        pass
    until = time.monotonic() + 30
    while shop.state()["serving"][service] != {commit}:
        assert time.monotonic() < until
        time.sleep(0.2)


def test_what_nobody_vouches_for_is_refused_until_it_is_adopted(shop: Shop) -> None:
    stable = shop.world.service_id("bot")
    image, commit = shop.push_image("by-hand", {})
    deploy_by_hand(shop, stable, image, commit)
    next_image, next_commit = shop.push_image("good", {})

    refused = shop.run("canary-prod", image=next_image, commit=next_commit)
    assert refused.exit_code == 1
    assert "nothing to go back to" in refused.errors[0]
    assert "scripts/run adopt" in refused.errors[0]

    lost = shop.run("adopt", reason="live and healthy", github=False)
    assert (lost.exit_code, lost.outputs["result"]) == (3, "refused")

    adopted = shop.run("adopt", reason="live and healthy")
    assert adopted.exit_code == 0, adopted.log
    assert adopted.outputs["result"] == "adopted"
    assert adopted.outputs["build"] == image.partition("@")[2]
    assert "what is live is now the build to go back to" in adopted.summary
    assert shop.run("adopt", reason="again").outputs["result"] == "unchanged"
    assert shop.state()["serving"][stable] == {commit}
