"""Snapshots of etcd: taken, named, kept, listed, removed, told of (references: day-two §3)."""
