"""Plans for the cluster (kind ``Plan`` of upgrade.cattle.io/v1): which node is upgraded when, and what it answers."""
