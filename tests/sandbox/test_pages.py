"""The receiver of pages: it takes what Slack takes and what is signed, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import httpx
import pytest

from sandbox.pages import Receiver
from sandbox.serving import running

KEY = b"twenty-four bytes of key"
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def sent(message: Any, *, late: float = 0.0, key: bytes = KEY, body: bytes = b"") -> Receiver:
    receiver = Receiver(SECRET)
    content = json.dumps(message).encode()
    stamp = str(int(time.time() + late))
    mac = hmac.new(key, f"id.{stamp}.".encode() + content, hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/json",
        "webhook-id": "id",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }
    with running(receiver.app()) as url:
        httpx.post(f"{url}/services/a", content=body or content, headers=headers, timeout=5)
    return receiver


GOOD = {"text": "a &amp; b", "blocks": [section("*a*"), section("<https://a.example|log>")]}


def test_a_signed_message_is_kept() -> None:
    (page,) = sent(GOOD).pages
    assert page["text"] == "a &amp; b"


@pytest.mark.parametrize(
    "how",
    [
        {"late": -600},
        {"late": 600},
        {"key": b"another"},
        {"body": json.dumps({**GOOD, "text": "b"}).encode()},
    ],
)
def test_what_is_old_forged_or_changed_is_not_taken(how: dict[str, Any]) -> None:
    receiver = sent(GOOD, **how)
    assert receiver.pages == []
    assert len(receiver.refused) == 1


@pytest.mark.parametrize(
    "message",
    [
        {"text": "a"},
        {**GOOD, "more": 1},
        {**GOOD, "text": "a & b"},
        {**GOOD, "blocks": [section("<!channel>")]},
        {**GOOD, "blocks": [section("x" * 3001)]},
        {**GOOD, "blocks": [section("x")] * 51},
        {**GOOD, "blocks": [{"type": "context", "elements": [section("x")["text"]] * 11}]},
        {**GOOD, "blocks": [{"type": "image"}]},
        [],
    ],
)
def test_what_slack_would_not_take_or_would_show_otherwise_is_not_taken(message: Any) -> None:
    receiver = sent(message)
    assert receiver.pages == []
    assert len(receiver.refused) == 1
