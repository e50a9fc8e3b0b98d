"""The order in which instances were replaced, from samples."""

from __future__ import annotations

from sandbox.observation import Instance, Sample
from sandbox.replaced import replaced, sentence

UI, BOT = "srv-ui", "srv-bot"


def sample(at: float, *ids: str, starting: tuple[str, ...] = ()) -> Sample:
    def instance(name: str, state: str) -> Instance:
        service = BOT if name.startswith("bot") else UI
        return Instance(
            service=service, id=f"{service}-{name}", state=state, build=None, version=None
        )

    listed = [*(instance(i, "serving") for i in ids), *(instance(i, "starting") for i in starting)]
    return Sample(
        at=at,
        share=0,
        phase=None,
        killed=None,
        stable=None,
        canary=None,
        instances=tuple(listed),
        loads={},
    )


def test_who_came_and_who_went_is_told_in_order_and_only_of_this_service() -> None:
    unseen = Sample(
        at=11.5,
        share=0,
        phase=None,
        killed=None,
        stable=None,
        canary=None,
        instances=None,
        loads={},
    )
    samples = [
        sample(10, "a", "b", "bot1"),
        sample(11, "a", "b", "bot2", starting=("c",)),
        unseen,
        sample(12, "a", "b", "c"),
        sample(13, "b", "c"),
        sample(13.5, "c", "d"),
    ]
    found = replaced(samples, UI)
    assert found == [
        {"seconds": 2, "came": ["srv-ui-c"], "went": []},
        {"seconds": 3, "came": [], "went": ["srv-ui-a"]},
        {"seconds": 3.5, "came": ["srv-ui-d"], "went": ["srv-ui-b"]},
    ]
    assert sentence(found) == "2.0 s +c, 3.0 s -a, 3.5 s +d -b"


def test_nothing_is_told_where_nothing_changed() -> None:
    assert replaced([sample(1, "a"), sample(2, "a")], UI) == []
    assert replaced([], UI) == []
