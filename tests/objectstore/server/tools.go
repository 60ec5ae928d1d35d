//go:build tools

// Package server names the S3 server of the tests, so that its version and sums are pinned beside it.
package server

import _ "github.com/versity/versitygw/cmd/versitygw"
