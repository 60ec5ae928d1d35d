"""How things run: phases of a boot, supervised processes, restart policy, progress."""
