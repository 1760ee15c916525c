package doctor

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// metricsPrefix begins the names of the kubelet's metrics of its providers.
const metricsPrefix = "kubelet_credential_provider_"

// metrics are what the kubelet counts of its providers.
type metrics struct {
	// lines are those of the page that matter.
	lines []string

	errors map[string]float64
	runs   map[string]float64
	slow   map[string]float64 // of more than ten seconds
	hash   string
}

func checkMetrics(s *subject, r *recorder) {
	if s.Node.Process == nil {
		r.skip("", "no kubelet runs here")
		return
	}
	m, from, err := s.metrics()
	if err != nil {
		r.skip("", "the kubelet's metrics cannot be read: "+err.Error())
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m.errors)) {
		if n := m.errors[name]; n > 0 {
			r.find("plugin-errors", name, counted(int(n), "run")+" of "+name+" failed since the kubelet started", s.journalctl()+" | grep "+quote("credential provider plugin "+name)+"\nregcred get IMAGE   # runs it as the kubelet does",
				fmt.Sprintf("%splugin_errors_total: %.0f; runs: %.0f", metricsPrefix, n, m.runs[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.slow)) {
		if n := m.slow[name]; n > 0 {
			r.find("plugin-slow", name, fmt.Sprintf("%.0f of the %.0f runs of %s took more than ten seconds, in which pods waited; the kubelet ends one after a minute", n, m.runs[name], name), "regcred doctor identity   # tells who takes that long")
		}
	}
	s.checkHash(r, m)
	if !r.troubled() {
		var total float64
		for _, n := range m.runs {
			total += n
		}
		r.ok("", "the kubelet counts no failure in "+counted(int(total), "run")+" of its providers", "read from "+from)
	}
}

// checkHash holds the configuration that the kubelet runs with against the one
// on disk.
func (s *subject) checkHash(r *recorder, m metrics) {
	config := s.config()
	switch {
	case config == nil || config.Hash == "":
	case m.hash == "":
		r.skip("", "which configuration the kubelet runs with is not told: kubelets do so from 1.34 on")
	case m.hash != config.Hash:
		r.find("configuration-old", s.Node.ProviderConfig, "the kubelet runs with another configuration than the one on disk: it reads it when it starts", s.restart(),
			"the kubelet's: "+m.hash, "on disk: "+config.Hash)
	default:
		r.ok(s.Node.ProviderConfig, "the kubelet runs with the configuration on disk", m.hash)
	}
}

// metrics reads them where they can be had: without proving anything at the
// read-only port or, of a kubelet that asks for nothing, at its own; else
// through the API server.
func (s *subject) metrics() (m metrics, from string, err error) {
	var problems []error
	for _, url := range s.Node.Configuration.MetricsURLs() {
		page, err := s.System.Get(s.ctx, url)
		if err == nil {
			return parseMetrics(page), url, nil
		}
		problems = append(problems, fmt.Errorf("%s: %w", url, err))
	}
	if api := s.api(); api.err != nil {
		problems = append(problems, api.err)
	} else {
		path := "/api/v1/nodes/" + s.Node.Name + "/proxy/metrics"
		reply, err := api.Get(s.ctx, "get the node's metrics", path)
		if err == nil {
			return parseMetrics(reply.Body), "the API server", nil
		}
		problems = append(problems, err, errors.New("give --kubeconfig of somebody who may, or set readOnlyPort"))
	}
	return metrics{}, "", oneLine(problems)
}

// oneLine joins errors into a sentence.
func oneLine(problems []error) error {
	texts := make([]string, 0, len(problems))
	for _, problem := range problems {
		texts = append(texts, problem.Error())
	}
	return errors.New(strings.Join(texts, "; "))
}

// parseMetrics reads the lines that matter of a page in Prometheus' format.
func parseMetrics(page []byte) metrics {
	m := metrics{errors: map[string]float64{}, runs: map[string]float64{}, slow: map[string]float64{}}
	lines := bufio.NewScanner(bytes.NewReader(page))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, metricsPrefix) {
			continue
		}
		if len(m.lines) < 500 {
			m.lines = append(m.lines, clean(line))
		}
		name, labels, value := parseSample(strings.TrimPrefix(line, metricsPrefix))
		plugin := labels["plugin_name"]
		switch {
		case name == "plugin_errors" || name == "plugin_errors_total":
			m.errors[plugin] += value
		case name == "plugin_duration_count":
			m.runs[plugin] += value
			m.slow[plugin] += value
		case name == "plugin_duration_bucket" && labels["le"] == "10":
			m.slow[plugin] -= value
		case name == "config_info":
			m.hash = labels["hash"]
		}
	}
	return m
}

// parseSample reads name{label="value",...} value.
func parseSample(line string) (name string, labels map[string]string, value float64) {
	labels = map[string]string{}
	end := strings.IndexAny(line, "{ ")
	if end < 0 {
		return line, labels, 0
	}
	name, line = line[:end], line[end:]
	if rest, found := strings.CutPrefix(line, "{"); found {
		for {
			rest = strings.TrimLeft(rest, ", ")
			label, after, found := strings.Cut(rest, "=")
			if !found || strings.HasPrefix(rest, "}") {
				break
			}
			quoted, err := strconv.QuotedPrefix(after)
			if err != nil {
				break
			}
			labels[label], _ = strconv.Unquote(quoted) // What QuotedPrefix returns can be unquoted.
			rest = after[len(quoted):]
		}
		_, line, _ = strings.Cut(rest, "}")
	}
	if fields := strings.Fields(line); len(fields) > 0 {
		value, _ = strconv.ParseFloat(fields[0], 64)
	}
	return name, labels, value
}

// dateOf is what the time was where an answer is from.
func dateOf(header http.Header) time.Time {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil {
		return time.Time{}
	}
	return date
}
