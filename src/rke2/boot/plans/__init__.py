"""What a node does to boot, or to reset its cluster, as tables to be read from top to bottom."""
