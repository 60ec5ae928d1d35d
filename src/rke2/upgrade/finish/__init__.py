"""The end of an upgrade to another minor version: etcd, member by member, when all servers run the new release."""
