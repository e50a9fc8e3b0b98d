"""What a rung costs a month at Render.

Prices of instance types in US dollars a month, as found on 2026-11-24 in public lists that cite
render.com/pricing, which itself could not be read; starter is confirmed by Render's staff
(community.render.com/t/5297). Compute is billed by the second. The fee of the workspace's plan
comes on top: Hobby 0, Pro 25, Scale 499 (recurdash.com/guides/how-to-cancel-render, of 2026-04-23
on).
"""

from __future__ import annotations

from collections.abc import Sequence

from slipway.doctor.findings import Finding, fine, unseen
from slipway.ports import Service

PRICES = {
    "free": 0,
    "starter": 7,
    "standard": 25,
    "pro": 85,
    "pro_plus": 175,
    "pro_max": 225,
    "pro_ultra": 450,
}
AS_OF = "2026-11-24"
SOURCE = "render.com/pricing"


def price(service: Service) -> int | None:
    """Return the price of one instance; ``None``: not known."""
    if service.type == "static_site":
        return 0
    return PRICES.get((service.plan or "").replace(" ", "_"))


def of_service(service: Service) -> tuple[str, tuple[int, int] | None]:
    """Return a sentence, and the least and the most that a service costs a month."""
    each = price(service)
    scaled = service.autoscaling
    least = scaled.minimum if scaled and scaled.enabled else service.instances
    most = scaled.maximum if scaled and scaled.enabled else service.instances
    plan = service.plan or service.type
    if each is None:
        return f"{service.name}: {least} of {plan}: price not known", None
    many = f"{least} to {most}" if most != least else f"{least}"
    total = f"${least * each} to ${most * each}" if most != least else f"${least * each}"
    return f"{service.name}: {many} of {plan} at ${each} each: {total}", (least * each, most * each)


def findings(
    production: Sequence[Service],
    staging: Sequence[Service],
    canary: Service | None,
    *,
    edge: bool,
    unread: Sequence[str] = (),
) -> list[Finding]:
    """Return the cost of what there is, and what the rung adds to it.

    ``unread``: ids of services whose plan is not known.
    """
    said: list[Finding] = []
    lowest, highest, known = 0, 0, True
    for service in (*production, *staging, *([canary] if canary else [])):
        text, cost = of_service(service)
        said.append(fine(text))
        least, most = cost or (0, 0)
        lowest, highest, known = lowest + least, highest + most, known and cost is not None
    if not said:
        return [unseen("what it costs is not known: no service could be read")]
    if unread:
        said.append(unseen(f"price not known: {', '.join(unread)} could not be read"))
    total = f"${lowest}" if lowest == highest else f"${lowest} to ${highest}"
    at_least = "" if known and not unread else "at least "
    said.append(
        fine(
            f"in all {at_least}{total} a month, at {SOURCE}'s prices as of {AS_OF}, without "
            f"{'the edge, ' * edge}the fee of the workspace's plan, traffic and builds"
        )
    )
    if not edge:
        rung = "rolling" if production else "staging"
        said.append(fine(f"{rung}: nothing beside these; it needs one secret"))
        return said
    text = "canary: beside production it needs the canary service"
    each = price(canary) if canary else None
    if canary and each is not None:
        text += f" (one instance ${each} a month; as many as production's while a release is baked)"
    said.append(
        fine(
            f"{text}, the edge (one more web service: from ${PRICES['starter']} a month for each "
            "instance) and PostHog (1 million flag requests a month are free)"
        )
    )
    return said
