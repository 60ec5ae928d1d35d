"""``rke2.linux-amd64``: rke2 with Python, a C library and every package, in one file.

::

    entry program          distribution/components/onefile, static
    zstd frame             Debian's Python and libraries, the Python packages: `runtime`
    zstd frame             rke2 itself: `own`
    footer                 where the first frame begins, and the hash of both: `payload`

The two frames are one tar stream. A change of rke2 packs the second one only.
"""
