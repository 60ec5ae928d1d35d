"""Snapshots of etcd: taken, named, kept, listed, removed, told of (day2 reference §3)."""
