"""The manifests and policy files of a default server and of one with every override."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
import yaml

from rke2.config.model import COMPONENTS, ComponentSettings, NodeConfig, ProbeSettings
from rke2.content.runtime.references import image
from rke2.staticpods import (
    etcd,
    etcd_config,
    kube_apiserver,
    kube_controller_manager,
    kube_proxy,
    kube_scheduler,
    writer,
)
from rke2.staticpods.admission import pod_security
from rke2.staticpods.pod import StaticPod
from tests.configs import paths_under, server_config
from tests.golden import assert_golden

GOLDEN = Path(__file__).parent / "staticpods"
MEMBER = "node1-0a1b2c3d"


def default(root: Path) -> NodeConfig:
    return server_config(paths_under(root))


def everything(root: Path) -> NodeConfig:
    """Every flag that shows in a manifest, on a dual-stack node with the hardening profile."""
    own = ComponentSettings(
        image="registry.example/own:v1",
        extra_mounts=("/none/a:/a:ro", "/none/b:/b::FileOrCreate"),
        extra_env=("GOMAXPROCS=2",),
        requests={"cpu": "1"},
        limits={"cpu": "2", "memory": "4Gi"},
        probes={kind: ProbeSettings(1, 2, 3, 4) for kind in ("startup", "liveness", "readiness")},
    )
    args = {
        "etcd": ("quota-backend-bytes=8589934592", "log-outputs+=/dev/null"),
        "kube-apiserver": ("enable-admission-plugins=AlwaysPullImages", "api-audiences+=other", "v=4"),
        "kube-controller-manager": ("controllers-=bootstrapsigner", "bind-address=0.0.0.0"),
        "kube-scheduler": ("v=2",),
        "kube-proxy": ("proxy-mode=nftables",),
    }
    return server_config(
        paths_under(root),
        components={name: replace(own, args=args.get(name, ())) for name in COMPONENTS},
        node={
            "ips": (ip_address("192.0.2.1"), ip_address("2001:db8::1")),
            "external_ips": (ip_address("198.51.100.1"),),
            "selinux": True,
        },
        network={
            "cluster_cidrs": (ip_network("10.42.0.0/16"), ip_network("fd00:42::/56")),
            "service_cidrs": (ip_network("10.43.0.0/16"), ip_network("fd00:43::/112")),
            "cluster_domain": "corp.example",
            "node_port_range": "30000-30100",
            "advertise_address": ip_address("203.0.113.1"),
        },
        server={"etcd_expose_metrics": True},
        profile="cis",
    )


CONFIGS = {"default": default, "everything": everything}


def pods(config: NodeConfig) -> list[StaticPod]:
    full = config.profile == "cis"
    options = etcd_config.single_member(config, MEMBER)
    return [
        etcd.pod(config, image(config, "etcd"), options, run_as=(990, 991) if full else None),
        kube_apiserver.pod(config, image(config, "kube-apiserver"), egress=full),
        kube_controller_manager.pod(config, image(config, "kube-controller-manager"), cloud_controller=full),
        kube_scheduler.pod(config, image(config, "kube-scheduler")),
        kube_proxy.pod(config, image(config, "kube-proxy")),
    ]


def make_files(pod: StaticPod, root: Path) -> None:
    """What the pod's arguments name, as the PKI leaves it on a server."""
    named = (Path(arg.partition("=")[2]) for arg in pod.args)
    for path in (*pod.files, *(path for path in named if path.suffix in (".crt", ".key", ".json", ".yaml"))):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.name)
    for arg in (arg for arg in pod.args if "kubeconfig=" in arg):
        path = Path(arg.partition("=")[2])
        path.parent.mkdir(parents=True, exist_ok=True)
        tls = f"{root}/var/lib/rancher/rke2/server/tls"
        path.write_text(
            f"clusters: [{{cluster: {{certificate-authority: {tls}/server-ca.crt}}}}]\n"
            f"users: [{{user: {{client-certificate: {tls}/c-{path.stem}.crt, client-key: {tls}/c-{path.stem}.key}}}}]"
        )
        for name in ("server-ca.crt", f"c-{path.stem}.crt", f"c-{path.stem}.key"):
            Path(tls, name).parent.mkdir(parents=True, exist_ok=True)
            Path(tls, name).write_text(name)


@pytest.mark.parametrize("which", CONFIGS)
def test_manifests(which: str, tmp_path: Path) -> None:
    for described in pods(CONFIGS[which](tmp_path)):
        pod = replace(
            described,
            optional_dirs=tuple(tmp_path / path.relative_to("/") for path in described.optional_dirs),
        )
        for directory in pod.optional_dirs[:1]:
            directory.mkdir(parents=True, exist_ok=True)
        make_files(pod, tmp_path)
        document = writer.render(pod, Path(f"/pods/{pod.name}.yaml"), {"HTTPS_PROXY": "http://proxy.example"})
        # Both depend on the temporary directory: the kubeconfigs' content and the paths in the object.
        document["metadata"]["uid"] = "UID"
        document["spec"]["containers"][0]["env"][0]["value"] = "FILE_HASH"
        text = yaml.safe_dump(document, sort_keys=False, width=1000).replace(str(tmp_path), "")
        assert_golden(GOLDEN / which / f"{pod.name}.yaml", text)


@pytest.mark.parametrize("which", CONFIGS)
def test_etcd_configuration(which: str) -> None:
    config = CONFIGS[which](Path("/"))
    content = etcd_config.document(config, MEMBER, etcd_config.single_member(config, MEMBER))
    assert_golden(GOLDEN / which / "etcd-config", yaml.safe_dump(content, sort_keys=False))


@pytest.mark.parametrize("profile", ["", "cis"])
def test_pod_security(profile: str) -> None:
    text = yaml.safe_dump(pod_security(profile), sort_keys=False)
    assert_golden(GOLDEN / f"rke2-pss{'-' if profile else ''}{profile}.yaml", text)
