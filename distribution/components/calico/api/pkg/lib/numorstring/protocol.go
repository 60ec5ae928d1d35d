package numorstring

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// NumOrStringType says which of a value's two forms is in use.
type NumOrStringType int

const (
	NumOrStringNum NumOrStringType = iota
	NumOrStringString
)

// Uint8OrString is a small number or a string.
type Uint8OrString struct {
	Type   NumOrStringType `json:"type"`
	NumVal uint8           `json:"numVal"`
	StrVal string          `json:"strVal"`
}

// Protocol is an IP protocol. Version 3 resources use the names below, the version 1 model that Felix
// calculates with uses their lower-case form.
type Protocol Uint8OrString

const (
	ProtocolUDP     = "UDP"
	ProtocolTCP     = "TCP"
	ProtocolICMP    = "ICMP"
	ProtocolICMPv6  = "ICMPv6"
	ProtocolSCTP    = "SCTP"
	ProtocolUDPLite = "UDPLite"

	ProtocolUDPV1  = "udp"
	ProtocolTCPV1  = "tcp"
	ProtocolSCTPV1 = "sctp"
)

var names = []string{ProtocolUDP, ProtocolTCP, ProtocolICMP, ProtocolICMPv6, ProtocolSCTP, ProtocolUDPLite}

// withPorts are the protocols that have ports, by number and by lower-case name.
var (
	numbersWithPorts = map[uint8]bool{6: true, 17: true, 132: true}
	namesWithPorts   = map[string]bool{ProtocolTCPV1: true, ProtocolUDPV1: true, ProtocolSCTPV1: true}
)

func ProtocolFromInt(number uint8) Protocol {
	return Protocol{Type: NumOrStringNum, NumVal: number}
}

// ProtocolFromString corrects the case of a known name and keeps an unknown one as it is.
func ProtocolFromString(name string) Protocol {
	for _, known := range names {
		if strings.EqualFold(known, name) {
			name = known
			break
		}
	}
	return Protocol{Type: NumOrStringString, StrVal: name}
}

// ProtocolFromStringV1 is ProtocolFromString for the version 1 model.
func ProtocolFromStringV1(name string) Protocol {
	return Protocol{Type: NumOrStringString, StrVal: strings.ToLower(name)}
}

// ProtocolV3FromProtocolV1 converts back from the version 1 model.
func ProtocolV3FromProtocolV1(p Protocol) Protocol {
	if p.Type == NumOrStringNum {
		return p
	}
	return ProtocolFromString(p.StrVal)
}

// ToV1 converts to the version 1 model.
func (p Protocol) ToV1() Protocol {
	if p.Type == NumOrStringNum {
		return p
	}
	return ProtocolFromStringV1(p.StrVal)
}

func (p Protocol) String() string {
	if p.Type == NumOrStringString {
		return p.StrVal
	}
	return strconv.Itoa(int(p.NumVal))
}

// NumValue is the protocol's number; a name that is not itself a number is an error.
func (p Protocol) NumValue() (uint8, error) {
	if p.Type == NumOrStringNum {
		return p.NumVal, nil
	}
	number, err := strconv.ParseUint(p.StrVal, 10, 8)
	if err != nil {
		return 0, fmt.Errorf("protocol %q is not a number", p.StrVal)
	}
	return uint8(number), nil
}

func (p Protocol) SupportsPorts() bool {
	if number, err := p.NumValue(); err == nil {
		return numbersWithPorts[number]
	}
	return namesWithPorts[strings.ToLower(p.StrVal)]
}

func (p Protocol) MarshalJSON() ([]byte, error) {
	if p.Type == NumOrStringString {
		return json.Marshal(p.StrVal)
	}
	return json.Marshal(p.NumVal)
}

// UnmarshalJSON takes a number, a number in quotes, or a name in any case.
func (p *Protocol) UnmarshalJSON(b []byte) error {
	var text string
	if len(b) == 0 || b[0] != '"' {
		*p = Protocol{Type: NumOrStringNum}
		return json.Unmarshal(b, &p.NumVal)
	}
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	if number, err := strconv.ParseUint(text, 10, 8); err == nil {
		*p = ProtocolFromInt(uint8(number))
		return nil
	}
	*p = ProtocolFromString(text)
	return nil
}
