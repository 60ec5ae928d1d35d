"""What `rke2 status` knows: the state file of the process, the health of each component, node and pods.

Nothing here needs the rke2 process: it reads a file and asks the components themselves.
"""
