package prepull

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"regcred/cmd/regcred/internal/term"
	"regcred/shared/kubelet/pulls"
)

// Reporter shows what happens. The runtime tells nothing of a pull before its
// end: no bytes are counted.
type Reporter interface {
	Report(Event)
	// Close ends the report before anything else is printed.
	Close()
}

// NewLog reports a line for each thing that happens, for a log.
func NewLog(w io.Writer) Reporter { return logReporter{w} }

type logReporter struct{ w io.Writer }

func (l logReporter) Close() {}

func (l logReporter) Report(e Event) {
	_, _ = io.WriteString(l.w, line(e)+"\n")
}

// line is an event in words.
func line(e Event) string {
	switch {
	case e.Failed != nil:
		return fmt.Sprintf("again in %v: %s: %v", e.Wait.Round(time.Second), e.Want.Image, e.Failed)
	case e.Result == nil:
		return "pulling " + e.Want.Image
	case e.Result.Err != nil:
		return fmt.Sprintf("failed %s: %v", e.Want.Image, e.Result.Err)
	case e.Result.State == Present:
		return "here already: " + e.Want.Image + use(e.Result.Use)
	default:
		text := fmt.Sprintf("pulled %s in %v", e.Want.Image, e.Result.Took.Round(100*time.Millisecond))
		if e.Result.Size > 0 {
			text += ", " + size(e.Result.Size)
		}
		if e.Result.Origin.Kind != "" {
			text += ", with " + e.Result.Origin.String()
		}
		return text + use(e.Result.Use)
	}
}

// use says which pods may use an image.
func use(v *pulls.Verdict) string {
	switch {
	case v == nil:
		return ""
	case v.Reason == pulls.Preloaded:
		return "; pods without credentials may use it, until the kubelet pulls the same content, under whatever name"
	case v.Allowed:
		return "; pods without credentials may use it"
	default:
		return "; pods WITHOUT CREDENTIALS MAY NOT USE IT: " + v.String()
	}
}

// size is a number of bytes as runtimes and registries give it, in units of a
// thousand.
func size(bytes uint64) string {
	switch {
	case bytes >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
	case bytes >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	default:
		return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
	}
}

// NewBars reports on a terminal: a bar for all images, a line for each that is
// being pulled, and above them a line for each that is done.
func NewBars(w io.Writer, total int) Reporter {
	progress := mpb.New(mpb.WithOutput(w), mpb.WithWidth(40), mpb.WithAutoRefresh())
	return &bars{
		progress: progress,
		all: progress.AddBar(int64(total),
			mpb.BarPriority(total+1),
			mpb.PrependDecorators(decor.CountersNoUnit("%d of %d")),
			mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO))),
		pulling: map[string]*mpb.Bar{},
	}
}

type bars struct {
	progress *mpb.Progress
	all      *mpb.Bar
	pulling  map[string]*mpb.Bar // by image
}

func (b *bars) Report(e Event) {
	image := e.Want.Image
	switch {
	case e.Failed != nil:
		_, _ = io.WriteString(b.progress, line(e)+"\n")
	case e.Result == nil:
		b.pulling[image] = b.progress.New(1, mpb.SpinnerStyle(), mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(image+" ")), mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))
	default:
		if bar := b.pulling[image]; bar != nil {
			bar.SetCurrent(1)
			delete(b.pulling, image)
		}
		_, _ = io.WriteString(b.progress, line(e)+"\n")
		b.all.Increment()
	}
}

func (b *bars) Close() {
	for _, bar := range b.pulling {
		bar.Abort(true)
	}
	if !b.all.Completed() {
		b.all.Abort(false)
	}
	b.progress.Wait()
}

// NewJSON reports a line of JSON for each thing that happens.
func NewJSON(w io.Writer) Reporter { return jsonReporter{w} }

type jsonReporter struct{ w io.Writer }

func (j jsonReporter) Close() {}

// jsonEvent is an event as a line of JSON.
type jsonEvent struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	// Event is pulling, again, pulled, present or failed.
	Event string `json:"event"`
	Image string `json:"image"`

	Digest      string  `json:"digest,omitempty"`
	ID          string  `json:"id,omitempty"`
	Size        uint64  `json:"size,omitempty"`       // bytes
	Credential  string  `json:"credential,omitempty"` // where it came from
	Tries       int     `json:"tries,omitempty"`
	Seconds     float64 `json:"seconds,omitempty"`
	WaitSeconds float64 `json:"waitSeconds,omitempty"`
	Error       string  `json:"error,omitempty"`

	// Open is whether pods without credentials may use it, and Use why.
	Open   *bool        `json:"openToAll,omitempty"`
	Use    string       `json:"use,omitempty"`
	Reason pulls.Reason `json:"useReason,omitempty"`
}

func (j jsonReporter) Report(e Event) {
	line := jsonEvent{APIVersion: lockVersion, Kind: "PrepullEvent", Event: "pulling", Image: e.Want.Image}
	switch r := e.Result; {
	case e.Failed != nil:
		line.Event, line.Error, line.WaitSeconds = "again", e.Failed.Error(), e.Wait.Seconds()
	case r != nil:
		line.Digest, line.ID, line.Size, line.Tries, line.Seconds = r.Digest, r.ID, r.Size, r.Tries, r.Took.Seconds()
		if r.Origin.Kind != "" {
			line.Credential = r.Origin.String()
		}
		if v := r.Use; v != nil {
			line.Open, line.Use, line.Reason = &v.Allowed, v.String(), v.Reason
		}
		line.Event = string(r.State)
		if r.Err != nil {
			line.Event, line.Error = "failed", r.Err.Error()
		}
	}
	text, _ := json.Marshal(line) // strings and numbers always encode
	_, _ = j.w.Write(append(term.Escaped(text), '\n'))
}

// Summary says in a sentence what became of all.
func Summary(results []Result, took time.Duration) string {
	var pulled, present, failed int
	for _, r := range results {
		switch {
		case r.Err != nil:
			failed++
		case r.State == Present:
			present++
		default:
			pulled++
		}
	}
	return fmt.Sprintf("%d images in %v: %d pulled, %d here already, %d failed", len(results), took.Round(100*time.Millisecond), pulled, present, failed)
}
