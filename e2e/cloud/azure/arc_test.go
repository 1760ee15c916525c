package azure

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"regcred/e2e/cloud/cloudtest"
)

// arc asks as a program on the machine does, with a key or none.
func (g rig) arc(query, key string) *httptest.ResponseRecorder {
	headers := []string{"Metadata", "true"}
	if key != "" {
		headers = append(headers, "Authorization", "Basic "+key)
	}
	return cloudtest.Send(g.Arc(), http.MethodGet, "http://127.0.0.1:40342"+machinePath+"?api-version=2020-06-01&"+query, "", headers...)
}

// key reads the file that a challenge names.
func key(t *testing.T, challenge *httptest.ResponseRecorder) string {
	t.Helper()
	path, ok := strings.CutPrefix(challenge.Header().Get("WWW-Authenticate"), "Basic realm=")
	if challenge.Code != http.StatusUnauthorized || !ok {
		t.Fatalf("answer %d %v", challenge.Code, challenge.Header())
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func arcRig(t *testing.T) rig {
	g := newRig()
	g.Configure(func(s *Settings) { s.Arc.Directory = t.TempDir() })
	return g
}

func TestArcAnswersWhoReadsItsKeyOnce(t *testing.T) {
	g := arcRig(t)
	shown := key(t, g.arc(acrResource, ""))
	answer := g.arc(acrResource, shown)
	known, ok := g.Token(text(t, answer, "access_token"))
	if !ok || known.Principal.ClientID != system.ClientID || known.Service != "arc" {
		t.Errorf("known %+v, %t", known, ok)
	}
	g.wantNoViolation(t)
	if left, _ := filepath.Glob(filepath.Join(g.Current().Arc.Directory, "*")); len(left) != 0 {
		t.Errorf("keys %v are left", left)
	}
	g.wantRefusal(t, g.arc(acrResource, shown), 401, "no key", true)
	if g.calls.Count("arc", "GetChallenge") != 1 || g.calls.Count("arc", "GetToken") != 2 {
		t.Errorf("journal\n%s", g.calls)
	}
}

func TestArcNamesTheIdentityItAnswersUnlessItIsOld(t *testing.T) {
	for old, want := range map[bool]string{false: pull.ClientID, true: system.ClientID} {
		g := arcRig(t)
		g.Configure(func(s *Settings) { s.Arc.OldAgent = old })
		query := acrResource + "&client_id=" + pull.ClientID
		answer := g.arc(query, key(t, g.arc(query, "")))
		known, _ := g.Token(text(t, answer, "access_token"))
		_, echoed := cloudtest.Object(t, answer)["client_id"]
		if known.Principal.ClientID != want || echoed == old {
			t.Errorf("old %t: the token of %s, named: %t", old, known.Principal.ClientID, echoed)
		}
	}
}

func TestArcRefusesOtherForms(t *testing.T) {
	g := arcRig(t)
	const target = "http://127.0.0.1:40342" + machinePath
	for _, query := range []string{"?api-version=2018-02-01&" + acrResource, "?api-version=2020-06-01", "?" + acrResource} {
		g.calls.Reset()
		g.wantRefusal(t, cloudtest.Send(g.Arc(), http.MethodGet, target+query, "", "Metadata", "true"), 400, "invalid_request", true)
	}
	g.calls.Reset()
	g.wantRefusal(t, cloudtest.Send(g.Arc(), http.MethodGet, target+"?api-version=2020-06-01&"+acrResource, ""), 400, "metadata header", true)
}
