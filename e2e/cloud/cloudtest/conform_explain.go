package cloudtest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/fake"
)

// explanation is what is looked at of what --explain prints.
type explanation struct {
	APIVersion, Kind, Plugin, Image, Registry string
	Own                                       bool
	Source, Identity, Why, Refused, Next      string
	ServiceAccount                            string
	Cache                                     struct {
		Directory, Problem string
		Entry              *kept
		Tokens             []kept
	}
}

type kept struct {
	State, Caller, Failure               string
	Obtained, Refresh, Expires, FailedAt time.Time
}

// explain asks for the explanation of a question, as JSON and as text.
func (n *Node[F]) explain(q Question) (e explanation, text string) {
	n.T.Helper()
	data, person := n.Ask(With(q, "--explain")), n.Ask(With(q, "--explain=text"))
	for _, a := range []Answer{data, person} {
		if a.Exit != 0 || a.Stderr != "" {
			n.T.Fatalf("exit code %d, %s", a.Exit, a.Stderr)
		}
		if secret := Secret(a.Stdout); secret != "" {
			n.T.Errorf("%.20q… on stdout may be a secret", secret)
		}
	}
	if err := json.Unmarshal([]byte(data.Stdout), &e); err != nil {
		n.T.Fatalf("%v in %s", err, data.Stdout)
	}
	if e.APIVersion != "regcred/v1" || e.Kind != "CredentialExplanation" || e.Plugin != n.Kind.Plugin || !strings.HasSuffix(e.Image, filepath.Base(q.Image)) || e.Cache.Directory != CacheDir {
		n.T.Errorf("explained as %+v", e)
	}
	n.wantNowhere(map[string]string{"the explanation": data.Stdout, "the text": person.Stdout}, n.Secrets())
	return e, person.Stdout
}

// explained is what a person is told of a request before and after it was
// answered. Everything that was kept for it is told, and nothing is asked.
func (s Suite[F]) explained(t *testing.T) {
	s.ways(t, func(n *Node[F], way Way[F], e Errand) {
		before, text := n.explain(e.Question)
		if !before.Own || before.Source == "" || before.Refused != "" || before.Next != "ask" || before.Cache.Entry != nil || len(before.Cache.Tokens) != 0 || !strings.Contains(text, before.Source) {
			n.T.Errorf("before it was asked: %+v\n%s", before, text)
		}
		if want := map[bool]string{true: "pod", false: "node"}[e.Token != ""]; before.Identity != want && before.Identity != "nobody" {
			n.T.Errorf("the identity is the %s's, want the %s's: %s", before.Identity, want, before.Why)
		}
		n.WantCalls()
		WantNoCache(n.T, n.Cloud)

		n.WantLogin(n.Ask(e.Question), e.Image, e.Owner)
		n.WantCalls(way.Calls)
		after, text := n.explain(e.Question)
		own, told := s.own(after)
		if own == nil || own.State != "fresh" || after.Next != "serve" || after.Source != before.Source || !strings.Contains(text, "fresh, obtained ") {
			n.T.Fatalf("after it was answered: %+v\n%s", after, text)
		}
		if now := time.Now(); now.Sub(own.Obtained).Abs() > time.Minute || !own.Refresh.After(now) || own.Expires.Before(own.Refresh) {
			n.T.Errorf("obtained %s, refreshed %s, expires %s", own.Obtained, own.Refresh, own.Expires)
		}
		if kept := len(keptIn(n.T, n.Cloud.Path(CacheDir))); told != kept {
			n.T.Errorf("tells of %d entries, while %d are kept: %+v", told, kept, after.Cache)
		}
		n.WantCalls()
		n.wantNowhere(map[string]string{"the text": text}, e.Secrets)
	})
	n := s.boot(t)
	for _, host := range append([]string{"registry.example.com", n.LookAlike}, s.Foreign...) {
		e, _ := n.explain(n.Question(host + "/app"))
		if e.Own || e.Source != "" || e.Next != "pass" {
			t.Errorf("%s: %+v", host, e)
		}
	}
	n.Write(Question{Args: []string{"--explain"}}, nil).WantFailure(1, "request on stdin")
	n.Write(Question{Args: []string{"--explain=yaml"}}, nil).WantFailure(2, "want text or json")
	n.WantCalls()
}

// own is the entry that an answer is made of, and of how many entries is told.
// Where answers are not kept, it is what they are made of.
func (s Suite[F]) own(e explanation) (own *kept, told int) {
	tokens := e.Cache.Tokens
	switch {
	case e.Cache.Entry != nil:
		return e.Cache.Entry, 1 + len(tokens)
	case s.Unkept && len(tokens) > 0:
		return &tokens[0], len(tokens)
	default:
		return nil, len(tokens)
	}
}

func keptIn(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(paths, func(path string) bool {
		info, err := os.Stat(path)
		return err != nil || !info.Mode().IsRegular()
	})
}

// explainedFailure is what a person is told of a failure that is recorded, and
// of a request that is refused.
func (s Suite[F]) explainedFailure(t *testing.T) {
	n := s.boot(t)
	service, operation := fetch(n.Machine.Fetch)
	n.Cloud.Faults.Always(service, operation, n.Denied)
	failed := n.Ask(n.Own())
	n.Cloud.Calls.Reset()
	e, text := n.explain(n.Own())
	if own, _ := s.own(e); failed.Exit != 1 || own == nil || own.State != "failed" || own.Failure == "" || !strings.Contains(failed.Stderr, own.Failure) {
		t.Errorf("after %s: %+v", failed.Stderr, e)
	}
	if !strings.Contains(text, "failed; failed ") {
		t.Errorf("the text does not say so:\n%s", text)
	}
	for _, nameless := range append([]Nameless{{}}, s.Nameless...) {
		e, _ := n.explain(n.Pod(fake.Shop, fake.Identity{Annotations: nameless.Annotations}, nameless.Args...))
		if !strings.Contains(e.Refused, "service account shop/web") || e.ServiceAccount != "shop/web" || e.Next != "fail" {
			t.Errorf("%s: %+v", nameless.Name, e)
		}
	}
	n.WantCalls()
}
