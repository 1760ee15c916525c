package main

import (
	"bytes"
	"flag"
	"strings"
	"sync"

	"k8s.io/klog/v2"
)

// verbosity is what most distributions run kubelet with. A plugin's failure has
// to be visible at it.
const verbosity = "2"

// captureLog makes klog, which kubelet logs through, write to the returned
// journal and to nothing else.
func captureLog() (*journal, error) {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{
		"v":               verbosity,
		"logtostderr":     "false",
		"stderrthreshold": "FATAL",
		// Without it an error is written once for each severity at or below it.
		"one_output": "true",
	} {
		if err := flags.Set(name, value); err != nil {
			return nil, err
		}
	}
	captured := &journal{}
	klog.SetOutput(captured)
	return captured, nil
}

// journal collects what is written to it until somebody takes it.
type journal struct {
	mu      sync.Mutex
	written bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.written.Write(p)
}

// take returns the entries logged since the last take. An entry is several
// lines when a value in it is: klog indents those that follow the first. That
// is the rule for a failed plugin, whose message ends where its standard error
// does, in a newline.
func (j *journal) take() []string {
	klog.Flush()
	j.mu.Lock()
	defer j.mu.Unlock()
	var entries []string
	for line := range strings.Lines(j.written.String()) {
		continues := strings.HasPrefix(line, "\t") || strings.HasPrefix(line, " ")
		if last := len(entries) - 1; continues && last >= 0 {
			entries[last] += line
		} else {
			entries = append(entries, line)
		}
	}
	j.written.Reset()
	return entries
}
