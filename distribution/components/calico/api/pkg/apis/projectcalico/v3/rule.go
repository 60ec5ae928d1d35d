package v3

import (
	"github.com/projectcalico/api/pkg/lib/numorstring"
)

// Rule is one line of a policy: all that it names must match for Action to be taken.
type Rule struct {
	Action      Action                `json:"action" validate:"action"`
	IPVersion   *int                  `json:"ipVersion,omitempty" validate:"omitempty,ipVersion"`
	Protocol    *numorstring.Protocol `json:"protocol,omitempty" validate:"omitempty"`
	ICMP        *ICMPFields           `json:"icmp,omitempty" validate:"omitempty"`
	NotProtocol *numorstring.Protocol `json:"notProtocol,omitempty" validate:"omitempty"`
	NotICMP     *ICMPFields           `json:"notICMP,omitempty" validate:"omitempty"`
	Source      EntityRule            `json:"source,omitempty" validate:"omitempty"`
	Destination EntityRule            `json:"destination,omitempty" validate:"omitempty"`
	HTTP        *HTTPMatch            `json:"http,omitempty" validate:"omitempty"`
	Metadata    *RuleMetadata         `json:"metadata,omitempty" validate:"omitempty"`
}

type Action string

const (
	Allow Action = "Allow"
	Deny  Action = "Deny"
	Log   Action = "Log"
	Pass  Action = "Pass"
)

// EntityRule is one end of the traffic.
type EntityRule struct {
	Nets              []string             `json:"nets,omitempty" validate:"omitempty,dive,net"`
	Selector          string               `json:"selector,omitempty" validate:"omitempty,selector"`
	NamespaceSelector string               `json:"namespaceSelector,omitempty" validate:"omitempty,selector"`
	Services          *ServiceMatch        `json:"services,omitempty" validate:"omitempty"`
	Ports             []numorstring.Port   `json:"ports,omitempty" validate:"omitempty,dive"`
	NotNets           []string             `json:"notNets,omitempty" validate:"omitempty,dive,net"`
	NotSelector       string               `json:"notSelector,omitempty" validate:"omitempty,selector"`
	NotPorts          []numorstring.Port   `json:"notPorts,omitempty" validate:"omitempty,dive"`
	ServiceAccounts   *ServiceAccountMatch `json:"serviceAccounts,omitempty" validate:"omitempty"`
}

type ServiceMatch struct {
	Name      string `json:"name,omitempty" validate:"omitempty,name"`
	Namespace string `json:"namespace,omitempty" validate:"omitempty,name"`
}

type ServiceAccountMatch struct {
	Names    []string `json:"names,omitempty" validate:"omitempty"`
	Selector string   `json:"selector,omitempty" validate:"omitempty,selector"`
}

type ICMPFields struct {
	Type *int `json:"type,omitempty" validate:"omitempty,gte=0,lte=254"`
	Code *int `json:"code,omitempty" validate:"omitempty,gte=0,lte=255"`
}

type HTTPMatch struct {
	Methods []string   `json:"methods,omitempty" validate:"omitempty"`
	Paths   []HTTPPath `json:"paths,omitempty" validate:"omitempty"`
}

// HTTPPath has one of its fields set.
type HTTPPath struct {
	Exact  string `json:"exact,omitempty" validate:"omitempty"`
	Prefix string `json:"prefix,omitempty" validate:"omitempty"`
}

type RuleMetadata struct {
	Annotations map[string]string `json:"annotations,omitempty"`
}
