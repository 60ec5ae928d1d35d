from __future__ import annotations

import threading
from pathlib import Path

import pytest

from distribution.builder.artifacts import Store, exclusive


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


def test_a_second_build_says_that_it_waits_and_goes_on_after_the_first(tmp_path: Path) -> None:
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        with exclusive(tmp_path, waiting.set):
            order.append("second")

    thread = threading.Thread(target=second)
    with exclusive(tmp_path, lambda: order.append("the first must not wait")):
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
