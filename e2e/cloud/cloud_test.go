package cloud

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

var front1 = netip.MustParseAddr("192.0.2.1")

func TestProgramsInTheNamespaceTrustTheCloud(t *testing.T) {
	cloud := newCloud(t)
	if err := cloud.ServeTLS(front1, echo(cloud.Calls, cloud.Faults), "api.trusted.example"); err != nil {
		t.Fatal(err)
	}
	// A program of its own: this process may have read the authorities before.
	helper := exec.Command("/proc/self/exe", "-test.run=^TestHelperPost$")
	helper.Env = append(os.Environ(), "POST_TO=https://api.trusted.example/")
	output, err := helper.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	calls := cloud.Calls.Of("echo", "Echo")
	if len(calls) != 1 || calls[0].Status != 200 || calls[0].Host != "api.trusted.example" || calls[0].Summary != "5 bytes" {
		t.Errorf("journal: %+v", calls)
	}
	if violations := cloud.Calls.Violations(); len(violations) != 0 {
		t.Errorf("violations: %v", violations)
	}
}

// TestHelperPost is the program that the test above runs.
func TestHelperPost(t *testing.T) {
	target := os.Getenv("POST_TO")
	if target == "" {
		t.Skip("not run as a helper")
	}
	answer, err := http.Post(target, "text/plain", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "hello" {
		t.Fatalf("answer %q, %v", body, err)
	}
}

func TestServesPlainHTTPAtTheMetadataAddresses(t *testing.T) {
	cloud := newCloud(t)
	addresses := []string{"169.254.169.254:80"}
	if cloud.IPv6() {
		addresses = append(addresses, "[fd00:ec2::254]:80")
	}
	for _, address := range addresses {
		if err := cloud.Serve(netip.MustParseAddrPort(address), echo(cloud.Calls, cloud.Faults)); err != nil {
			t.Fatal(err)
		}
		answer, err := http.Post("http://"+address, "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
	}
	if got := cloud.Calls.Count("echo", ""); got != len(addresses) {
		t.Errorf("%d calls, want %d", got, len(addresses))
	}
}

func TestAServerOfAnotherAuthorityIsTrustedByThoseWhoHaveIt(t *testing.T) {
	cloud := newCloud(t)
	authority, err := NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	if err := cloud.ServeTLSOf(authority, front1, echo(cloud.Calls, cloud.Faults), "api.elsewhere.example"); err != nil {
		t.Fatal(err)
	}
	for trusted, roots := range map[bool]*Authority{true: authority, false: cloud.Authority} {
		connection, err := tls.Dial("tcp", "192.0.2.1:443", &tls.Config{ServerName: "api.elsewhere.example", RootCAs: roots.Pool()})
		if (err == nil) != trusted {
			t.Errorf("trusted by its own: %t, and then %v", trusted, err)
		}
		if err == nil {
			connection.Close()
		}
	}
	if _, err := net.DefaultResolver.LookupHost(t.Context(), "api.elsewhere.example"); err == nil {
		t.Error("the name exists")
	}
	if err := cloud.ServeTLS(front1, echo(cloud.Calls, cloud.Faults), "api.trusted.example"); err == nil {
		t.Error("one address has certificates of two authorities")
	}
}

func TestUnknownServerNamesAreRefusedAndKept(t *testing.T) {
	cloud := newCloud(t)
	if err := cloud.ServeTLS(front1, echo(cloud.Calls, cloud.Faults), "api.known.example"); err != nil {
		t.Fatal(err)
	}
	_, err := tls.Dial("tcp", "192.0.2.1:443", &tls.Config{ServerName: "api.unknown.example", RootCAs: cloud.Authority.Pool()})
	if err == nil {
		t.Error("a handshake with an unknown name succeeded")
	}
	violations := cloud.Calls.Violations()
	if len(violations) != 1 || violations[0].Host != "api.unknown.example" {
		t.Errorf("violations: %v", violations)
	}
}

func TestAHostHeaderOfAnotherServerIsMisdirected(t *testing.T) {
	cloud := newCloud(t)
	if err := cloud.ServeTLS(front1, echo(cloud.Calls, cloud.Faults), "a.example", "b.example"); err != nil {
		t.Fatal(err)
	}
	client := clientAt(cloud, "192.0.2.1:443")
	request, err := http.NewRequest(http.MethodPost, "https://a.example/", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "b.example"
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMisdirectedRequest || len(cloud.Calls.Violations()) != 1 {
		t.Errorf("status %d, violations %v", answer.StatusCode, cloud.Calls.Violations())
	}
}

func TestNamesThatDoNotExistFailAtOnceAndAreJournalled(t *testing.T) {
	cloud := newCloud(t)
	within(t, 5*time.Second, func() {
		_, err := net.DefaultResolver.LookupHost(context.Background(), "look-alike.example.com")
		var failure *net.DNSError
		if !errors.As(err, &failure) || !failure.IsNotFound {
			t.Errorf("error %v, want no such host", err)
		}
	})
	if calls := cloud.Calls.Of("dns", "A"); len(calls) != 1 || calls[0].Host != "look-alike.example.com" {
		t.Errorf("journal: %+v", calls)
	}
}

func TestTheMachineIsOutOfReach(t *testing.T) {
	newCloud(t)
	within(t, 5*time.Second, func() {
		if connection, err := net.Dial("tcp", "198.51.100.1:443"); err == nil {
			connection.Close()
			t.Error("connected to an address that is not in the namespace")
		}
	})
	entries, err := os.ReadDir("/run")
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) > 2 || entries[0].Name() != "cloud" {
		t.Errorf("/run holds %v", entries)
	}
}

func TestCloseTakesNamesAndTrustAway(t *testing.T) {
	cloud := newCloud(t)
	before, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	if err := cloud.AddHosts(front1, "gone.example"); err != nil {
		t.Fatal(err)
	}
	if err := cloud.Close(); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := os.ReadFile("/etc/ssl/certs/ca-certificates.crt")
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) || len(trusted) != 0 {
		t.Errorf("left behind: hosts %q, authorities %q", after, trusted)
	}
}

// clientAt trusts the cloud and goes to one address whatever the name.
func clientAt(cloud *Cloud, address string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: cloud.Authority.Pool()},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}}
}
