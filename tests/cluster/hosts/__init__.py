"""Nothing of the host is needed, and how rke2 is started does not matter."""
