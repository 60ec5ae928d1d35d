from __future__ import annotations

from pathlib import Path

from distribution.builder import costs
from distribution.builder.artifacts import Store
from distribution.builder.costs import Cost

COMPILED = Cost(12.25, 20.5, 317)
PACKED = Cost(3.0)


def test_a_record_is_beside_the_artifact_and_changes_nothing_in_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.create("helm", "k1") as directory:
        (directory / "helm").write_text("x")
    costs.record(store.path("helm", "k1"), COMPILED)
    assert costs.recorded(store.path("helm", "k1")) == COMPILED
    assert [path.name for path in store.path("helm", "k1").iterdir()] == ["helm"]


def test_a_record_goes_with_its_artifact_only(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, key in (("helm", "k1"), ("helm-job", "k1")):
        with store.create(name, key):
            pass
        costs.record(store.path(name, key), PACKED)
    with store.create("helm", "k2"):
        pass
    assert costs.recorded(store.path("helm", "k1")) is None
    assert costs.recorded(store.path("helm", "k2")) is None
    assert costs.recorded(store.path("helm-job", "k1")) == PACKED
    assert len([*tmp_path.iterdir()]) == 3


def test_the_table_tells_what_is_not_known_from_nothing(tmp_path: Path) -> None:
    rows = [
        line.split()
        for line in costs.table({"a": COMPILED, "b": Cost(1, 2, 0), "c": PACKED, "d": None}.items())
    ]
    assert rows[1:] == [
        ["a", "12.2", "20.5", "317"],
        ["b", "1.0", "2.0", "0"],
        ["c", "3.0", "–", "–"],
        ["d", "?", "?", "?"],
    ]
