"""Registers an image with the sandbox instead of building one. Standard library only.

The image is what ``build.json`` in the build's context says of it. Its digest is made from that
file and the commit, so the same source always has the same digest and a change has another.
"""

from __future__ import annotations

import hashlib
import json
import os
import urllib.request
from pathlib import Path


def main() -> None:
    """Register the image named by the action's inputs and output its digest."""
    if os.environ["BUILD_PUSH"] != "true":
        raise SystemExit("::error title=Nothing pushed::push must be true in the sandbox")
    commit = os.environ["BUILD_ARGS"].removeprefix("COMMIT=").strip()
    source = Path(os.environ["GITHUB_WORKSPACE"], os.environ["BUILD_CONTEXT"], "build.json")
    content = source.read_bytes()
    digest = "sha256:" + hashlib.sha256(commit.encode() + b"\n" + content).hexdigest()
    name = os.environ["BUILD_TAGS"].strip().rpartition(":")[0]
    build = json.loads(content)
    register(
        {
            "ref": f"{name}@{digest}",
            "commit": commit,
            "version": build["version"],
            "behaviour": build.get("behaviour", {}),
        }
    )
    with Path(os.environ["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as file:
        file.write(f"digest={digest}\n")
    print(f"{build['version']} of {commit[:12]} is {name}@{digest}")


def register(image: dict[str, object]) -> None:
    """Tell the sandbox's registry about an image. Raises ``HTTPError`` when it says no."""
    request = urllib.request.Request(
        f"{os.environ['SANDBOX_RENDER_URL']}/_sandbox/images",
        data=json.dumps(image).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    with urllib.request.urlopen(request, timeout=10):
        pass


if __name__ == "__main__":
    main()
