"""``make docs``: writes the reference again. Says which files changed."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "scripts")]

from tools.reference import actions, settings  # noqa: E402


def pages(root: Path) -> dict[Path, str]:
    """Return every written file of the reference with the text that it should have."""
    docs = root / "docs"
    by_hand = (docs / "slipway-yml.md").read_text(encoding="utf-8")
    return {
        docs / "actions.md": actions.page(root),
        docs / "slipway-yml.md": settings.updated(by_hand),
        docs / "slipway.schema.json": settings.schema(settings.meanings_in(by_hand)),
    }


def main() -> None:
    for path, text in pages(ROOT).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
