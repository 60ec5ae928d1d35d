// Package ext stands in for the module of this name, which the Go module proxy does not have: it exists only inside
// Traefik's own repository. Another product of its makers adds fields to Traefik's configuration by it; Traefik itself
// has none.
package ext

// HTTP is what is added to the HTTP part of the dynamic configuration.
type HTTP struct{}

// Router is what is added to each HTTP router.
type Router struct{}
