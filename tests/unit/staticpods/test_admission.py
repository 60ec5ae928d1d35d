from pathlib import Path
from typing import Any

import yaml

from rke2.staticpods.admission import audit_policy_file, psa_file, write_policies
from tests.configs import paths_under, server_config


def defaults(path: Path) -> dict[str, Any]:
    configuration = yaml.safe_load(path.read_text())["plugins"][0]["configuration"]
    found: dict[str, Any] = configuration["defaults"] | {"exempt": configuration["exemptions"]["namespaces"]}
    return found


def test_everything_is_allowed_without_a_profile(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path))
    write_policies(config)
    assert defaults(config.paths.pss) == {"enforce": "privileged", "enforce-version": "latest", "exempt": []}
    assert config.paths.pss.stat().st_mode & 0o777 == 0o600
    assert audit_policy_file(config) is None


def test_cis_restricts_and_creates_the_audit_policy_once(tmp_path: Path) -> None:
    config = server_config(paths_under(tmp_path), profile="cis")
    write_policies(config)
    assert defaults(config.paths.pss)["enforce"] == "restricted"
    assert defaults(config.paths.pss)["exempt"] == [
        "kube-system",
        "compliance-operator-system",
        "tigera-operator",
    ]
    audit = config.paths.config_dir / "audit-policy.yaml"
    assert yaml.safe_load(audit.read_text())["rules"] == [{"level": "None"}]
    assert audit.stat().st_mode & 0o777 == 0o600
    audit.write_text("edited")
    config.paths.pss.write_text("edited")
    write_policies(config)
    assert audit.read_text() == "edited"
    assert defaults(config.paths.pss)["enforce"] == "restricted"


def test_own_files_are_used_as_they_are(tmp_path: Path) -> None:
    own = {"psa_config_file": tmp_path / "psa.yaml", "audit_policy_file": tmp_path / "deep/audit.yaml"}
    config = server_config(paths_under(tmp_path), server=own)
    write_policies(config)
    assert psa_file(config) == tmp_path / "psa.yaml"
    assert not (tmp_path / "psa.yaml").exists()
    assert not config.paths.pss.exists()
    assert (tmp_path / "deep/audit.yaml").exists()
