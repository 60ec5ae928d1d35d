"""From recipes to airgap archives.

Read in this order::

    recipes    what to build: one directory per component        images     what goes into an image
    artifacts  where finished things live, under a content key   rootfs     Debian packages as one layer
    gobuild    recipe -> static Go binaries (cbuild: C)           layers     files -> reproducible tar streams
    verify     FIPS? static? the right module? else: fail         oci        layers -> OCI image
    schedule   the graph of tasks, both cores busy                archives   images -> *.tar.zst, lists, config
    progress   what the person in front of it sees                sbom       what is inside, as SPDX
    release    all of the above as one graph                      cli        python -m distribution

Everything is keyed by its inputs: an unchanged recipe is not built again, and the same inputs give the same
digests.
"""
