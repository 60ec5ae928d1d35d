"""The network of etcd's tests."""

from tests.integration.etcd.conftest import network

__all__ = ["network"]
