"""The flags of a cluster reset: what goes together."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2.config.commandline import parse
from rke2.config.model import ResetSettings
from rke2.config.paths import Paths
from rke2.config.reset import reset_settings
from rke2.config.settings import gather
from rke2.errors import ConfigError


def of(tmp_path: Path, *argv: str, token: str = "") -> ResetSettings | None:
    paths = Paths(data_dir=tmp_path)
    if token:
        paths.token.parent.mkdir(parents=True)
        paths.token.write_text(token)
    (tmp_path / "config.yaml").write_text("")
    typed = parse("server", [f"--config={tmp_path}/config.yaml", *argv])
    return reset_settings(gather("server", typed, {}), paths)


def test_what_is_asked_for(tmp_path: Path) -> None:
    assert of(tmp_path) is None
    assert of(tmp_path, "--cluster-reset") == ResetSettings(None)
    restore = ("--cluster-reset", "--cluster-reset-restore-path=/s/a")
    assert of(tmp_path, *restore, "--token=secret") == ResetSettings(Path("/s/a"))
    assert of(tmp_path, *restore, token="secret") == ResetSettings(Path("/s/a"))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (
            ["--cluster-reset-restore-path=/s/a"],
            "invalid flag use; --cluster-reset required with --cluster-reset-restore-path",
        ),
        (
            ["--cluster-reset", "--server=https://other:9345"],
            "cannot perform cluster-reset while server URL is set - remove server from configuration before resetting",
        ),
        (["--cluster-reset", "--disable-etcd"], "cluster-reset needs an etcd member"),
        (
            ["--cluster-reset", "--cluster-reset-restore-path=/s/a"],
            "server/token does not exist, please pass --token to complete the restoration",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(tmp_path: Path, argv: list[str], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        of(tmp_path, *argv)
    assert words in refused.value.message
