package main

import (
	"io"

	"regcred/cmd/regcred/internal/term"
)

// reportVersion is the version of what the tool prints for programs. A later
// one adds fields and changes none.
const reportVersion = "regcred/v1"

// printJSON prints a report for programs.
func printJSON(w io.Writer, value any) error {
	text, err := term.JSON(value)
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}

// onBehalf says on whose behalf something is, if anybody's.
func onBehalf(who string) string {
	if who == "" {
		return ""
	}
	return " for " + who
}
