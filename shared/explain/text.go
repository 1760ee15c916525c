package explain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"regcred/shared/cache"
	"regcred/shared/redact"
)

// Text is the explanation for a person, at a time: lines of a word and what it
// is.
func (e Explanation) Text(now time.Time) string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		_, _ = fmt.Fprintf(&b, "%-12s%s\n", name, fmt.Sprintf(format, args...))
	}
	line("image", "%s", e.Image)
	if e.AliasOf != "" {
		line("alias of", "%s", e.AliasOf)
	}
	if e.ServiceAccount != "" {
		line("pod of", "service account %s%s", e.ServiceAccount, annotations(e.Annotations))
	}
	switch {
	case !e.Own:
		line("asked", "nobody: %s is not a registry of %s", e.Registry, e.Plugin)
	case e.Refused != "":
		line("refused", "%s", e.Refused)
	default:
		line("asked", "%s", e.Source)
		line("identity", "%s: %s", e.Identity, e.Why)
		line("good for", "%s", e.goodFor())
	}
	if e.Unkept && e.Cache.Directory != "" && e.Cache.Problem == "" {
		line("cache", "%s: the answer itself is made in every run", e.Cache.Directory)
	} else {
		line("cache", "%s", e.Cache.text(now, e.Source != ""))
	}
	for _, token := range e.Cache.Tokens {
		line("", "on the way, %s: %s", redact.Line(strings.Join(token.Key, " ")), Kept(token, now))
	}
	line("a run now", "%s", e.Next.text())
	return b.String()
}

func annotations(all map[string]string) string {
	var b strings.Builder
	for i, name := range slices.Sorted(maps.Keys(all)) {
		b.WriteString([]string{", annotated ", ", "}[min(i, 1)] + name + "=" + all[name])
	}
	return b.String()
}

func (e Explanation) goodFor() string {
	text := "every image of " + e.Registry
	if e.PerImage {
		text = "this image alone"
	}
	if e.AnonymousFor != "" {
		text += "; then " + e.AnonymousFor + " without a credential"
	}
	return text
}

func (c Cache) text(now time.Time, asked bool) string {
	switch {
	case c.Directory == "":
		return "none: nothing is kept"
	case c.Problem != "":
		return "not trusted: " + c.Problem
	case !asked:
		return c.Directory
	case c.Entry == nil:
		return c.Directory + ": nothing is kept for this"
	default:
		return c.Directory + ": " + Kept(*c.Entry, now)
	}
}

// Kept says what an entry of the cache holds, at a time.
func Kept(e cache.Entry, now time.Time) string {
	parts := []string{string(e.State)}
	if !e.Obtained.IsZero() {
		parts = append(parts, "obtained "+When(e.Obtained, now))
		if e.State == cache.Fresh {
			parts = append(parts, "refreshed from "+When(e.Refresh, now))
		}
		parts = append(parts, "expires "+When(e.Expires, now))
	}
	if e.Caller != "" {
		parts = append(parts, "of "+e.Caller)
	}
	text := strings.Join(parts, ", ")
	if e.Failure != "" {
		text += "; failed " + When(e.FailedAt, now) + ": " + e.Failure
		if now.Before(e.Retry) {
			text += "; asked again from " + When(e.Retry, now)
		}
	}
	return text
}

// When is a time and how far away it is: "2026-01-02T15:04:05Z (in 5m0s)".
func When(at, now time.Time) string {
	distance := at.Sub(now).Round(time.Second)
	relative := "in " + distance.String()
	if distance < 0 {
		relative = (-distance).String() + " ago"
	}
	return at.UTC().Format(time.RFC3339) + " (" + relative + ")"
}

func (n Next) text() string {
	switch n {
	case Pass:
		return "answers that it has no credential"
	case Serve:
		return "answers from the cache, and asks nobody"
	case Refresh:
		return "answers from the cache, and asks for a newer one first if no other run does"
	case Ask:
		return "asks before it answers"
	case Fail:
		return "fails, and asks nobody"
	default:
		return string(n)
	}
}
