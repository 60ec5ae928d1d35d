from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from rke2.errors import PKIError
from rke2.pki.encryption import new_encryption_config
from rke2.pki.encryption_config import EncryptionConfig, EncryptionKey, EncryptionProvider

OLD, NEW, BOX = (
    EncryptionKey(name, f"secret of {name}") for name in ("aescbckey", "aescbckey-2", "secretboxkey")
)
IDENTITY = EncryptionProvider("identity")
ONE = EncryptionConfig.new("aescbc", OLD)


def order(config: EncryptionConfig) -> list[str]:
    return [
        f"{provider.kind}: {' '.join(key.name for key in provider.keys)}".rstrip(" :")
        for provider in config.providers
    ]


def test_the_first_configuration_of_a_cluster_is_read_and_written_without_a_change() -> None:
    content = new_encryption_config("aescbc").encode()
    assert EncryptionConfig.parse(content).encode() == content


def test_a_rotation_within_a_type() -> None:
    added = ONE.add("aescbc", NEW)
    assert order(added) == ["aescbc: aescbckey aescbckey-2", "identity"]
    assert added.active == OLD
    promoted = added.promote("aescbc")
    assert order(promoted) == ["aescbc: aescbckey-2 aescbckey", "identity"]
    assert order(promoted.retire()) == ["aescbc: aescbckey-2", "identity"]


def test_a_change_of_the_type() -> None:
    added = ONE.add("secretbox", BOX)
    assert order(added) == ["aescbc: aescbckey", "secretbox: secretboxkey", "identity"]
    promoted = added.promote("secretbox")
    assert order(promoted) == ["secretbox: secretboxkey", "aescbc: aescbckey", "identity"]
    assert order(promoted.retire()) == ["secretbox: secretboxkey", "identity"]


def test_encryption_is_disabled_and_enabled_with_all_keys() -> None:
    both = ONE.add("secretbox", BOX)
    disabled = both.disable()
    assert order(disabled) == ["identity", "aescbc: aescbckey", "secretbox: secretboxkey"]
    assert (disabled.enabled, disabled.active) == (False, None)
    assert disabled.enable("aescbc") == both
    assert disabled.enable("secretbox").active == BOX
    with pytest.raises(
        PKIError, match="cannot enable secrets encryption with secretbox key type, no keys found"
    ):
        ONE.disable().enable("secretbox")


def test_a_key_is_random_and_named_by_its_time() -> None:
    at = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
    one, two = EncryptionKey.new("aescbc", at), EncryptionKey.new("aescbc", at)
    assert one.name == two.name == "aescbckey-2026-11-30T12:00:00+00:00"
    assert one.secret != two.secret
    assert EncryptionKey.new("secretbox", None).name == "secretboxkey"


def test_nothing_that_shows_a_configuration_shows_a_key() -> None:
    shown = f"{ONE!r} {ONE} {OLD!r} {ONE.providers}"
    assert "aescbckey" in shown
    assert OLD.secret not in shown


@pytest.mark.parametrize(
    ("resources", "words"),
    [
        ([], "not readable"),
        (
            [{"resources": ["secrets"], "providers": [{"kms": {"keys": []}}]}],
            "unsupported encryption keys found",
        ),
        ([{"resources": ["secrets"], "providers": [{"identity": {}}] * 4}], r"more than 3 providers \(4\)"),
        ([{"resources": ["secrets", "configmaps"], "providers": [{"identity": {}}]}], "more than Secrets"),
        (
            [{"resources": ["secrets"], "providers": [{"aescbc": {"keys": [{"name": "very secret"}]}}]}],
            "readable",
        ),
    ],
)
def test_a_file_that_rke2_does_not_write_is_refused_and_not_shown(resources: object, words: str) -> None:
    with pytest.raises(PKIError, match=words) as caught:
        EncryptionConfig.parse(json.dumps({"resources": resources}).encode())
    assert "very secret" not in str(caught.value)
