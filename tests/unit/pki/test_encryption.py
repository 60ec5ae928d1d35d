import base64
import hashlib
import json
from pathlib import Path

import pytest

from rke2.errors import PKIError
from rke2.pki.encryption import CONFIG, STATE, Keys, ensure_encryption_config, keys_of
from tests.snapshots import snapshot


@pytest.mark.parametrize("provider", ["aescbc", "secretbox"])
def test_a_new_configuration_has_one_key_and_reads_clear_text(tmp_path: Path, provider: str) -> None:
    ensure_encryption_config(tmp_path, provider)
    content = (tmp_path / CONFIG).read_bytes()
    (resource,) = json.loads(content)["resources"]
    encrypting, identity = resource["providers"]
    (key,) = encrypting[provider]["keys"]
    assert resource["resources"] == ["secrets"]
    assert key["name"] == f"{provider}key"
    assert len(base64.b64decode(key["secret"], validate=True)) == 32
    assert identity == {"identity": {}}
    assert (tmp_path / STATE).read_text() == f"start-{hashlib.sha256(content).hexdigest()}"


def test_an_existing_one_is_kept_whatever_the_provider(tmp_path: Path) -> None:
    ensure_encryption_config(tmp_path, "aescbc")
    (tmp_path / STATE).write_text("rotate-0000")
    before = snapshot(tmp_path)
    ensure_encryption_config(tmp_path, "secretbox")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("content", ["garbage", "[]", '{"kind": "Secret"}', '{"kind": "Encrypt'])
def test_something_else_is_never_overwritten(tmp_path: Path, content: str) -> None:
    (tmp_path / CONFIG).write_text(content)
    with pytest.raises(PKIError, match=CONFIG):
        ensure_encryption_config(tmp_path, "aescbc")
    assert (tmp_path / CONFIG).read_text() == content


AES = {
    "aescbc": {
        "keys": [{"name": "aescbckey-2026", "secret": "eA=="}, {"name": "aescbckey", "secret": "eQ=="}]
    }
}
BOX = {"secretbox": {"keys": [{"name": "secretboxkey", "secret": "eg=="}]}}
IDENTITY: dict[str, object] = {"identity": {}}


@pytest.mark.parametrize(
    ("providers", "keys"),
    [
        ([AES, IDENTITY], Keys(True, "AES-CBC aescbckey-2026", ("AES-CBC aescbckey",))),
        (
            [BOX, AES, IDENTITY],
            Keys(True, "XSalsa20-POLY1305 secretboxkey", ("AES-CBC aescbckey-2026", "AES-CBC aescbckey")),
        ),
        ([IDENTITY, BOX], Keys(False, "", ("XSalsa20-POLY1305 secretboxkey",))),
        ([IDENTITY], Keys(False, "", ())),
    ],
)
def test_the_first_provider_encrypts_and_all_others_decrypt(
    providers: list[dict[str, object]], keys: Keys
) -> None:
    assert keys_of(json.dumps({"resources": [{"providers": providers}]}).encode()) == keys


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"resources": []}', b'{"resources": [{"providers": []}]}']
)
def test_what_is_no_configuration_is_said_to_be_none(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        keys_of(content)
