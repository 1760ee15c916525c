package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"regcred/shared/cache"
	"regcred/shared/check"
	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/plugin"
	"regcred/shared/protocol"
	"regcred/shared/resolve"
	"regcred/shared/version"
)

// check asks the cloud past the cache, for what the request on stdin is about or
// for the node's identity, and writes what came of it to stdout. The exit code
// is 1 for a failure, which is not on stderr: it is in the report.
func (p *process) check(ctx context.Context, cloud *plugin.Cloud) int {
	report := check.Report{
		APIVersion: check.APIVersion,
		Kind:       check.Kind,
		Plugin:     p.plugin.Name,
		Version:    version.Version(),
		CacheDir:   cloud.Common.CacheDir,
		Files:      p.files(),
	}
	var mu sync.Mutex
	asked := cloudhttp.WithObserver(ctx, func(a cloudhttp.Attempt) {
		mu.Lock()
		defer mu.Unlock()
		p.asked(&report, a)
	})
	err := p.attempt(asked, cloud, &report)
	mu.Lock() // for good: what is still on its way is too late
	if err != nil {
		report.Outcome, report.Failure = check.Failed, p.failure(outOfTime(ctx, err))
	}
	if err := writeJSON(p.stdout, report); err != nil {
		return p.fail(1, err)
	}
	if err != nil {
		return 1
	}
	return 0
}

// attempt asks, and reports success.
func (p *process) attempt(ctx context.Context, cloud *plugin.Cloud, report *check.Report) error {
	store := cache.New(cache.Options{Log: p.log.Logger, Interruptible: untilSignal})
	p.step.set("reading the request from stdin")
	request, err := p.question()
	if err != nil {
		return err
	}
	if request == nil {
		identifier, ok := cloud.Provider.(credential.NodeIdentifier)
		if !ok {
			report.Outcome = check.NoIdentity
			return nil
		}
		source, err := identifier.NodeIdentity()
		if source == nil || err != nil {
			report.Outcome = check.NoIdentity
			return err
		}
		report.Source = p.redact(source.String())
		p.step.set("asking " + report.Source)
		token, err := store.Token(ctx, source)
		if err == nil {
			p.obtained(report, token.Login("")) // of which nothing is written but the end
		}
		return err
	}
	report.Image = request.Image.String()
	answer, err := resolve.Answer(cloud, *request)
	if err != nil {
		return err
	}
	if answer.Source == nil {
		report.Outcome = check.NotMine
		return nil
	}
	report.Source = p.redact(answer.Source.String())
	p.step.set("asking " + report.Source)
	c, err := store.Get(ctx, answer.Source)
	if err == nil {
		p.obtained(report, c.Credential)
	}
	return err
}

// question reads the request, if there is one.
func (p *process) question() (*credential.Request, error) {
	if isTerminal(p.stdin) {
		return nil, nil
	}
	first := make([]byte, 1)
	if n, err := io.ReadFull(p.stdin, first); n == 0 {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, fmt.Errorf("read the request on stdin: %w", err)
	}
	wire, err := protocol.Read(io.MultiReader(bytes.NewReader(first), p.stdin))
	if err != nil {
		return nil, err
	}
	request, err := resolve.Request(wire)
	return &request, err
}

func (p *process) obtained(report *check.Report, c credential.Credential) {
	report.Outcome, report.Caller = check.Obtained, p.redact(c.Caller)
	if c.IsAnonymous() {
		report.Outcome = check.Anonymous
	}
	if !c.Expires.IsZero() {
		expires := c.Expires.UTC().Truncate(time.Second)
		report.Expires = &expires
	}
}

// failure is what a report says of an error.
func (p *process) failure(err error) *check.Failure {
	f, ok := errors.AsType[*credential.Failure](err)
	if !ok {
		return &check.Failure{Problem: p.redact(err.Error())}
	}
	problem := f.Problem
	if problem == "" && f.Err != nil {
		problem = f.Err.Error()
	}
	return &check.Failure{Problem: p.redact(problem), Advice: p.redact(f.Advice), Evidence: p.redact(f.Evidence), Permanent: f.Permanent}
}

// asked adds an attempt to a report.
func (p *process) asked(report *check.Report, a cloudhttp.Attempt) {
	i := slices.IndexFunc(report.Asked, func(asked check.Asked) bool { return asked.Host == a.Host })
	if i < 0 {
		i = len(report.Asked)
		report.Asked = append(report.Asked, check.Asked{})
	} else if errors.Is(a.Err, context.Canceled) {
		// Whoever asked had heard enough of that host.
		report.Asked[i].Times++
		return
	}
	asked := check.Asked{Host: a.Host, Times: report.Asked[i].Times + 1, Metadata: a.Metadata, Status: a.Status, Took: a.Took.Round(time.Millisecond).Seconds(), Received: a.Received.UTC()}
	if a.Err != nil {
		asked.Error = p.redact(a.Err.Error())
	}
	if !a.Date.IsZero() {
		date := a.Date.UTC()
		asked.Date = &date
	}
	report.Asked[i] = asked
}

// files returns the files that the settings name, in the settings' own words.
func (p *process) files() []check.File {
	settings, invocation, err := p.plugin.Read(p.args, p.getenv)
	if err != nil || settings == nil {
		return nil
	}
	var files []check.File
	if invocation.ConfigFile != "" {
		files = append(files, check.File{Setting: "config", Path: invocation.ConfigFile})
	}
	var fields any
	if data, err := json.Marshal(settings); err == nil && json.Unmarshal(data, &fields) == nil {
		files = append(files, filesIn("", fields)...)
	}
	return files
}

// filesIn returns the values of fields whose names end in File, and of lists
// that are called files.
func filesIn(path string, value any) (files []check.File) {
	fields, _ := value.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		field := strings.TrimPrefix(path+"."+name, ".")
		if text, ok := fields[name].(string); ok && text != "" && strings.HasSuffix(name, "File") && name != "logFile" {
			files = append(files, check.File{Setting: field, Path: text})
		}
		if list, ok := fields[name].([]any); ok && name == "files" {
			for i, item := range list {
				if text, ok := item.(string); ok {
					files = append(files, check.File{Setting: fmt.Sprintf("%s[%d]", field, i), Path: text})
				}
			}
		}
		files = append(files, filesIn(field, fields[name])...)
	}
	return files
}

// writeJSON writes what a person or a tool has asked for, and an end of line for
// a terminal.
func writeJSON(w io.Writer, value any) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err == nil {
		_, err = w.Write(append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
