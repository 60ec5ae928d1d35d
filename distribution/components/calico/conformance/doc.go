// Package conformance holds the tests of the stand-in for github.com/projectcalico/api: they compare it
// with the CRD schemas inside the Calico module that it stands in for.
package conformance
