"""The inventory has every certificate that a node really makes, and no other."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from rke2.pki.agent import LocalSigner, ensure_agent_pki
from rke2.pki.catalog import ETCD_MEMBER_LEAVES, RENEW_BEFORE
from rke2.pki.inventory import AUTHORITY_WARNING, agent_files, ends_soon, server_files
from rke2.pki.pem import certificate_path
from rke2.pki.server_pki import ensure_server_pki
from tests.configs import paths_under, server_config


async def test_it_has_the_certificates_a_server_makes(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    ensure_server_pki(config)
    await ensure_agent_pki(config, LocalSigner(config))
    made = {path for path in config.paths.data_dir.rglob("*.crt") if not path.name.endswith(".nochain.crt")}
    listed = [file.path for file in (*agent_files(config.paths), *server_files(config.paths))]
    assert len(listed) == len(set(listed))
    assert set(listed) == made


def test_a_server_without_a_member_has_no_certificates_of_one(tmp_path: Path) -> None:
    paths = paths_under(tmp_path)
    left_out = set(server_files(paths)) - set(server_files(paths, etcd=False))
    assert {file.path for file in left_out} == {
        certificate_path(paths.tls / leaf) for leaf in ETCD_MEMBER_LEAVES
    }


def test_only_what_an_agent_has_copied_is_on_a_server_twice(tmp_path: Path) -> None:
    paths = paths_under(tmp_path)
    copied = [file for file in agent_files(paths) if file.copied]
    assert {file.stem.name for file in copied} == {"client-ca", "server-ca"}
    assert all(file.authority for file in copied)


@pytest.mark.parametrize(("authority", "limit"), [(True, AUTHORITY_WARNING), (False, RENEW_BEFORE)])
def test_what_ends_soon(authority: bool, limit: timedelta) -> None:
    assert not ends_soon(limit, authority=authority)
    assert ends_soon(limit - timedelta(seconds=1), authority=authority)
    assert ends_soon(timedelta(days=-1), authority=authority)
