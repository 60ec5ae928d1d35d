// Package controllers stands in for the module of this name, which the Go module proxy refuses. Cilium takes one name
// from it.
package controllers

// DerivedServiceAnnotation is set on a ServiceImport and names the Service that was made for it (Multi-Cluster
// Services API, KEP-1645).
const DerivedServiceAnnotation = "multicluster.kubernetes.io/derived-service"
