"""What a server's cluster keeps its objects in, as the rest of a server asks it.

==============  ========================================  =============  ================
kind            reached by                                `KeyRequests`  `MemberRequests`
==============  ========================================  =============  ================
own member      its client port on loopback               yes            yes
remote members  a load balancer there (`remote_members`)  yes            yes
external        not supported yet                         yes            no
==============  ========================================  =============  ================

`requests` has the two protocols; `rke2.etcd.client.EtcdClient` fulfils both. Who needs a stream or one member of its
own choice (snapshots, upkeep, joining) takes the client itself: see docs/adr/0054-what-is-asked-of-the-datastore.md.
"""
