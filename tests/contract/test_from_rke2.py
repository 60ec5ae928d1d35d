"""What RKE2 leaves on a server is taken over as it is: etcd's configuration, static pods, certificates."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml

from rke2.config.model import ComponentSettings, NodeConfig, ProbeSettings
from rke2.content.runtime.references import image
from rke2.etcd import timing
from rke2.etcd.messages import Member
from rke2.migration.findings import KINDS
from rke2.staticpods import (
    etcd,
    etcd_config,
    kube_apiserver,
    kube_controller_manager,
    kube_proxy,
    kube_scheduler,
    writer,
)
from rke2.staticpods.pod import StaticPod
from tests.golden import assert_golden
from tests.prepared import prepared_server
from tests.rke2_server import MEMBER, NO_PROXY, RKE2Server

GOLDEN = Path(__file__).parent / "staticpods/rke2"
ENVIRON = {"NO_PROXY": NO_PROXY}
PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler")


@pytest.fixture
async def config(tmp_path: Path) -> NodeConfig:
    """A server whose address was detected, with certificates and kubeconfigs, and what RKE2 made of them."""
    config = await prepared_server(tmp_path, node={"detected_ips": (ip_address("192.0.2.1"),)})
    RKE2Server(tmp_path).make()
    return config


def pods(config: NodeConfig) -> dict[str, StaticPod]:
    options = etcd.previous_options(config.paths)
    assert options
    made = (
        etcd.pod(config, image(config, "etcd"), options),
        kube_apiserver.pod(config, image(config, "kube-apiserver"), egress=True),
        kube_controller_manager.pod(config, image(config, "kube-controller-manager")),
        kube_proxy.pod(config, image(config, "kube-proxy")),
        kube_scheduler.pod(config, image(config, "kube-scheduler")),
    )
    return {pod.name: pod for pod in made}


def start(config: NodeConfig) -> dict[str, str]:
    """What a start does to each pod: nothing, or what is another in its manifest."""
    options = etcd.previous_options(config.paths)
    assert options
    document = etcd_config.document(config, MEMBER, options, timing=timing.initial(config, options))
    etcd_config.write(config, document)
    return {name: restarted(config, pod) for name, pod in pods(config).items()}


def restarted(config: NodeConfig, pod: StaticPod) -> str:
    before = writer.read(config.paths, pod.name)
    written = writer.write(pod, config.paths, environ=ENVIRON)
    if before and before["metadata"]["uid"] == written.uid:
        return ""
    return repr(differences(before, writer.read(config.paths, pod.name)))


NOTHING = dict.fromkeys(PODS, "")


def test_no_pod_of_rke2_restarts(config: NodeConfig) -> None:
    before = config.paths.etcd.joinpath("config").read_bytes()
    assert start(config) == NOTHING
    assert config.paths.etcd.joinpath("config").read_bytes() == before
    assert start(config) == NOTHING


def test_nor_at_the_start_after_the_timing_was_settled(config: NodeConfig) -> None:
    assert start(config) == NOTHING
    alone = [Member(1, MEMBER, ("https://192.0.2.1:2380",), (), False)]
    assert timing.settle(config, alone)
    assert start(config) == NOTHING
    assert timing.settle(config, [*alone, Member(2, "", ("https://192.0.2.2:2380",), (), True)])
    assert start(config) == NOTHING


@pytest.mark.parametrize(
    ("component", "args", "changed"),
    [
        ("kube-apiserver", ("v=4",), "kube-apiserver"),
        ("kube-controller-manager", ("controllers=*,-tokencleaner",), "kube-controller-manager"),
        ("kube-controller-manager", ("kube-api-qps=100",), "kube-controller-manager"),
        ("etcd", ("heartbeat-interval=250",), "etcd"),
        ("etcd", ("max-wals=3",), "etcd"),
    ],
)
def test_what_the_operator_changes_does(
    config: NodeConfig, component: str, args: tuple[str, ...], changed: str
) -> None:
    found = start(replace(config, components={component: ComponentSettings(args=args)}))
    assert [name for name, difference in found.items() if difference] == [changed]


def test_so_does_a_startup_probe_that_is_set(config: NodeConfig) -> None:
    probes = {"startup": ProbeSettings(failure_threshold=60)}
    found = start(replace(config, components={"etcd": ComponentSettings(probes=probes)}))
    assert [name for name, difference in found.items() if difference] == ["etcd"]


def test_the_mode_of_etcds_configuration_is_put_right(config: NodeConfig) -> None:
    path = config.paths.etcd / "config"
    path.chmod(0o644)
    assert start(config) == NOTHING
    assert path.stat().st_mode & 0o777 == 0o600


def test_so_does_an_address_that_is_chosen(config: NodeConfig) -> None:
    network = replace(config.network, advertise_address=ip_address("192.0.2.1"))
    found = start(replace(config, network=network))
    assert [name for name, difference in found.items() if difference] == ["kube-apiserver"]


def test_and_another_image(config: NodeConfig) -> None:
    same = replace(
        config, components={"etcd": ComponentSettings(image=image(config, "etcd").removeprefix("index."))}
    )
    assert start(same) == NOTHING
    other = replace(config, components={"etcd": ComponentSettings(image="registry.example/etcd:v1")})
    assert [name for name, difference in start(other).items() if difference] == ["etcd"]


def test_and_a_proxy(config: NodeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    assert start(config) == NOTHING
    monkeypatch.setitem(ENVIRON, "HTTPS_PROXY", "http://proxy.example:3128")
    assert all(start(config).values())


async def test_a_manifest_that_is_not_one_is_written_again(config: NodeConfig) -> None:
    for text in ("", "[]", "metadata: 3", "metadata: {uid: x}\nspec: {containers: [{}]}", "\x00"):
        config.paths.pod_manifest("kube-proxy").write_text(text)
        written = writer.write(pods(config)["kube-proxy"], config.paths, environ=ENVIRON)
        assert written.changed


# --- the text itself ------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", PODS)
def test_rke2s_text(config: NodeConfig, tmp_path: Path, name: str) -> None:
    """The facts, as a file to read; ours is held to it below."""
    assert_golden(GOLDEN / f"{name}.yaml", anonymous(config.paths.pod_manifest(name).read_text(), tmp_path))


def test_where_our_text_differs_from_rke2s(config: NodeConfig, tmp_path: Path) -> None:
    """On a server that was never RKE2's; docs/from-rke2.md gives the reasons."""
    lines = []
    for name, pod in pods(config).items():
        theirs = writer.read(config.paths, name)
        writer.remove(config.paths, name)
        ours = writer.render(pod, config.paths.pod_manifest(name), ENVIRON)
        lines += [f"{name} {line}" for line in differences(theirs, ours)]
    assert_golden(GOLDEN / "differences.txt", anonymous("\n".join(lines) + "\n", tmp_path))


