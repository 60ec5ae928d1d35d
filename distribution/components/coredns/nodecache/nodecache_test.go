package nodecache

import (
	"net"
	"testing"
	"time"
)

func TestRulesWaitForTheClustersDNS(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()

	reached := make(chan struct{})
	go func() {
		untilReachable(address, time.Millisecond)
		close(reached)
	}()
	select {
	case <-reached:
		t.Fatal("nobody listens yet")
	case <-time.After(50 * time.Millisecond):
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	select {
	case <-reached:
	case <-time.After(10 * time.Second):
		t.Fatal("not reached")
	}
}
