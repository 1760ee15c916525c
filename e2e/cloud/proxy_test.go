package cloud

import (
	"crypto/tls"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestProxyPassesOnAndJournals(t *testing.T) {
	cloud := newCloud(t)
	service := echo(cloud.Calls, cloud.Faults)
	plain := netip.MustParseAddrPort("192.0.2.2:80")
	at := netip.MustParseAddrPort("192.0.2.3:3128")
	// The address stands in for the name: this process has cached the names.
	if err := cloud.ServeTLS(front1, service, "api.behind.example", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	if err := cloud.Serve(plain, service); err != nil {
		t.Fatal(err)
	}
	if err := cloud.ServeProxy(at); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		Proxy:             http.ProxyURL(&url.URL{Scheme: "http", Host: at.String()}),
		TLSClientConfig:   &tls.Config{RootCAs: cloud.Authority.Pool(), ServerName: "api.behind.example"},
	}}
	for _, test := range []struct{ target, host, operation, asked string }{
		{"https://192.0.2.1/", "api.behind.example", "CONNECT", "192.0.2.1:443"},
		{"http://192.0.2.2/", "", "POST", "192.0.2.2"},
	} {
		request, err := http.NewRequest(http.MethodPost, test.target, strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		request.Host = test.host
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		calls := cloud.Calls.Of("proxy", test.operation)
		if answer.StatusCode != http.StatusOK || len(calls) != 1 || calls[0].Host != test.asked || calls[0].Status != 200 {
			t.Errorf("%s: status %d, journal %+v", test.target, answer.StatusCode, calls)
		}
	}
	if got := cloud.Calls.Count("echo", "Echo"); got != 2 {
		t.Errorf("%d calls arrived behind the proxy, want 2", got)
	}

	answer, err := http.Get("http://192.0.2.3:3128/")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusBadRequest || len(cloud.Calls.Violations()) != 1 {
		t.Errorf("asked as a server: status %d, violations %v", answer.StatusCode, cloud.Calls.Violations())
	}
}
