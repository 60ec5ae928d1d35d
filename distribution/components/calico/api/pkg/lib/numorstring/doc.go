// Package numorstring holds the values that Calico resources write either as a number or as a string:
// ports and port ranges, IP protocols, and AS numbers.
//
// It belongs to the stand-in for the module github.com/projectcalico/api, see the package
// pkg/apis/projectcalico/v3 beside it.
package numorstring
