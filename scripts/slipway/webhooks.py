"""What a service's webhook is probed with, made from slipway.yml and the inputs."""

from __future__ import annotations

from slipway.clients.webhooks import HttpWebhooks
from slipway.errors import UsageError
from slipway.ports import MetaKeys, Webhooks
from slipway.setup import Desk


def webhooks_of(desk: Desk) -> tuple[Webhooks, MetaKeys] | tuple[None, None]:
    """Return the client and what it signs with; nothing where the service has no `webhook`.

    Raises :class:`UsageError`, which names the inputs that are missing.
    """
    if desk.service.webhook is None:
        return None, None
    keys = desk.inputs.keys
    needed = {"meta-app-secret": keys.meta_secret, "meta-verify-token": keys.meta_token}
    missing = [f"`{name}`" for name, value in needed.items() if not value]
    if missing or keys.meta_secret is None or keys.meta_token is None:
        raise UsageError(
            f"{desk.name} has a `webhook:`, and the input {' and '.join(missing)} is missing or "
            "empty",
            remedy="Pass what the application has as META_APP_SECRET and META_VERIFY_TOKEN, from "
            "secrets of the environment; or take `webhook:` out of slipway.yml.",
        )
    webhooks = HttpWebhooks(build_header=desk.service.build.header)
    return webhooks, MetaKeys(secret=keys.meta_secret, token=keys.meta_token)
