"""What an upgrade to another release would mean for a cluster: asked before anything is touched."""
