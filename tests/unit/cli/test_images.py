from __future__ import annotations

from pathlib import Path

import pytest

from rke2.cli import main
from rke2.cli.images import VERBS


def test_help_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images"]) == 0
    output = capsys.readouterr().out
    assert all(verb in output for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["images", verb, "--help"])
    assert f"rke2 images {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pul"], "'pul' is not a command of rke2 images"),
        (["pull"], "required: IMAGE"),
        (["pull", "A"], "'A' is not an image reference"),
        (["pull", "a", "-o", "x.zip"], "ends neither in .tar nor in .tar.zst"),
        (["pull", "a", "-o", "/nowhere/x.tar"], "there is no directory /nowhere"),
        (["pull", "a", "-d", "/nowhere"], "no containerd of rke2 runs on this host"),
        (["push", "a"], "required: ARCHIVE"),
        (["import"], "required: FILE"),
        (["export", "a"], "required: -o/--output"),
        (["list", "-o", "yaml"], "argument -o/--output: invalid choice: 'yaml'"),
        (["verify", "--fip"], "unrecognized arguments: --fip"),
        (["push", "ftp://x", "a.tar"], "registry endpoint 'ftp://x' is not an http or https URL"),
    ],
)
def test_what_cannot_be_done(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images", *arguments]) == 1
    assert f"rke2: error: {message}" in (output := capsys.readouterr().err) or message in output


def test_an_archive_that_is_none_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "registries.yaml").write_text("mirrors: {'*': {endpoint: ['http://127.0.0.1:1']}}")
    rules = f"--private-registry={tmp_path / 'registries.yaml'}"
    only = "--disable-default-registry-endpoint"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rke2.registry.patience.PullPatience.delay", lambda self, number: 0.0)
        assert main(["images", "pull", "a/b:v1", rules, only, "-o", str(tmp_path / "x.tar")]) == 1
    assert "registry http://127.0.0.1:1/v2 cannot be reached" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["registries.yaml"]