def test_every_difference_has_its_reason_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs/from-rke2.md").read_text()
    for line in (GOLDEN / "differences.txt").read_text().splitlines():
        component, _, flag = line.partition(" ")
        named = re.search(r"--(?!raw)[a-z-]+|\?exclude=etcd|/livez|startupProbe|uid", flag)
        assert named, line
        rows = [row for row in page.splitlines() if row.startswith("|") and component in row]
        assert any(named[0] in row for row in rows), line


def test_every_finding_of_the_check_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs/from-rke2.md").read_text()
    rows = [
        f"| `{kind}` | {', '.join(severity.word for severity in severities)} | {about} |"
        for kind, (severities, about) in KINDS.items()
    ]
    assert "\n".join(rows) in page


def differences(theirs: Any, ours: Any, path: str = "") -> list[str]:
    """What is in one and not in the other, by the path to it."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        keys = [key for key in {**theirs, **ours} if key != "status"]
        return [line for key in keys for line in differences(theirs.get(key), ours.get(key), f"{path}/{key}")]
    if isinstance(theirs, list) and isinstance(ours, list):
        if any(isinstance(each, dict) for each in (*theirs, *ours)) and len(theirs) == len(ours):
            pairs = enumerate(zip(theirs, ours, strict=True))
            return [line for i, (a, b) in pairs for line in differences(a, b, f"{path}/{i}")]
        gone = [f"{path}: RKE2 has {each}" for each in theirs if each not in ours]
        return gone + [f"{path}: here is {each}" for each in ours if each not in theirs]
    if theirs == ours or (path.endswith("/value") and path.count("/env/0")):
        return []
    return [f"{path}: RKE2 has {theirs}, here is {ours}"]


def anonymous(text: str, root: Path) -> str:
    text = re.sub(r"\b[0-9a-f]{64}\b", "<hash>", text.replace(str(root), ""))
    return re.sub(r"\b[0-9a-f]{32}\b", "<uid>", text)


def test_our_configuration_of_etcd_is_rke2s_file(config: NodeConfig) -> None:
    """Byte for byte, but for the names that etcd 3.6 has given to two keys."""
    document = etcd_config.document(config, MEMBER, etcd_config.single_member(config, MEMBER))
    theirs = yaml.safe_load((config.paths.etcd / "config").read_text())
    for old, new in (
        ("experimental-initial-corrupt-check", {"feature-gates": "InitialCorruptCheck=true"}),
        ("experimental-watch-progress-notify-interval", {"watch-progress-notify-interval": 5000000000}),
    ):
        del theirs[old]
        theirs |= new
    (config.paths.etcd / "config").unlink()
    etcd_config.write(config, document)
    assert (config.paths.etcd / "config").read_text() == yaml.safe_dump(theirs, sort_keys=True, width=10**6)
