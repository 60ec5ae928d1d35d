"""What users download: the program with its scripts and units as tarball, .deb and .rpm, beside the image archives.

It knows nothing of how the program and the archives were made, and the builder nothing of it.
"""
