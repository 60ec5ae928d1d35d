"""Every request in every stage; and no order of kills, delays and repeats that loses a Secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2.errors import PKIError
from rke2.pki.encryption_config import EncryptionConfig, EncryptionKey
from rke2.supervisor.encryption.stages import STAGE_AFTER, RotationStep, Situation, Stage, Verb, decide

OLD, NEW = EncryptionKey("aescbckey", "old"), EncryptionKey("aescbckey-2", "new")
ONE = EncryptionConfig.new("aescbc", OLD)
TWO = ONE.add("aescbc", NEW)


def steps(
    verb: Verb, stage: Stage, *, alone: bool = False, config: EncryptionConfig = TWO, **more: bool
) -> str:
    try:
        return " ".join(decide(verb, Situation(config, stage, "aescbc", alone), "node1", **more))
    except PKIError as error:
        return f"! {error.message}"


REWRITING = "active known rewrite retire"
S, P, R, F = Stage.START, Stage.PREPARE, Stage.ROTATE, Stage.REENCRYPT_FINISHED


@pytest.mark.parametrize(
    ("verb", "stage", "expected"),
    [
        (Verb.PREPARE, S, "add"),
        (Verb.PREPARE, P, "! incorrect stage: prepare found on node node1"),
        (Verb.PREPARE, R, "! incorrect stage: rotate found on node node1"),
        (Verb.PREPARE, F, "add"),
        (Verb.ROTATE, S, "! incorrect stage: start found on node node1"),
        (Verb.ROTATE, P, "known promote"),
        (Verb.ROTATE, R, "! incorrect stage: rotate found on node node1"),
        (Verb.ROTATE, F, "! incorrect stage: reencrypt_finished found on node node1"),
        (Verb.REENCRYPT, S, "! incorrect stage: start found on node node1"),
        (Verb.REENCRYPT, P, "! incorrect stage: prepare found on node node1"),
        (Verb.REENCRYPT, R, REWRITING),
        (Verb.REENCRYPT, F, "! incorrect stage: reencrypt_finished found on node node1"),
        (Verb.ROTATE_KEYS, S, f"add known promote {REWRITING}"),
        (Verb.ROTATE_KEYS, P, f"known promote {REWRITING}"),
        (Verb.ROTATE_KEYS, R, REWRITING),
        (Verb.ROTATE_KEYS, F, f"add known promote {REWRITING}"),
        *((Verb.ENABLE, stage, "enable active known rewrite") for stage in (S, P, R, F)),
        *((Verb.DISABLE, stage, "disable active known rewrite") for stage in (S, P, R, F)),
    ],
)
def test_what_follows(verb: Verb, stage: Stage, expected: str) -> None:
    assert steps(verb, stage) == expected


def test_one_api_server_has_nobody_to_wait_for_before_it_encrypts_with_a_new_key() -> None:
    assert steps(Verb.ROTATE_KEYS, S, alone=True) == f"add promote {REWRITING}"
    assert steps(Verb.ROTATE, P, alone=True) == "promote"


def test_a_type_that_is_changed_in_the_middle_of_a_rotation_gets_a_key_of_its_own() -> None:
    order = decide(Verb.ROTATE_KEYS, Situation(TWO, P, "secretbox", alone=False), "node1")
    assert " ".join(order) == f"add known promote {REWRITING}"


def test_force_looks_at_no_stage_and_skip_drops_no_key() -> None:
    assert steps(Verb.REENCRYPT, S, force=True, skip=True) == "active known rewrite"
    assert steps(Verb.PREPARE, R, force=True) == "add"
    assert steps(Verb.ROTATE, S, force=True, config=ONE) == "! there is no new key to rotate to"


@pytest.mark.parametrize(
    ("verb", "name"), [(Verb.PREPARE, "prepare"), (Verb.ROTATE, "rotate"), (Verb.REENCRYPT, "reencrypt")]
)
def test_secretbox_has_rotate_keys_alone(verb: Verb, name: str) -> None:
    with pytest.raises(
        PKIError, match=f"{name} does not support secretbox key type, use rotate-keys instead"
    ):
        decide(verb, Situation(ONE, S, "secretbox"), "node1", force=True)
    assert decide(Verb.ROTATE_KEYS, Situation(ONE, S, "secretbox"), "node1")[0] is RotationStep.ADD


@pytest.mark.parametrize("verb", [Verb.PREPARE, Verb.ROTATE, Verb.REENCRYPT, Verb.ROTATE_KEYS])
def test_keys_that_encrypt_nothing_are_not_rotated(verb: Verb) -> None:
    stage = {Verb.ROTATE: P, Verb.REENCRYPT: R}.get(verb, S)
    assert steps(verb, stage, config=TWO.disable()) == "! secrets encryption is disabled"


# --- any order of events -----------------------------------------------------------------------------
@dataclass
class Cluster:
    """Keys in etcd, API servers that load them when they like, and Secrets that each of them writes."""

    servers: int
    provider: str = "aescbc"
    config: EncryptionConfig = ONE
    stage: Stage = Stage.START
    loaded: list[EncryptionConfig] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    names: count[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.loaded = [self.config] * self.servers

    def do(self, step: RotationStep) -> None:
        key = EncryptionKey(f"key-{next(self.names)}", "")
        if step is RotationStep.KNOWN:
            self.loaded = [self.config] * self.servers
        elif step is RotationStep.REWRITE:
            self.secrets = dict.fromkeys(self.secrets, self.written_by(0))
        else:
            changes = {
                RotationStep.ADD: lambda: self.config.add(self.provider, key),
                RotationStep.PROMOTE: lambda: self.config.promote(self.provider),
                RotationStep.RETIRE: self.config.retire,
                RotationStep.ENABLE: lambda: self.config.enable(self.provider),
                RotationStep.DISABLE: self.config.disable,
            }
            self.config = changes.get(step, lambda: self.config)()
            self.stage = STAGE_AFTER.get(step, self.stage)

    def written_by(self, server: int) -> str:
        active = self.loaded[server].active
        return active.name if active else ""

    def write(self, server: int) -> None:
        self.secrets[f"of {server}"] = self.written_by(server)

    def check(self) -> None:
        """Every API server can read every Secret."""
        for config in self.loaded:
            readable = {"", *(key.name for each in config.providers for key in each.keys)}
            assert set(self.secrets.values()) <= readable


Event = tuple[str, int]


@settings(max_examples=400, deadline=None)
@given(
    servers=st.integers(1, 3),
    requests=st.lists(
        st.tuples(
            st.sampled_from(Verb),
            st.integers(0, 8),  # steps that are done before the server is killed
            st.lists(st.tuples(st.sampled_from(["load", "write"]), st.integers(0, 2)), max_size=6),
            st.sampled_from(["aescbc", "secretbox"]),
        ),
        max_size=8,
    ),
)
def test_every_api_server_can_read_every_secret_whatever_happens(
    servers: int, requests: list[tuple[Verb, int, list[Event], str]]
) -> None:
    cluster = Cluster(servers)
    for verb, killed_after, events, provider in requests:
        cluster.provider = provider
        situation = Situation(cluster.config, cluster.stage, provider, alone=servers == 1)
        try:
            order = decide(verb, situation, "node1")
        except PKIError:
            continue
        for step in order[:killed_after]:
            for what, number in events:
                server = number % servers
                if what == "load":
                    cluster.loaded[server] = cluster.config
                cluster.write(server)
                cluster.check()
            try:
                cluster.do(step)
            except PKIError:
                break  # no keys of the type
            if step is not RotationStep.KNOWN and servers == 1:
                cluster.loaded = [cluster.config]
            cluster.check()


@given(killed_after=st.lists(st.integers(0, 7), max_size=4), servers=st.integers(1, 3))
def test_a_rotation_that_is_killed_and_repeated_ends_with_one_new_key(
    killed_after: list[int], servers: int
) -> None:
    cluster = Cluster(servers)
    cluster.write(0)
    for number in (*killed_after, 8):
        if cluster.stage is Stage.REENCRYPT_FINISHED:
            break
        situation = Situation(cluster.config, cluster.stage, "aescbc", alone=servers == 1)
        for step in decide(Verb.ROTATE_KEYS, situation, "node1")[:number]:
            cluster.do(step)
    assert (cluster.stage, cluster.config.count) == (Stage.REENCRYPT_FINISHED, 1)
    assert cluster.config.active is not None
    assert set(cluster.secrets.values()) == {cluster.config.active.name} != {OLD.name}
