"""What Meta sends to a webhook, and what somebody else might: the bodies of the probes. Pure.

The forms are those of Meta's pages "Getting Started" of Graph API webhooks and of the webhooks of
Messenger and of WhatsApp. Every id of a probe is reserved, so that an application can drop it
before it does anything.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

SIGNATURE: Final = "X-Hub-Signature-256"
ENTRY: Final = "0"
"""Id of the entry of every probe: no page, account or user has it."""
PREFIX: Final = "deploy-probe-"
"""What the id of every message of a probe begins with."""
_TEXT: Final = "Sonde: caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{HOT BEVERAGE}"
"""Not ASCII: sent as escapes, which an application that writes JSON anew before it checks the
signature makes something else of."""


def body_of(about: str, message: str, moment: int) -> bytes:
    """Return a delivery about ``about`` (as slipway.yml names it) with one message.

    ``moment``: seconds since 1970. The spacing is unusual on purpose: raw bytes are signed.
    """
    entry: dict[str, Any] = {"id": ENTRY, "time": moment, **_change(about, message, moment)}
    whole = {"object": about, "entry": [entry]}
    return json.dumps(whole, ensure_ascii=True, separators=(" ,  ", " :  ")).encode("ascii")


def _change(about: str, message: str, moment: int) -> Mapping[str, Any]:
    if about == "whatsapp_business_account":
        said = {
            "from": ENTRY,
            "id": message,
            "timestamp": str(moment),
            "type": "text",
            "text": {"body": _TEXT},
        }
        value: Any = {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": ENTRY, "phone_number_id": ENTRY},
            "messages": [said],
        }
        return {"changes": [{"field": "messages", "value": value}]}
    if about == "user":
        return {"changes": [{"field": "about", "value": {"id": message, "text": _TEXT}}]}
    return {
        "messaging": [
            {
                "sender": {"id": ENTRY},
                "recipient": {"id": ENTRY},
                "timestamp": moment * 1000,
                "message": {"mid": message, "text": _TEXT},
            }
        ]
    }


def signed(body: bytes, secret: str) -> Mapping[str, str]:
    """Return the headers of a delivery that is signed with ``secret``."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {**unsigned(), SIGNATURE: f"sha256={digest}"}


def unsigned() -> Mapping[str, str]:
    """Return the headers of a delivery that nobody signed."""
    return {"Content-Type": "application/json"}
