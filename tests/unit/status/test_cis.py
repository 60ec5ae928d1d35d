"""The points of the benchmark, judged on a node's files."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2.cli import status
from rke2.config.model import NodeConfig
from rke2.config.paths import Paths
from rke2.errors import HostError
from rke2.staticpods import kube_apiserver, writer
from rke2.status.cis.checks import Result
from rke2.status.cis.controls import CONTROLS
from rke2.status.cis.report import CisFinding, as_json, as_text, judge
from tests.configs import paths_under, server_config
from tests.contract.test_staticpods import make_files


def server(root: Path, profile: str) -> NodeConfig:
    """A node with the manifest of an API server, the kubelet's configuration and a key."""
    config = server_config(paths_under(root), profile=profile)
    config.paths.pod_manifests.mkdir(parents=True)
    pod = kube_apiserver.pod(config, "image")
    make_files(pod, root)
    writer.write(pod, config.paths, mode=writer.manifest_mode(config), environ={})
    config.paths.kubelet_conf_dir.mkdir(parents=True)
    settings = config.paths.kubelet_conf_dir / "00-rke2.conf"
    settings.write_text("authentication: {anonymous: {enabled: false}}\nreadOnlyPort: 0\n")
    settings.chmod(0o600)
    for key in config.paths.tls.glob("*.key"):
        key.chmod(0o600)
    return config


def found(paths: Paths) -> dict[str, CisFinding]:
    return {each.id: each for each in judge(paths)}


def test_the_profile_makes_points_pass_that_fail_without(tmp_path: Path) -> None:
    plain, hardened = (found(server(tmp_path / (p or "none"), p).paths) for p in ("", "cis"))
    for point in ("1.1.1", "1.2.16", "1.2.17", "3.2.1"):
        assert (plain[point].result, hardened[point].result) == (Result.FAIL, Result.PASS), point
    assert plain["1.1.1"].evidence.endswith("kube-apiserver.yaml 0644")
    assert hardened["1.2.17"].evidence == "--audit-log-maxage=30"
    assert plain["1.2.17"].evidence == "--audit-log-maxage is not set"


def test_no_point_of_the_api_server_fails_under_the_profile(tmp_path: Path) -> None:
    judged = judge(server(tmp_path, "cis").paths)
    assert [each for each in judged if each.id.startswith("1.2") and each.result is Result.FAIL] == []


@pytest.mark.parametrize(
    ("point", "spoil"),
    [
        ("1.1.1", lambda paths: paths.pod_manifest("kube-apiserver").chmod(0o644)),
        ("1.1.21", lambda paths: (paths.tls / "service.key").chmod(0o640)),
        ("4.1.9", lambda paths: (paths.kubelet_conf_dir / "00-rke2.conf").chmod(0o604)),
        (
            "4.2.1",
            lambda paths: (paths.kubelet_conf_dir / "90-own.conf").write_text(
                "authentication: {anonymous: {enabled: true}}\n"
            ),
        ),
        (
            "4.2.4",
            lambda paths: (paths.kubelet_conf_dir / "90-own.conf").write_text("readOnlyPort: 10255\n"),
        ),
    ],
)
def test_each_point_fails_when_it_is_not_so(
    tmp_path: Path, point: str, spoil: Callable[[Paths], object]
) -> None:
    paths = server(tmp_path, "cis").paths
    assert found(paths)[point].result is Result.PASS
    spoil(paths)
    assert found(paths)[point].result is Result.FAIL


@pytest.mark.parametrize(
    ("listens", "result"),
    [
        ([], Result.PASS),
        (["--metrics-bind-address=127.0.0.1:10249"], Result.PASS),
        (["--metrics-bind-address=[::1]:10249"], Result.PASS),
        (["--metrics-bind-address=0.0.0.0:10249"], Result.FAIL),
    ],
)
def test_where_kube_proxy_shows_its_metrics(tmp_path: Path, listens: list[str], result: Result) -> None:
    paths = server(tmp_path, "cis").paths
    assert "4.3.1" not in found(paths)
    pod = {"spec": {"containers": [{"command": ["kube-proxy"], "args": listens}]}}
    paths.pod_manifest("kube-proxy").write_text(json.dumps(pod))
    assert found(paths)["4.3.1"].result is result


