"""From recipes to airgap archives.

Read in this order::

    recipes    what to build: one directory per component        images     what goes into an image
    artifacts  where finished things live, by content key        rootfs     Debian packages as one layer
    gobuild    recipe -> static Go binaries (cbuild: C)          layers     files -> reproducible tar streams
    verify     FIPS? static? the right module? else: fail        oci        layers -> OCI image
    components recipe -> verified artifact                       archives   images -> *.tar.zst
    schedule   the graph of tasks, all cores busy                sbom       what is inside, as SPDX
    progress   what the person in front of it sees               charts     chart directories -> HelmCharts
    release    all of the above as one graph                     publish    what is built -> build/dist
    costs      what each artifact took                           cli        python -m distribution

Everything is keyed by its inputs: an unchanged recipe is not built again, and the same inputs give the same
digests.
"""
