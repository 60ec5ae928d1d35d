"""What cannot be right in config.yaml or on the command line is refused before anything else happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.bad_input.refusal import Place

OVERLAP = "cluster-cidr: 10.42.0.0/16\nservice-cidr: 10.42.128.0/20\n"
OTHER_FAMILY = "node-ip: fd89::a\ncluster-cidr: 10.42.0.0/16\n"

FILES = {
    "unknown key": (
        "clutser-cidr: 10.0.0.0/8\n",
        "config.yaml:1",
        "clutser-cidr",
        "did you mean cluster-cidr?",
    ),
    "two unknown keys": (
        "foo: 1\nnod-ip: 10.0.0.1\n",
        "2 unknown keys",
        "config.yaml:1: foo",
        "did you mean node-ip?",
    ),
    "a map for a list": (
        "kubelet-arg: {a: b}\n",
        "config.yaml:1",
        "kubelet-arg must be a list",
        "a nested map",
    ),
    "text for a number": (
        "etcd-snapshot-retention: many\n",
        "etcd-snapshot-retention",
        "'many'",
        "an integer",
    ),
    "a number for a boolean": ("debug: 7\n", "debug", "'7'", "config.yaml:1", "true or false"),
    "bad CIDR": ("cluster-cidr: 10.42.0.0/99\n", "cluster-cidr", "10.42.0.0/99", "for example 10.42.0.0/16"),
    "overlapping CIDRs": (
        OVERLAP,
        "cluster-cidr 10.42.0.0/16 and service-cidr 10.42.128.0/20 overlap",
        "choose",
    ),
    "another family": (
        OTHER_FAMILY,
        "node-ip fd89::a has no IPv4 address",
        "cluster-cidr 10.42.0.0/16",
        "set node-ip",
    ),
    "invalid YAML": ("cni: [canal\n", "config.yaml is not valid YAML", "line 2"),
    "missing file": ("token-file: /nowhere\n", "token-file", "/nowhere does not exist", "create it"),
    "malformed token": ("token: K10abc\n", "token", "hint: "),
    "S3 without a bucket": ("etcd-s3: true\n", "s3 bucket name was not set", "set etcd-s3-bucket"),
    "not supported yet": ("enable-servicelb: true\n", "enable-servicelb", "not supported yet"),
}
"""Content of config.yaml, then what the message must have."""


@pytest.mark.parametrize(("text", "fragments"), [(row[0], row[1:]) for row in FILES.values()], ids=FILES)
def test_config_file(place: Place, config: Path, text: str, fragments: tuple[str, ...]) -> None:
    config.write_text(text)
    place.refuses(*fragments)
    assert list(place.outside(place.data_dir).iterdir()) == []


FLAGS = {
    "unknown flag": (
        "--clutser-cidr=10.0.0.0/8",
        "--clutser-cidr is not a flag",
        "did you mean --cluster-cidr?",
    ),
    "bad CIDR": ("--service-cidr=10.43.0.0", "service-cidr", "10.43.0.0"),
    "wrong type": ("--lb-server-port=high", "lb-server-port", "'high'", "an integer"),
    "no such file": ("--config=/nowhere", "/nowhere does not exist", "correct --config"),
    "an argument": ("now", "now"),
}
"""A command line argument, then what the message must have."""


@pytest.mark.parametrize(("flag", "fragments"), [(row[0], row[1:]) for row in FLAGS.values()], ids=FLAGS)
def test_command_line(place: Place, flag: str, fragments: tuple[str, ...]) -> None:
    place.refuses(*fragments, flags=(flag,))
    assert list(place.outside(place.data_dir).iterdir()) == []


def test_a_key_that_rke2_would_skip_is_skipped_on_demand(place: Place, config: Path) -> None:
    config.write_text("clutser-cidr: 10.0.0.0/8\nbind-address: 10.1.2.3\n")
    place.refuses("bind-address", flags=("--warn-unknown-keys",))


CONTAINERD_FILES = {
    "registries.yaml": ("/etc/rancher/rke2/registries.yaml", "mirrors: [", "registries.yaml cannot be read"),
    "unknown registries key": (
        "/etc/rancher/rke2/registries.yaml",
        "mirorrs: {}",
        "registries.yaml",
        "mirorrs",
    ),
    "containerd template": (
        "{data_dir}/agent/etc/containerd/config-v3.toml.tmpl",
        '{{ template "base" . }}\n{{ range .Nodes }}',
        "config-v3.toml.tmpl line 2",
        "{{ range .Nodes }}",
        "write plain TOML",
    ),
    "containerd template, no TOML": (
        "{data_dir}/agent/etc/containerd/config-v3.toml.tmpl",
        "version = = 3\n",
        "config-v3.toml.tmpl",
        "valid TOML",
    ),
}
"""A file and its content, then what the message must have."""


_ROWS = [(row[0], row[1], row[2:]) for row in CONTAINERD_FILES.values()]


@pytest.mark.parametrize(("path", "text", "fragments"), _ROWS, ids=CONTAINERD_FILES)
def test_files_for_containerd(place: Place, path: str, text: str, fragments: tuple[str, ...]) -> None:
    file = Path(path.format(data_dir=place.data_dir))
    place.node.host.write_file(file, text)
    try:
        place.refuses(*fragments)
    finally:
        place.outside(file).unlink()
