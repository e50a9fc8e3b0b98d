"""Where the seller's id is found, and which place wins."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.edge.harness import World

NAMED = "4711"


def name_only(world: World, release: str, *sellers: str) -> None:
    """Let exactly these sellers, and nobody else, be on the canary."""
    about = {"key": "distinct_id", "type": "person", "operator": "exact", "value": [*sellers]}
    groups = [
        {"properties": [about], "rollout_percentage": 100},
        {"properties": [], "rollout_percentage": 0.0001},
    ]
    world.raised(release, 0.0001, groups=groups)


def bearer(**claims: Any) -> str:
    """Return an Authorization header with a token that nobody signed."""

    def part(content: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

    return f"Bearer {part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}.c2ln"


def hook(page: Any) -> dict[str, Any]:
    return {"object": "page", "entry": [{"id": page, "messaging": []}]}


def posted(world: World, page: Any, **headers: str) -> str:
    answer = world.edge.client.post("/webhooks/meta", json=hook(page), headers=headers)
    return str(answer.headers["X-Served-By"])


@pytest.fixture
def mapped(stopped: World) -> World:
    """An edge with every place for an id configured."""
    pages = stopped.edge.state_dir.parent / "pages.txt"
    pages.write_text("# page seller\n1001 Seller-Ana\n\n1002 4711\n")
    stopped.edge.environment |= {
        "PAGE_SELLERS": str(pages),
        "SELLER_PATH": "/api/s/",
        "JWT_CLAIM": "app.seller",
    }
    stopped.edge.start()
    return stopped


def test_token_path_and_page_name_the_seller(mapped: World) -> None:
    name_only(mapped, "ids", NAMED, "seller-ana", "1003")
    edge = mapped.edge
    assert edge.served_by(None, Authorization=bearer(app={"seller": NAMED})) == "canary"
    assert edge.served_by(None, Authorization=bearer(app={"seller": "Seller-ANA"})) == "canary"
    assert edge.served_by(None, Authorization=bearer(app={"seller": 4711})) == "canary"
    assert edge.served_by(None, Authorization=bearer(seller=NAMED)) == "stable"
    assert edge.served_by(None, Authorization="Bearer nonsense") == "stable"
    for path, track in {
        "/api/s/4711/orders": "canary",
        "/api/s/4711": "canary",
        "/api/s/SELLER%2DAna/x?y=1": "canary",
        "/api/s/4712/orders": "stable",
        "/api/s/": "stable",
        "/s/4711/": "stable",
        "/x/api/s/4711/": "stable",
    }.items():
        assert edge.client.get(path).headers["X-Served-By"] == track, path
    assert posted(mapped, "1001") == "canary"
    assert posted(mapped, "1002") == "canary"
    # A page that the map does not name counts by its own id.
    assert posted(mapped, "1003") == "canary"
    assert posted(mapped, "1004") == "stable"


def test_the_first_place_that_names_a_seller_wins(mapped: World) -> None:
    name_only(mapped, "order", NAMED)
    places = [
        {"X-Seller-Id": "x"},
        {"Cookie": "seller_id=x"},
        {"Authorization": bearer(app={"seller": "x"})},
    ]
    named = [
        {"X-Seller-Id": NAMED},
        {"Cookie": f"seller_id={NAMED}"},
        {"Authorization": bearer(app={"seller": NAMED})},
    ]
    path, other = f"/api/s/{NAMED}/", "/api/s/x/"
    for i in range(3):
        lower = {k: v for place in named[i + 1 :] for k, v in place.items()}
        get = mapped.edge.client.get
        assert get(path, headers=lower | places[i]).headers["X-Served-By"] == "stable"
        higher = {k: v for place in places[i + 1 :] for k, v in place.items()}
        assert get(other, headers=higher | named[i]).headers["X-Served-By"] == "canary"
    assert posted(mapped, "1002", Cookie="seller_id=x") == "stable"
    # An id that the edge does not recognise is not replaced by one from a later place.
    odd = {"X-Seller-Id": "a b", "Cookie": f"seller_id={NAMED}"}
    assert mapped.edge.client.get("/", headers=odd).headers["X-Served-By"] == "stable"


def test_a_page_id_that_is_a_number_is_the_same_page(shared: World) -> None:
    exact, large = "104857600000123", str(2**53 + 2)
    name_only(shared, "numbers", exact, large, NAMED)
    assert posted(shared, exact) == posted(shared, int(exact)) == posted(shared, 4711) == "canary"
    # Beyond 2^53 HAProxy cannot tell numbers apart, and says so: no id.
    assert posted(shared, large) == "canary"
    assert posted(shared, int(large)) == "stable"
    nothing: list[Any] = [None, True, [], {}, "", 4711.5e300]
    for page in nothing:
        assert posted(shared, page) == "stable", page


@pytest.mark.parametrize(
    "content",
    [b"1001 ana\n1002\n", b"1001 ana bea\n", b"\xff\xfe\x00", b"1 a\n1 b\n", b"1 #\n", None],
)
def test_a_corrupt_page_map_is_logged_and_taken_for_empty(
    stopped: World, content: bytes | None
) -> None:
    pages: Path = stopped.edge.state_dir.parent / "pages.txt"
    if content is not None:
        pages.write_bytes(content)
    # What a crash left where HAProxy looks is not read either.
    stopped.edge.state_dir.mkdir()
    (stopped.edge.state_dir / "pages.map").write_bytes(b"1001\n\x00")
    (stopped.edge.state_dir / "dns.cfg").write_text("resolvers dns\n    nonsense\n")
    stopped.edge.environment["PAGE_SELLERS"] = str(pages)
    stopped.edge.start()
    assert "ERROR PAGE_SELLERS" in stopped.edge.log.read_text()
    name_only(stopped, "r1", "1001")
    assert posted(stopped, "1001") == "canary"


def test_underscores_do_not_smuggle_a_track(shared: World) -> None:
    shared.raised("underscores")
    for name in ("X_Release_Track", "x-release_track", "X-RELEASE-TRACK"):
        answer = shared.edge.client.get("/", headers={name: "canary"})
        assert answer.json()["track"] == ["stable"]
        assert "canary" not in answer.json()["head"]


def test_the_application_cannot_say_who_served(shared: World) -> None:
    shared.raised("lies")
    # tests/edge/upstream.py sends `X-Served-By: a lie` with every answer.
    for seller, track in ((None, "stable"), ("anyone", "canary")):
        headers = {"X-Served-By": "client"} | ({"X-Seller-Id": seller} if seller else {})
        answer = shared.edge.client.get("/", headers=headers)
        assert answer.headers.get_list("X-Served-By") == [track]
