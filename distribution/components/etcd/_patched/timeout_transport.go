// Takes the place of the file of this name in go.etcd.io/etcd/client/pkg/v3/transport; see
// docs/adr/0015-etcd-peer-timeouts.md.
package transport

import (
	"context"
	"net"
	"net/http"
	"time"
)

// NewTimeoutTransport gives a transport whose connections fail when one read or write takes longer than its limit;
// 0 is no limit.
//
// Upstream hands the limiting dialer to Transport.Dial, which net/http does not call when DialContext is set, and
// NewTransport sets it: no limit ever holds there.
func NewTimeoutTransport(info TLSInfo, dialLimit, readLimit, writeLimit time.Duration) (*http.Transport, error) {
	result, err := NewTransport(info, dialLimit)
	if err != nil {
		return nil, err
	}
	result.MaxIdleConnsPerHost = 1024
	if readLimit != 0 || writeLimit != 0 {
		// An idle connection would reach its limit; it must not be used again.
		result.MaxIdleConnsPerHost = -1
	}
	dial := result.DialContext
	result.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &timeoutConn{Conn: connection, readTimeout: readLimit, writeTimeout: writeLimit}, nil
	}
	return result, nil
}
