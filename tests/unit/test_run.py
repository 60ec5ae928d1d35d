"""The runner behind `make test`: which tests run where, and what the whole comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.run import CLUSTERS, OTHERS, main, names_paths, verdict

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("codes", "whole"),
    [([0, 0], 0), ([0, 1], 1), ([1, 0], 1), ([2, 1], 2), ([5, 0], 0), ([0, 5], 0), ([5, 5], 5), ([5, 1], 1)],
)
def test_the_whole_of_two_parts(codes: list[int], whole: int) -> None:
    assert verdict(codes) == whole


def test_every_folder_with_tests_is_run() -> None:
    folders = {
        f"tests/{path.relative_to(ROOT / 'tests').parts[0]}" for path in ROOT.glob("tests/**/test_*.py")
    }
    assert folders == {*OTHERS, *CLUSTERS}


def test_paths_are_told_from_other_arguments() -> None:
    assert names_paths(["-x", __file__])
    assert names_paths([f"{__file__}::test_it", "-q"])
    assert not names_paths(["-m", "", "-k", "charts and not long", "-x"])


def test_a_path_is_run_alone(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "test_good.py", tmp_path / "test_bad.py"
    good.write_text("def test_it(): pass\n")
    bad.write_text("def test_it(): assert False\n")
    assert main([str(good), "-q", "-p", "no:cacheprovider"]) == 0
    assert main([str(bad), "-q", "-p", "no:cacheprovider"]) == 1
    assert "1 failed" in capfd.readouterr().out
