module rke2.io/distribution/proportional-autoscaler

go 1.26.0
