"""Isolated test hosts on one Linux machine, without Docker.

::

    the machine                                      (never touched: no link, route or rule of a host is in it)
      ├─ netns rke2lab-<lab>-net      bridge br0 10.89.0.1/24, no uplink
      ├─ netns rke2lab-<lab>-server-0 eth0 10.89.0.10 ──┐ a veth pair to br0
      └─ server-0: PID 1 (rke2_lab.init) ───────────────┘ holds mount, pid, uts, ipc and cgroup namespaces
           /                 the machine's root, copy-on-write in memory
           /var/lib/rancher… its own directories, on disk in <state>/<lab>/hosts/server-0/fs
           /proc /sys /dev /run   its own

Read in this order: `lab` (many hosts), `host` (one host), `rootfs` (what a host sees), `init` (how it starts),
`enter` (how a process gets in). `node` puts rke2 on a host.

`init` and `enter` run as ``python -I -S``: what they import must be standard library only.
"""
