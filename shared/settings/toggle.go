package settings

import (
	"fmt"
	"strings"
)

// Toggle is a switch that by itself is on where there is reason for it.
type Toggle string

// What a Toggle is set to.
const (
	Auto Toggle = "auto"
	On   Toggle = "true"
	Off  Toggle = "false"
)

// String is what Set reads.
func (t *Toggle) String() string { return string(*t) }

// Type names the value in a flag's usage.
func (t *Toggle) Type() string { return "auto|true|false" }

// Set reads auto, true or false.
func (t *Toggle) Set(text string) error {
	switch Toggle(text) {
	case Auto, On, Off:
		*t = Toggle(text)
		return nil
	}
	return fmt.Errorf("%.40q is none of auto, true, false", text)
}

// UnmarshalJSON reads a boolean, or what Set reads.
func (t *Toggle) UnmarshalJSON(data []byte) error { return t.Set(strings.Trim(string(data), `"`)) }
