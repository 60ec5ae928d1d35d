"""The etcd of this cluster."""
