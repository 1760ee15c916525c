package cloud

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"testing"
	"time"
)

// apart skips the test where there can be no cloud.
func apart(t *testing.T) *Cloud {
	t.Helper()
	cloud, err := Apart()
	if errors.Is(err, ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	return cloud
}

// poster starts a program that posts to a URL on a machine, with more of an
// environment. Wait says what came of it.
func poster(t *testing.T, cloud *Cloud, url string, env ...string) (wait func() (output string, err error)) {
	t.Helper()
	helper := exec.Command("/proc/self/exe", "-test.run=^TestHelperPost$")
	helper.Env = append(append(os.Environ(), "POST_TO="+url), env...)
	var output bytes.Buffer
	helper.Stdout, helper.Stderr = &output, &output
	if err := cloud.Start(helper); err != nil {
		t.Fatal(err)
	}
	return func() (string, error) {
		err := helper.Wait()
		return output.String(), err
	}
}

// Each has its own addresses, names, authority and files.
func TestCloudsApartDoNotMeet(t *testing.T) {
	clouds := []*Cloud{apart(t), apart(t), apart(t)}
	var waits []func() (string, error)
	for i, cloud := range clouds {
		// The last one's name is only there.
		name := "api.trusted.example"
		if i == 2 {
			name = "api.other.example"
		}
		if err := cloud.ServeTLS(front1, echo(cloud.Calls, cloud.Faults), name); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(cloud.Path(runPath+"/whose"), fmt.Append(nil, i), 0o600); err != nil {
			t.Fatal(err)
		}
		waits = append(waits, poster(t, cloud, "https://api.trusted.example/"))
	}
	for i, wait := range waits {
		output, err := wait()
		if (err == nil) != (i < 2) {
			t.Errorf("cloud %d: %v\n%s", i, err, output)
		}
		if asked := clouds[i].Calls.Count("echo", ""); (asked == 1) != (i < 2) {
			t.Errorf("cloud %d was asked %d times", i, asked)
		}
		content, err := os.ReadFile(clouds[i].Path(runPath + "/whose"))
		if err != nil || string(content) != fmt.Sprint(i) {
			t.Errorf("cloud %d: the file holds %q, %v", i, content, err)
		}
	}
	if looked := clouds[2].Calls.Of("dns", ""); len(looked) == 0 || looked[0].Host != "api.trusted.example" {
		t.Errorf("the name was not looked up where it does not exist\n%s", clouds[2].Calls)
	}
	if _, err := os.Stat(runPath + "/whose"); !os.IsNotExist(err) {
		t.Errorf("the program's own /run has the file: %v", err)
	}
}

func TestAProgramOnTheMachineReadsItsFiles(t *testing.T) {
	cloud := apart(t)
	path, err := cloud.WriteFile("greeting", []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	reader := exec.Command("cat", path)
	reader.Stdout = &output
	if err := errors.Join(cloud.Start(reader), reader.Wait()); err != nil || output.String() != "hello" {
		t.Errorf("read %q, %v", output.String(), err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("it is there outside, too: %v", err)
	}
}

func TestAProxyApartReachesItsOwnCloud(t *testing.T) {
	cloud := apart(t)
	if err := cloud.ServeTLS(front1, echo(cloud.Calls, cloud.Faults), "api.trusted.example"); err != nil {
		t.Fatal(err)
	}
	if err := cloud.ServeProxy(netip.MustParseAddrPort("192.0.2.3:3128")); err != nil {
		t.Fatal(err)
	}
	if output, err := poster(t, cloud, "https://api.trusted.example/", "HTTPS_PROXY=http://192.0.2.3:3128")(); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	if calls := cloud.Calls.Of("proxy", "CONNECT"); len(calls) != 1 || calls[0].Host != "api.trusted.example:443" || calls[0].Status != http.StatusOK {
		t.Errorf("journal\n%s", cloud.Calls)
	}
}

func TestACallTellsItsProtocol(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		cloud := apart(t)
		want := "HTTP/1.1"
		if http2 {
			cloud.SpeakHTTP2()
			want = "HTTP/2.0"
		}
		if err := cloud.ServeTLS(front1, echo(cloud.Calls, cloud.Faults), "api.trusted.example"); err != nil {
			t.Fatal(err)
		}
		if output, err := poster(t, cloud, "https://api.trusted.example/")(); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
		if calls := cloud.Calls.Of("echo", ""); len(calls) != 1 || calls[0].Protocol != want {
			t.Errorf("asked by %+v, want by %s", calls, want)
		}
	}
}

// What a program asks and does not wait for is in the journal all the same, and
// counts before the journal is emptied and not after.
func TestACallOfAProgramThatHasEndedIsAwaited(t *testing.T) {
	cloud := apart(t)
	service := echo(cloud.Calls, cloud.Faults)
	err := cloud.Serve(netip.AddrPortFrom(front1, 80), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(100 * time.Millisecond)
		service.ServeHTTP(w, r)
	}))
	if err != nil {
		t.Fatal(err)
	}
	ask := func() {
		connection, err := cloud.Dial("192.0.2.1:80")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := connection.Write([]byte("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")); err != nil {
			t.Fatal(err)
		}
		connection.Close()
	}
	ask()
	if cloud.Calls.Count("echo", "") != 1 {
		t.Errorf("journal\n%s", cloud.Calls)
	}
	ask()
	cloud.Calls.Reset()
	time.Sleep(200 * time.Millisecond)
	if cloud.Calls.Count("echo", "") != 0 {
		t.Errorf("journal\n%s", cloud.Calls)
	}
}

