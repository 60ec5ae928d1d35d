package numorstring

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

var portName = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,128}$`)

// Port is one port, a range, or the name of a port. A single port has MinPort equal to MaxPort;
// a named one has both 0.
type Port struct {
	MinPort  uint16 `json:"minPort,omitempty"`
	MaxPort  uint16 `json:"maxPort,omitempty"`
	PortName string `json:"portName" validate:"omitempty,portName"`
}

func SinglePort(port uint16) Port { return Port{MinPort: port, MaxPort: port} }

func NamedPort(name string) Port { return Port{PortName: name} }

func PortFromRange(min, max uint16) (Port, error) {
	if min > max {
		return Port{}, fmt.Errorf("minimum port number (%d) is greater than maximum port number (%d)", min, max)
	}
	return Port{MinPort: min, MaxPort: max}, nil
}

// PortFromString reads "80", "1000:2000" or "http".
func PortFromString(s string) (Port, error) {
	first, last, isRange := strings.Cut(s, ":")
	switch {
	case isDigits(s):
		number, err := parsePort(s)
		if err != nil {
			return Port{}, fmt.Errorf("invalid port number %q: must be from 0 to 65535", s)
		}
		return SinglePort(number), nil
	case isRange && isDigits(first) && isDigits(last):
		return rangeFromStrings(first, last)
	case !portName.MatchString(s):
		return Port{}, fmt.Errorf("invalid name for named port (%s)", s)
	}
	return NamedPort(s), nil
}

func rangeFromStrings(first, last string) (Port, error) {
	min, err := parsePort(first)
	if err != nil {
		return Port{}, fmt.Errorf("invalid minimum port number in range: %q", first)
	}
	max, err := parsePort(last)
	if err != nil {
		return Port{}, fmt.Errorf("invalid maximum port number in range: %q", last)
	}
	return PortFromRange(min, max)
}

func parsePort(s string) (uint16, error) {
	number, err := strconv.ParseUint(s, 10, 16)
	return uint16(number), err
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (p Port) String() string {
	switch {
	case p.PortName != "":
		return p.PortName
	case p.MinPort == p.MaxPort:
		return strconv.Itoa(int(p.MinPort))
	}
	return fmt.Sprintf("%d:%d", p.MinPort, p.MaxPort)
}

func (p Port) MarshalJSON() ([]byte, error) {
	if p.PortName == "" && p.MinPort == p.MaxPort {
		return json.Marshal(p.MinPort)
	}
	return json.Marshal(p.String())
}

func (p *Port) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var text string
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		port, err := PortFromString(text)
		*p = port
		return err
	}
	var number uint16
	if err := json.Unmarshal(b, &number); err != nil {
		return err
	}
	*p = SinglePort(number)
	return nil
}
