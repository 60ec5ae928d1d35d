package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/flannel-io/flannel/pkg/backend"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// addressInterval is the time between two looks at the addresses of the Node.
const addressInterval = 15 * time.Second

// ownNode asks for the addresses of this machine's Node: those that its kubelet was given (node-ip),
// by which everything else in the cluster calls the machine.
type ownNode struct {
	client   kubernetes.Interface
	name     string
	families families
}

// families are those of the pod network.
type families struct{ v4, v6 bool }

func newOwnNode(ctx context.Context, opts *options, f families) (*ownNode, error) {
	config, err := clientcmd.BuildConfigFromFlags(opts.kubeAPIURL, opts.kubeConfigFile)
	if err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	name, err := nodeName(ctx, client)
	return &ownNode{client, name, f}, err
}

// nodeName is found as flannel finds it.
func nodeName(ctx context.Context, client kubernetes.Interface) (string, error) {
	if name := os.Getenv("NODE_NAME"); name != "" {
		return name, nil
	}
	pod, err := client.CoreV1().Pods(os.Getenv("POD_NAMESPACE")).Get(ctx, os.Getenv("POD_NAME"), metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	return pod.Spec.NodeName, nil
}

// addresses asks the API server's cache: all nodes ask again and again.
func (o *ownNode) addresses(ctx context.Context) (ipmatch.PublicIPOpts, error) {
	node, err := o.client.CoreV1().Nodes().Get(ctx, o.name, metav1.GetOptions{ResourceVersion: "0"})
	if err != nil {
		return ipmatch.PublicIPOpts{}, err
	}
	return internalAddresses(node.Status.Addresses, o.families), nil
}

// internalAddresses are the first InternalIP of each family that the pod network has.
func internalAddresses(all []corev1.NodeAddress, f families) (found ipmatch.PublicIPOpts) {
	for _, address := range all {
		parsed := net.ParseIP(address.Address)
		switch {
		case address.Type != corev1.NodeInternalIP || parsed == nil:
		case parsed.To4() != nil && f.v4 && found.PublicIP == "":
			found.PublicIP = parsed.String()
		case parsed.To4() == nil && f.v6 && found.PublicIPv6 == "":
			found.PublicIPv6 = parsed.String()
		}
	}
	return found
}

// interfaceOfNode is the interface that has the Node's addresses.
func interfaceOfNode(addresses ipmatch.PublicIPOpts, stack int) (*backend.ExternalInterface, error) {
	if addresses == (ipmatch.PublicIPOpts{}) {
		return nil, errors.New("the Node has no InternalIP of the pod network's families")
	}
	name := addresses.PublicIP
	if name == "" {
		name = addresses.PublicIPv6
	}
	found, err := ipmatch.LookupExtIface(name, "", "", stack, addresses)
	if err != nil {
		return nil, err
	}
	// Every machine has the loopback interface, and no other machine is reached by it.
	if found.Iface.Flags&net.FlagLoopback != 0 {
		return nil, fmt.Errorf("%s is an address of the loopback interface", name)
	}
	return found, nil
}

// followAddresses ends with an error when the Node has other addresses than those that were announced:
// the next start of this program announces them. Pods keep their network meanwhile.
func followAddresses(ctx context.Context, node *ownNode, stack int, announced ipmatch.PublicIPOpts) error {
	ticker := time.NewTicker(addressInterval)
	defer ticker.Stop()
	seen := announced
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		now, err := node.addresses(ctx)
		if err != nil {
			klog.V(2).Infof("addresses of the Node: %v", err)
			continue
		}
		// Twice the same, because a kubelet writes one family after the other, and only what can be used.
		settled := now == seen
		seen = now
		if now == announced || !settled {
			continue
		}
		if _, err := interfaceOfNode(now, stack); err == nil {
			return fmt.Errorf("the Node's addresses are %s now, not %s: they are announced at the next start", spoken(now), spoken(announced))
		}
	}
}

func spoken(addresses ipmatch.PublicIPOpts) string {
	switch {
	case addresses.PublicIP == "":
		return addresses.PublicIPv6
	case addresses.PublicIPv6 == "":
		return addresses.PublicIP
	}
	return addresses.PublicIP + " and " + addresses.PublicIPv6
}
