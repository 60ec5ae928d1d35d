"""`cluster-domain` is one setting: nothing that a node writes or a chart renders has the default domain beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from rke2.addons.cluster_dns import cluster_dns
from rke2.addons.helm.proxy import job_proxy
from rke2.components import kubelet_config
from rke2.config.model import NodeConfig
from rke2.content.runtime.charts import cluster_values
from rke2.content.runtime.references import image
from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.server_pki import ensure_server_pki
from rke2.staticpods import kube_apiserver
from tests.configs import paths_under, server_config
from tests.machines import SYSTEMD_HOST

ROOT = Path(__file__).parents[2]
DEFAULT, OWN = "cluster.local", "corp.example"

WRITTEN_IN = {
    "distribution/charts/rke2-coredns/templates/_corefile.tpl",
    "distribution/charts/rke2-coredns/templates/_nodelocal.tpl",
    "distribution/charts/rke2-coredns/values.yaml",
    "src/rke2/config/flags.py",
    "src/rke2/config/model.py",
}
"""Where the default is: the setting's own, and of charts that are rendered without rke2."""


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    return server_config(paths_under(tmp_path), network={"cluster_domain": OWN})


def test_the_default_is_written_where_the_setting_is() -> None:
    files = [
        path
        for top in ("src", "distribution", "packaging")
        for path in (ROOT / top).rglob("*")
        if path.is_file()
    ]
    found = {
        str(path.relative_to(ROOT))
        for path in files
        if path.suffix != ".pyc" and DEFAULT.encode() in path.read_bytes()
    }
    assert found == WRITTEN_IN


async def test_certificates(config: NodeConfig) -> None:
    ensure_server_pki(config)
    await ensure_agent_pki(config, LocalSigner(config))
    certificates = [
        certificate
        for file in config.paths.data_dir.rglob("*.crt")
        for certificate in x509.load_pem_x509_certificates(file.read_bytes())
    ]
    contents = [certificate.public_bytes(Encoding.DER) for certificate in certificates]
    assert any(f"kubernetes.default.svc.{OWN}".encode() in content for content in contents)
    assert not any(DEFAULT.encode() in content for content in contents)


def test_control_plane_kubelet_and_jobs(config: NodeConfig) -> None:
    pod = kube_apiserver.pod(config, image(config, "kube-apiserver"))
    kubelet = kubelet_config.configuration(config, SYSTEMD_HOST, Path("/etc/resolv.conf"))
    others = [cluster_dns(config.network), job_proxy({}, config.network), cluster_values(config)]
    for text in map(str, (pod, kubelet, *others)):
        assert OWN in text
        assert DEFAULT not in text
