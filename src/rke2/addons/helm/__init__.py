"""The helm controller: a HelmChart object becomes a Job that runs helm (helm.cattle.io/v1)."""
