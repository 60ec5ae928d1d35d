module rke2.io/distribution/helm-job

go 1.26.0
