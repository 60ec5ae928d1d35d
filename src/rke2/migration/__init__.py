"""What ``rke2 migrate --check`` finds on a node of RKE2 before anything is touched; it reads only."""
