package cloud

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestAnInterceptorHandsOnWhatIsNotItsOwn(t *testing.T) {
	cloud := newCloud(t)
	if err := cloud.ServeTLS(front1, echo(cloud.Calls, cloud.Faults), "known.example", "other.example"); err != nil {
		t.Fatal(err)
	}
	front2 := netip.MustParseAddr("192.0.2.2")
	for _, name := range []string{"known.example", "new.example"} {
		err := cloud.Intercept(name, front2, func(answering http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/own" && answering != nil {
					answering.ServeHTTP(w, r)
					return
				}
				_, _ = io.WriteString(w, "intercepted")
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for url, want := range map[string]struct{ at, body string }{
		"https://known.example/own":   {"192.0.2.1:443", "intercepted"},
		"https://known.example/other": {"192.0.2.1:443", "hello"},
		"https://other.example/own":   {"192.0.2.1:443", "hello"},
		"https://new.example/other":   {"192.0.2.2:443", "intercepted"},
	} {
		answer, err := clientAt(cloud, want.at).Post(url, "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || string(body) != want.body {
			t.Errorf("%s answers %q, %v, want %q", url, body, err, want.body)
		}
	}
	if err := cloud.AddHosts(front1, "only-a-name.example"); err != nil {
		t.Fatal(err)
	}
	if err := cloud.Intercept("only-a-name.example", front2, func(h http.Handler) http.Handler { return h }); err == nil {
		t.Error("a name without a server was intercepted")
	}
}
