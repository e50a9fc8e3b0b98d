"""What a page loads is found as a browser finds it, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.clients.browser import MAX_ASSETS, HttpBrowser, assets_of
from tests.unit.clients.stub import Heard, Said, refused_url, serve

HTML = {"Content-Type": "text/html; charset=utf-8"}
URL = "https://shop.test/app/"
PAGE = b"<script src=/assets/app-1.js></script>"


@pytest.mark.parametrize(
    ("html", "assets"),
    [
        ('<script src="/a.js" defer></script>', ["https://shop.test/a.js"]),
        ('<link href="b.css?v=2#x" rel="stylesheet">', ["https://shop.test/app/b.css?v=2"]),
        ('<LINK REL="modulepreload" HREF="/m.js">', ["https://shop.test/m.js"]),
        ('<script src="/a.js"></script><script src="/a.js">', ["https://shop.test/a.js"]),
        ('<script src="https://shop.test:443/a.js">', ["https://shop.test:443/a.js"]),
        ('<base href="/old/"><script src="a.js">', ["https://shop.test/old/a.js"]),
        ('<script src="https://cdn.test/a.js">', []),
        ('<script src="http://shop.test/a.js">', []),
        ('<script src="data:text/javascript,1"></script><script>1</script>', []),
        ('<link rel="icon" href="/favicon.ico"><img src="/a.png"><a href="/b.css">', []),
        ('<!-- <script src="/a.js"></script> -->', []),
        ('<script src="http://[bad">', []),
        (f'<script src="/{"x" * 600}.js">', []),
        ("", []),
    ],
)
def test_scripts_and_stylesheets_of_the_same_origin_are_found(html: str, assets: list[str]) -> None:
    assert [*assets_of(html, URL).assets] == assets


def test_there_are_so_many_at_the_most_and_it_says_so() -> None:
    page = assets_of("".join(f'<script src="/{n}.js"></script>' for n in range(25)), URL)
    assert len(page.assets) == MAX_ASSETS
    assert page.note == "5 more are not looked at"


def test_a_page_is_read_and_redirects_within_its_origin_are_followed() -> None:
    with serve(Said(302, None, {"Location": "/login"}), Said(200, PAGE, HTML)) as stub:
        page = HttpBrowser().page(f"{stub.url}/", timeout=2)
    assert page.assets == (f"{stub.url}/assets/app-1.js",)
    assert [heard.path for heard in stub.heard] == ["/", "/login"]


def test_no_other_origin_is_asked() -> None:
    with serve(Said(200, PAGE, HTML)) as other:
        away = Said(302, None, {"Location": f"{other.url}/"})
        with serve(away) as stub:
            page = HttpBrowser().page(f"{stub.url}/", timeout=2)
    assert page.assets == ()
    assert not other.heard


@pytest.mark.parametrize(
    ("said", "note"),
    [
        (Said(200, {"a": 1}, {"Content-Type": "application/json"}), "no HTML"),
        (Said(200, PAGE), "no HTML (no content type)"),
        (Said(500, PAGE, HTML), "HTTP 500"),
        (Said(200, b"<p>hello", HTML), "loads no script"),
        (lambda heard: Said(302, None, {"Location": "/"}), "HTTP 302"),
        (Said(200, PAGE, {**HTML, "Content-Encoding": "gzip"}), "could not be read"),
    ],
)
def test_what_is_no_page_is_said(said: Said, note: str) -> None:
    with serve(said) as stub:
        page = HttpBrowser().page(f"{stub.url}/", timeout=2)
    assert page.assets == ()
    assert note in page.note


def test_a_page_that_cannot_be_reached_is_said() -> None:
    assert "refused" in HttpBrowser().page(refused_url(), timeout=1).note


def test_only_the_beginning_of_a_page_is_read() -> None:
    def long(_: Heard) -> Said:
        return Said(200, PAGE + b" " * 3_000_000 + b"<script src=/late.js></script>", HTML)

    with serve(long) as stub:
        page = HttpBrowser().page(f"{stub.url}/", timeout=5)
    assert page.assets == (f"{stub.url}/assets/app-1.js",)


@given(st.text(max_size=200))
def test_no_text_makes_it_raise_or_leave_the_origin(text: str) -> None:
    for asset in assets_of(f'<script src="{text}"><link rel=stylesheet href={text}>', URL).assets:
        assert asset.startswith("https://shop.test")