@pytest.mark.parametrize(
    ("suites", "result"),
    [
        ("[TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_256_GCM_SHA384]", Result.PASS),
        ("[TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_RC4_128_SHA]", Result.FAIL),
    ],
)
def test_a_weak_cipher_among_strong_ones_fails(tmp_path: Path, suites: str, result: Result) -> None:
    paths = server(tmp_path, "cis").paths
    (paths.kubelet_conf_dir / "90-own.conf").write_text(f"tlsCipherSuites: {suites}\n")
    assert found(paths)["4.2.12"].result is result
    manifest = paths.pod_manifest("kube-apiserver")
    ciphers = suites.strip("[]").replace(" ", "")
    manifest.write_text(
        re.sub("--tls-cipher-suites=[A-Z0-9_,]+", f"--tls-cipher-suites={ciphers}", manifest.read_text())
    )
    assert found(paths)["1.2.29"].result is result


def test_the_authority_of_clients_is_for_root_alone(tmp_path: Path) -> None:
    paths = server(tmp_path, "cis").paths
    authority = paths.agent / "client-ca.crt"
    authority.write_text("")
    for mode, result in ((0o600, Result.PASS), (0o644, Result.FAIL)):
        authority.chmod(mode)
        assert found(paths)["4.1.7"].result is result


def test_serving_certificates_of_kubelets_may_be_renewed(tmp_path: Path) -> None:
    paths = server(tmp_path, "cis").paths
    assert found(paths)["4.2.11"].result is Result.PASS
    (paths.kubelet_conf_dir / "90-own.conf").write_text(
        "featureGates: {RotateKubeletServerCertificate: false}\n"
    )
    assert found(paths)["4.2.11"].result is Result.FAIL


def test_every_point_of_the_benchmark_that_a_node_has_stands_there() -> None:
    """Counted in kube-bench's files of the release."""
    numbers = {each.id for each in CONTROLS}
    counts = {"1.1": 21, "1.2": 29, "1.3": 7, "1.4": 2, "2": 7, "3.1": 3, "3.2": 2, "4.2": 13}
    for section, last in counts.items():
        assert {f"{section}.{number}" for number in range(1, last + 1)} <= numbers, section
    assert {f"4.1.{number}" for number in range(3, 11)} <= numbers


def test_an_agent_has_the_points_of_nodes_only(tmp_path: Path) -> None:
    paths = server(tmp_path, "cis").paths
    paths.pod_manifest("kube-apiserver").unlink()
    judged = [each for each in judge(paths) if each.result is not Result.MANUAL]
    assert {each.id.partition(".")[0] for each in judged if not each.id.startswith("1.1")} == {"4"}


def test_the_table_is_in_order_and_every_point_stands_there_once() -> None:
    numbers = [tuple(map(int, each.id.split("."))) for each in CONTROLS]
    assert numbers == sorted(set(numbers))


def test_the_answer_names_everything(tmp_path: Path) -> None:
    judged = judge(server(tmp_path, "cis").paths)
    assert as_text(judged).splitlines()[0].split() == ["POINT", "RESULT", "TITLE", "EVIDENCE"]
    assert len(as_text(judged).splitlines()) == len(judged) + 3
    points = json.loads(as_json(judged))["points"]
    assert [each["id"] for each in points] == [each.id for each in judged]


def test_the_exit_code_says_whether_a_point_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = server(tmp_path, "").paths
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert status.run(["--cis", "--data-dir", str(paths.data_dir)]) == 1
    assert "1.1.1   fail" in capsys.readouterr().out


def test_where_no_node_ever_ran_there_is_nothing_to_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(HostError, match="no node ever ran"):
        status.run(["--cis", "--data-dir", str(tmp_path)])
