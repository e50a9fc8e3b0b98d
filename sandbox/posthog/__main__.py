"""``python -m sandbox.posthog``: see ``--help``."""

from __future__ import annotations

import argparse

from sandbox.posthog.app import PostHog, Settings
from sandbox.posthog.limits import Numbers
from sandbox.posthog.store import Store, User
from sandbox.serving import serve


def personal_keys(written: list[str], *, first_id: int = 1, writes: bool) -> dict[str, User]:
    """Read ``KEY`` or ``KEY=EMAIL``: whose key it is shows in the activity log."""
    keys = {}
    for number, item in enumerate(written, first_id):
        key, _, email = item.partition("=")
        user = User(id=number, email=email or f"user{number}@example.test", writes=writes)
        keys[key] = user
    return keys


def main() -> None:
    """Serve one project until stopped."""
    parser = argparse.ArgumentParser(prog="sandbox.posthog", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--lag", type=float, default=2.0, help="seconds the cache is behind")
    parser.add_argument("--project", type=int, default=1)
    parser.add_argument("--project-key", required=True)
    parser.add_argument("--secret-key", required=True)
    parser.add_argument("--personal-key", action="append", required=True, metavar="KEY[=EMAIL]")
    parser.add_argument("--read-only-key", action="append", default=[], metavar="KEY[=EMAIL]")
    parser.add_argument("--limits", action="store_true", help="PostHog's own rate limits")
    args = parser.parse_args()
    writers = personal_keys(args.personal_key, writes=True)
    readers = personal_keys(args.read_only_key, first_id=len(writers) + 1, writes=False)
    settings = Settings(
        project=args.project,
        project_key=args.project_key,
        secret_key=args.secret_key,
        personal_keys={**writers, **readers},
    )
    posthog = PostHog(settings, Store(args.project, lag=args.lag))
    if args.limits:
        posthog.limits.set(Numbers())
    serve(posthog.app(), args.port)


if __name__ == "__main__":
    main()
