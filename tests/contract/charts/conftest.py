"""The packed charts, and the real Helm to render them with."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
import yaml

from distribution.builder import charts, lines
from tests.binaries import binary
from tests.contract.charts.rendering import INJECTED, KUBERNETES, Helm


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every packaged chart's archive, taken out of its HelmChart manifest."""
    places, out = lines.sources(), tmp_path_factory.mktemp("charts")
    unpacked = {}
    for manifest in charts.write_manifests(places.charts, out, places.go_mod):
        content = yaml.safe_load(manifest.read_text())["spec"]["chartContent"]
        unpacked[manifest.stem] = manifest.with_suffix(".tgz")
        unpacked[manifest.stem].write_bytes(base64.b64decode(content))
    return unpacked


@pytest.fixture(scope="session")
def helm(archives: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Runs Helm on the chart `name` with the injected values, `sets` and HelmChartConfig `values`."""
    program, home = binary("helm"), tmp_path_factory.mktemp("home")

    def run(
        verb: str, name: str, sets: dict[str, str] | None = None, values: str = "", version: str = KUBERNETES
    ) -> subprocess.CompletedProcess[str]:
        flags = [f"--set-string={key}={value}" for key, value in (INJECTED | (sets or {})).items()]
        flags += ["--set=global.prime.enabled=false", f"--kube-version={version}", "--namespace=kube-system"]
        release = (name,) if verb == "template" else ()
        command = (program, verb, *release, archives[name], *flags, "--values=-")
        environment = {"HOME": str(home)}
        return subprocess.run(
            command, input=values, env=environment, capture_output=True, text=True, check=False
        )

    return run
