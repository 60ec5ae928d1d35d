"""Images of pods: archives and what is in them, containerd's image store, pulls and pushes."""
