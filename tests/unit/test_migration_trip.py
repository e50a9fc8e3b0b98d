"""There and back, on a database in memory whose tool does what no real one should."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slipway.clients.catalogue import differences
from slipway.errors import OutsideError
from slipway.migrations.trip import Ended, Rows, trips
from slipway.ports import Migration


def migration(version: str, *, down: str | None = "down") -> Migration:
    return Migration(
        version=version, name="a", file=f"{version}.sql", checksum=version, up="up", down=down
    )


class Memory:
    """One table for each version."""

    def __init__(self, files: Sequence[Migration]) -> None:
        self._files = [file.version for file in files]
        self._applied: list[str] = []
        self._tables: list[str] = []
        self.leaves = ""
        """The version whose down leaves its table."""
        self.reverts = -1
        """Which of the applied a down takes: the last, if nothing is wrong."""
        self.refuses: dict[str, int] = {}
        """How often a version does not go up."""
        self.seeded = False

    def applied(self) -> Sequence[str]:
        return tuple(self._applied)

    def up(self, version: str) -> None:
        if self.refuses.get(version, 0) > 0:
            self.refuses[version] -= 1
            raise OutsideError(f"{version} is refused", remedy="Mend it.")
        for file in self._files[: self._files.index(version) + 1]:
            if file not in self._applied:
                if file in self._tables:
                    raise OutsideError(f"table {file} exists", remedy="Mend it.")
                self._applied.append(file)
                self._tables.append(file)

    def down(self, version: str) -> None:
        gone = self._applied.pop(self.reverts)
        if gone != self.leaves:
            self._tables.remove(gone)

    def schema(self) -> Mapping[str, str]:
        return {f"object table {name}": "" for name in self._tables}

    def seed(self) -> Sequence[str]:
        self.seeded = True
        return ()

    def unseed(self) -> None:
        self.seeded = False

    def rows(self, columns: Mapping[str, tuple[str, ...]] | None = None) -> Rows:
        names = [name for name in self._tables if columns is None or name in columns]
        return Rows(columns=dict.fromkeys(names, ("id",)), sums=dict.fromkeys(names, "3"))


def test_a_tool_that_reverts_another_migration_than_the_newest_is_found_out() -> None:
    files = [migration("1"), migration("2")]
    memory = Memory(files)
    memory.reverts = 0
    first, second = trips(files, lambda _: True, memory, differences)

    assert first.ended is Ended.PASSED, "there is only one to revert"
    assert second.ended is Ended.FAILED
    assert "its down reverted something else: applied are now 2" in second.why


def test_a_down_that_only_forgets_the_version_is_found_out() -> None:
    files = [migration("1")]
    memory = Memory(files)
    memory.leaves = "1"
    (trip,) = trips(files, lambda _: True, memory, differences)

    assert trip.ended is Ended.FAILED
    assert "left behind: table 1" in trip.why
    assert "after its down it does not go up again: table 1 exists" in trip.why


def test_what_comes_after_one_that_does_not_go_up_is_not_tried() -> None:
    files = [migration("1"), migration("2"), migration("3")]
    memory = Memory(files)
    memory.refuses = {"2": 9}
    ended = [trip.ended for trip in trips(files, lambda _: True, memory, differences)]

    assert ended == [Ended.PASSED, Ended.FAILED, Ended.NOT_TRIED]


def test_one_that_is_not_asked_for_is_applied_and_told_only_where_it_fails() -> None:
    files = [migration("1"), migration("2")]
    (only,) = trips(files, lambda m: m.version == "2", Memory(files), differences)
    assert (only.migration.version, only.ended) == ("2", Ended.PASSED)

    memory = Memory(files)
    memory.refuses = {"1": 9}
    first, second = trips(files, lambda m: m.version == "2", memory, differences)
    assert (first.ended, second.ended) == (Ended.FAILED, Ended.NOT_TRIED)


def test_where_made_up_rows_stand_in_the_way_it_is_tried_without_them_and_told() -> None:
    files = [migration("1")]
    memory = Memory(files)
    memory.refuses = {"1": 1}
    (trip,) = trips(files, lambda _: True, memory, differences)

    assert trip.ended is Ended.PASSED
    assert not memory.seeded
    assert "rows were not compared" in trip.notes[0]


def test_one_without_a_way_back_is_applied_and_not_tried() -> None:
    files = [migration("1", down=None), migration("2")]
    first, second = trips(files, lambda _: True, Memory(files), differences)

    assert (first.ended, first.why) == (Ended.NOT_TRIED, "it has no down")
    assert second.ended is Ended.PASSED
