"""What snapshots cost, beside etcd's own tools and curl."""
