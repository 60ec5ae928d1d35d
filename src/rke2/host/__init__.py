"""The machine: files, mounts, cgroups, kernel, processes."""
