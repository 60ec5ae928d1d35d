"""Results of long tests are written down by the run, and only for files that were run whole."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import results

LONG = """
import pytest

@pytest.mark.long
def test_one(): pass

@pytest.mark.long
def test_two(): {second}

def test_short(): pass
"""
PLUGIN = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.results import LongResults

def pytest_configure(config):
    here = Path(__file__).parent
    config.pluginmanager.register(LongResults(here / "results.json", here, config.args))
"""
TODAY = datetime.datetime.now(datetime.UTC).date().isoformat()


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    directory = tmp_path / "tests"
    directory.mkdir()
    root = str(Path(__file__).parents[2])
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    long: minutes\n")
    (directory / "conftest.py").write_text(PLUGIN.format(root=root))
    return directory


def run(tests: Path, *arguments: str) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        str(tests.parent / "pytest.ini"),
    ]
    subprocess.run([*command, *arguments], cwd=tests.parent, capture_output=True, check=False)


def write(tests: Path, name: str, second: str = "pass") -> None:
    (tests / name).write_text(LONG.format(second=second))


def result(tests: Path, name: str) -> str | int | None:
    return results.read(tests / "results.json").get(name, {}).get("result")


def test_a_file_that_passed_and_one_that_failed(tests: Path) -> None:
    write(tests, "test_good.py")
    write(tests, "test_bad.py", "assert False")
    run(tests, "tests")
    rows = results.read(tests / "results.json")
    assert rows["test_good.py"] | {"seconds": 0} == {
        "date": TODAY,
        "result": "passed",
        "passed": 2,
        "seconds": 0,
    }
    assert rows["test_bad.py"] | {"seconds": 0} == {
        "date": TODAY,
        "result": "failed",
        "passed": 1,
        "failed": 1,
        "seconds": 0,
    }


def test_skipped_alone_is_not_passed(tests: Path) -> None:
    (tests / "test_none.py").write_text(
        "import pytest\npytestmark = [pytest.mark.long, pytest.mark.skip]\ndef test_it(): pass\n"
    )
    run(tests, "tests")
    assert result(tests, "test_none.py") == "failed"


@pytest.mark.parametrize(
    "arguments",
    [
        ("tests", "-k", "one"),
        ("tests/test_good.py::test_one",),
        ("tests", "-m", "not long"),
        ("tests", "--co"),
    ],
    ids=" ".join,
)
def test_a_file_that_was_run_in_part_is_left(tests: Path, arguments: tuple[str, ...]) -> None:
    write(tests, "test_good.py")
    run(tests, *arguments)
    assert not (tests / "results.json").exists()


def test_a_run_that_stopped_early_tells_of_what_it_finished(tests: Path) -> None:
    write(tests, "test_a.py")
    (tests / "test_b.py").write_text(
        "import pytest\npytestmark = pytest.mark.long\ndef test_1(): assert False\ndef test_2(): pass\n"
    )
    run(tests, "tests", "-x")
    assert (result(tests, "test_a.py"), result(tests, "test_b.py")) == ("passed", None)


def test_rows_of_other_files_stay_and_each_has_its_line(tests: Path) -> None:
    write(tests, "test_good.py")
    results.write(tests / "results.json", {"test_z.py": {"date": "2026-01-01", "result": "failed"}})
    run(tests, "tests", "-m", "long")
    lines = (tests / "results.json").read_text().splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:-1]] == ['"test_good.py"', '"test_z.py"']
    assert json.loads("\n".join(lines))["test_z.py"]["result"] == "failed"
