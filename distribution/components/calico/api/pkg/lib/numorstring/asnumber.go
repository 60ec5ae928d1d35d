package numorstring

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// ASNumber is a BGP autonomous system number. It is written as a number; a string may hold the number
// or its two 16-bit halves ("1.10").
type ASNumber uint32

// ASNumberFromString reads "65000" or "0.65000".
func ASNumberFromString(s string) (ASNumber, error) {
	if number, err := strconv.ParseUint(s, 10, 32); err == nil {
		return ASNumber(number), nil
	}
	high, low, ok := strings.Cut(s, ".")
	if !ok {
		return 0, fmt.Errorf("invalid AS number %q", s)
	}
	h, errHigh := strconv.ParseUint(high, 10, 16)
	l, errLow := strconv.ParseUint(low, 10, 16)
	if errHigh != nil || errLow != nil {
		return 0, fmt.Errorf("invalid AS number %q", s)
	}
	return ASNumber(h<<16 | l), nil
}

func (a ASNumber) String() string { return strconv.FormatUint(uint64(a), 10) }

func (a *ASNumber) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '"' {
		var number uint32
		if err := json.Unmarshal(b, &number); err != nil {
			return err
		}
		*a = ASNumber(number)
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	number, err := ASNumberFromString(text)
	if err != nil {
		return err
	}
	*a = number
	return nil
}