// Only what was asked by programs that have ended is waited for.
func TestACallOfAProgramThatGoesOnIsNotAwaited(t *testing.T) {
	cloud := apart(t)
	if err := cloud.Serve(netip.AddrPortFrom(front1, 80), echo(cloud.Calls, cloud.Faults)); err != nil {
		t.Fatal(err)
	}
	connection, err := cloud.Dial("192.0.2.1:80")
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	begin := time.Now()
	cloud.Calls.Reset()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("waited for %s", took)
	}
}

func TestWhatIsToBeRead(t *testing.T) {
	cloud := apart(t)
	unread := func(port uint16) bool { return cloud.thread.unread(map[uint16]bool{port: true}) }
	err := cloud.thread.do(func() error {
		stream, err := net.Listen("tcp", "127.0.0.1:8001")
		if err != nil {
			return err
		}
		defer stream.Close()
		datagrams, err := net.ListenPacket("udp", "127.0.0.1:8002")
		if err != nil {
			return err
		}
		defer datagrams.Close()
		for _, port := range []uint16{8001, 8002} {
			if unread(port) {
				t.Errorf("%d: nothing was sent", port)
			}
		}

		client, err := net.Dial("tcp", "127.0.0.1:8001")
		if err != nil {
			return err
		}
		if !unread(8001) {
			t.Error("a connection is to be accepted")
		}
		server, err := stream.Accept()
		if err != nil {
			return err
		}
		if unread(8001) {
			t.Error("both ends are open")
		}
		client.Close()
		if !unread(8001) {
			t.Error("the client has left")
		}
		server.Close()
		if unread(8001) {
			t.Error("both ends are closed")
		}

		if _, err := datagrams.WriteTo([]byte("hello"), datagrams.LocalAddr()); err != nil {
			return err
		}
		if !unread(8002) || unread(8001) {
			t.Error("a datagram is to be read")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whoever makes many ends many: namespaces are limited in number.
func TestCloudsApartLeaveNothing(t *testing.T) {
	threads := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			t.Fatal(err)
		}
		return len(tasks)
	}
	first, err := Apart()
	if errors.Is(err, ErrUnsupported) {
		t.Skip(err)
	}
	if err := errors.Join(err, first.Close()); err != nil {
		t.Fatal(err)
	}
	before, begin := threads(), time.Now()
	const many = 30
	for range many {
		cloud, err := Apart()
		if err != nil {
			t.Fatal(err)
		}
		if err := cloud.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%s each", time.Since(begin)/many)
	deadline := time.Now().Add(5 * time.Second)
	for threads() > before+5 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	if after := threads(); after > before+5 {
		t.Errorf("%d threads, and before %d", after, before)
	}
}
