package main

import (
	"fmt"
	"time"
)

// row is a line of the table: what was measured, against what, and the ratio
// that is aimed at.
type row struct {
	what           string
	measured, yard time.Duration
	atMost         string
}

// printTable prints the rows as Markdown.
func printTable(rows []row) {
	fmt.Println("| what | plugin | yardstick | ratio | aim |")
	fmt.Println("|---|---|---|---|---|")
	for _, r := range rows {
		aim := ""
		if r.atMost != "" {
			aim = "≤ " + r.atMost
		}
		fmt.Printf("| %s | %s | %s | %.2f | %s |\n", r.what, milliseconds(r.measured), milliseconds(r.yard), float64(r.measured)/float64(r.yard), aim)
	}
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }
func megabytes(bytes int64) float64       { return float64(bytes) / 1e6 }
