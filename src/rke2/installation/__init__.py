"""What is installed on this node: exchanged for another release, tried, and put back if that does not prove itself."""
