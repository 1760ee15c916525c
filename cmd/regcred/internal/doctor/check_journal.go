package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// journalPattern is what the kubelet's lines about its providers have in common.
const journalPattern = "credential provider plugin|Failed to provide credentials for image|Failed to register CRI auth plugins"

// maxComplaints bounds how many different lines of the journal are shown.
const maxComplaints = 5

func checkJournal(s *subject, r *recorder) {
	directory := ""
	if s.Node.Path("/") != "/" {
		directory = s.Node.Path("/var/log/journal")
		if !exists(directory) {
			r.skip("", "there is no /var/log/journal of the node here")
			return
		}
	}
	text, err := s.System.Journal(s.ctx, directory, journalPattern)
	if err != nil {
		reason := "the journal cannot be read: " + err.Error()
		if errors.Is(err, errNoJournal) {
			reason = err.Error()
		}
		r.skip("", reason)
		return
	}
	all := complaints(string(text))
	for _, c := range all[:min(len(all), maxComplaints)] {
		r.find("journal-errors", c.plugin, fmt.Sprintf("the kubelet logged %s in the last hour, last at %s", times(c.count), c.last), "regcred get IMAGE   # runs the provider as the kubelet does, and shows what it says", c.text)
	}
	if len(all) > maxComplaints {
		r.find("journal-errors", "", fmt.Sprintf("the kubelet logged %d other complaints about providers", len(all)-maxComplaints), s.journalctl()+" --since=-1h --grep='credential provider'")
	}
	if len(all) == 0 {
		r.ok("", "the kubelet has not complained about a provider within the last hour")
	}
}

// complaint is what was logged, and how often.
type complaint struct {
	plugin, text, last string
	count              int
}

func times(n int) string {
	if n == 1 {
		return "it once"
	}
	return fmt.Sprintf("it %d times", n)
}

var (
	journalPlugin = regexp.MustCompile(`credential provider plugin ([^\s"]+)`)
	journalError  = regexp.MustCompile(`(?:err|error)="((?:[^"\\]|\\.)*)"`)
	// changing are parts of a line that are others each time.
	changing = regexp.MustCompile(`(?i)(request id|requestid|trace id|correlation id)[ :=]*[0-9a-z-]+|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+Z?`)
)

// complaints are the lines of the kubelet's about its providers, with those that
// say the same told once, the newest first.
func complaints(text string) []complaint {
	found := map[string]*complaint{}
	order := map[string]int{}
	for i, line := range strings.Split(text, "\n") {
		at, rest, _ := strings.Cut(line, " ")
		if !strings.Contains(rest, "kubelet") && !strings.Contains(rest, "k3s") && !strings.Contains(rest, "rke2") && !strings.Contains(rest, "kubelite") {
			continue
		}
		plugin, what := "", rest
		if match := journalPlugin.FindStringSubmatch(rest); match != nil {
			plugin = match[1]
		}
		if match := journalError.FindStringSubmatch(rest); match != nil {
			what = strings.ReplaceAll(match[1], `\"`, `"`)
		} else if plugin == "" && !strings.Contains(rest, "Failed to") {
			continue
		}
		key := plugin + "\x00" + changing.ReplaceAllString(what, "")
		if found[key] == nil {
			found[key] = &complaint{plugin: plugin}
		}
		found[key].count++
		found[key].text, found[key].last = what, at
		order[key] = i
	}
	keys := slices.SortedFunc(maps.Keys(found), func(a, b string) int { return cmp.Compare(order[b], order[a]) })
	all := make([]complaint, 0, len(keys))
	for _, key := range keys {
		all = append(all, *found[key])
	}
	return all
}
