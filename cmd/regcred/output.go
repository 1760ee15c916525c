package main

import (
	"encoding/json"
	"io"
)

// reportVersion is the version of what the tool prints for programs. A later
// one adds fields and changes none.
const reportVersion = "regcred/v1"

// printJSON prints a report for programs.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// onBehalf says on whose behalf something is, if anybody's.
func onBehalf(who string) string {
	if who == "" {
		return ""
	}
	return " for " + who
}
