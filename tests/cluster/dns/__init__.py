"""Promise: the cluster's DNS grows with the cluster, and its operator says how."""
