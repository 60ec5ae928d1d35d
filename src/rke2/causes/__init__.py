"""Why something is not ready: what is looked at, how it is read, and what is said of it.

========================  ==========================================================================
`rke2.causes.pods`        the table of causes of a pod, from its status, its events, its containers' logs
`rke2.causes.scheduling`  a pod without a node; names the taints
`rke2.causes.kubelet`     what the kubelet's log says while no API server can be asked
`rke2.causes.ended`       static pods that have ended, and what they said last
`rke2.causes.static_pod`  the two before, of one pod, for a boot that waits for it
`rke2.causes.wording`     what of a message of containerd or Kubernetes is worth telling
========================  ==========================================================================

`rke2 status` imports all of this: nothing here needs asyncio.
"""
