from __future__ import annotations

from pathlib import Path

import pytest

from distribution.builder.artifacts import Store


def test_an_artifact_is_there_only_when_it_is_complete(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ZeroDivisionError), store.create("some", "k1") as directory:
        (directory / "half").write_text("x")
        1 / 0  # noqa: B018
    assert not store.has("some", "k1")
    assert list(tmp_path.iterdir()) == []

    with store.create("some", "k1") as directory:
        assert not store.has("some", "k1")
        (directory / "whole").write_text("x")
    assert (store.path("some", "k1") / "whole").read_text() == "x"


def test_a_new_key_replaces_the_old_one_of_the_same_name_only(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, key in (("helm", "k1"), ("helm-job", "k1"), ("helm", "k2")):
        with store.create(name, key):
            pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["helm-job-k1", "helm-k2"]
