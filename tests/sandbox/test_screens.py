"""The pictures show reports of the real model; what they show is harmless."""

from __future__ import annotations

import re

import pytest

from sandbox.github.page import as_github_shows
from sandbox.screens.reports import HOSTILE, pictures
from slipway.report.sticky import parse

PICTURES = dict(pictures())


@pytest.mark.parametrize("name", PICTURES)
def test_every_picture_begins_with_a_headline_and_closes_what_it_opens(name: str) -> None:
    html = as_github_shows(PICTURES[name])
    assert re.match(r"\s*<h[23]>\S+ [^<]+: [^<]+</h[23]>", html)
    assert html.count("<details>") == html.count("</details>")


def test_hostile_strings_are_shown_and_do_nothing() -> None:
    html = as_github_shows(PICTURES["comment-hostile"])
    assert "<img" not in html
    assert "evil.test" in html
    assert 'href="https://evil.test' not in html
    assert len(parse(PICTURES["comment-hostile"])) == 3
    assert "slipway:begin" in HOSTILE
