package prepull

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"regcred/cmd/regcred/internal/cri"
	"regcred/cmd/regcred/internal/cri/critest"
	"regcred/shared/credential"
	"regcred/shared/kubelet"
	"regcred/shared/kubelet/pulls"
)

const (
	digest1 = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	digest2 = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
)

func login(provider, user string) kubelet.Candidate {
	return kubelet.Candidate{Auth: kubelet.Auth{Username: user, Password: credential.NewSecret("password-of-" + user)}, Origin: kubelet.Origin{Kind: kubelet.Plugin, Name: provider}}
}

// puller has a runtime, and a node with logins.
func puller(t *testing.T, logins ...kubelet.Candidate) (Puller, *critest.Runtime) {
	t.Helper()
	fake := critest.Start(t)
	runtime, err := cri.Connect(t.Context(), fake.Socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = runtime.Close() })
	return Puller{
		Runtime: runtime,
		Logins:  func(context.Context, string) ([]kubelet.Candidate, []error) { return logins, nil },
		Jobs:    1,
		Report:  func(Event) {},
	}, fake
}

func users(asked []critest.Pull) string {
	var all []string
	for _, pull := range asked {
		all = append(all, pull.Image+" "+pull.Username)
	}
	return strings.Join(all, "\n")
}

func TestLoginsAreTriedInOrder(t *testing.T) {
	p, fake := puller(t, login("a", "stranger"), login("b", "team"), login("c", "other"))
	fake.Push("r.example/app:v1", critest.Remote{ID: "sha256:1", Digest: digest1, Username: "team", Password: "password-of-team"})
	result := p.Pull(t.Context(), []Want{{Image: "r.example/app:v1", Digest: digest1}})[0]
	if result.Err != nil || result.State != Pulled || result.ID != "sha256:1" || result.Digest != digest1 || result.Size != 4096 || result.Origin.Name != "b" || result.Tries != 1 {
		t.Errorf("%+v", result)
	}
	if got := users(fake.Pulls()); got != "r.example/app:v1 stranger\nr.example/app:v1 team" {
		t.Errorf("pulls:\n%s", got)
	}
}

func TestNobodysLoginIsTriedOnlyWithoutAnother(t *testing.T) {
	p, fake := puller(t, login("a", "stranger"))
	fake.Push("r.example/open:v1", critest.Remote{ID: "sha256:1", Digest: digest1})
	result := p.Pull(t.Context(), []Want{{Image: "r.example/open:v1"}})[0]
	if result.Err == nil || !strings.HasPrefix(result.Err.Error(), "with provider a: ") || strings.Contains(result.Err.Error(), "password-of") || result.State != "" {
		t.Errorf("%+v", result)
	}
	p.Logins = func(context.Context, string) ([]kubelet.Candidate, []error) { return nil, nil }
	if result = p.Pull(t.Context(), []Want{{Image: "r.example/open:v1"}})[0]; result.Err != nil || result.State != Pulled {
		t.Errorf("%+v", result)
	}
}

// What a provider says comes first: the registry's refusal follows from it.
func TestAProvidersFailureIsTold(t *testing.T) {
	p, fake := puller(t)
	p.Logins = func(_ context.Context, image string) ([]kubelet.Candidate, []error) {
		return nil, []error{fmt.Errorf("%s: no identity attached", image)}
	}
	fake.Push("r.example/app:v1", critest.Remote{ID: "sha256:1", Username: "team"})
	result := p.Pull(t.Context(), []Want{{Image: "r.example/app:v1"}})[0]
	if result.Err == nil || !strings.HasPrefix(result.Err.Error(), "r.example/app: no identity attached; failed to pull and unpack image") {
		t.Errorf("%+v", result)
	}
}

func TestPolicy(t *testing.T) {
	for _, test := range []struct {
		policy Policy
		image  string
		pulls  int // of two runs
	}{
		{Default, "r.example/app:v1", 1},
		{Default, "r.example/app:latest", 2},
		{Default, "r.example/app", 2},
		{Always, "r.example/app:v1", 2},
		{IfNotPresent, "r.example/app", 1},
	} {
		p, fake := puller(t)
		p.Policy = test.policy
		for _, name := range []string{"r.example/app:v1", "r.example/app:latest"} {
			fake.Push(name, critest.Remote{ID: "sha256:1", Digest: digest1})
		}
		for run, want := range []State{Pulled, map[int]State{1: Present, 2: Pulled}[test.pulls]} {
			if result := p.Pull(t.Context(), []Want{{Image: test.image}})[0]; result.Err != nil || result.State != want {
				t.Errorf("%q of %s, run %d: %+v", test.policy, test.image, run, result)
			}
		}
		if got := fake.Pulls(); len(got) != test.pulls {
			t.Errorf("%q of %s: %d pulls, want %d", test.policy, test.image, len(got), test.pulls)
		}
	}
	p, _ := puller(t)
	p.Policy = Never
	if result := p.Pull(t.Context(), []Want{{Image: "r.example/app:v1"}})[0]; result.Err == nil || result.Err.Error() != "not here, and the policy is Never" {
		t.Errorf("%+v", result)
	}
}

func TestADigestIsVerified(t *testing.T) {
	p, fake := puller(t)
	p.Retries = 3
	fake.Push("r.example/app:v1", critest.Remote{ID: "sha256:1", Digest: digest1})
	result := p.Pull(t.Context(), []Want{{Image: "r.example/app:v1", Digest: digest2}})[0]
	want := "digest " + digest1 + ", and the list has " + digest2 + ": the tag was moved, or the list is old"
	if result.Err == nil || result.Err.Error() != want || result.Tries != 1 {
		t.Errorf("%+v, want %s", result, want)
	}
	// An image that is here with another digest is pulled again.
	fake.Push("r.example/app:v1", critest.Remote{ID: "sha256:2", Digest: digest2})
	if result = p.Pull(t.Context(), []Want{{Image: "r.example/app:v1", Digest: digest2}})[0]; result.Err != nil || result.State != Pulled {
		t.Errorf("%+v", result)
	}
}

// flaky is a runtime that fails as often as it is told.
type flaky struct {
	fails []error
	here  bool
}

func (f *flaky) Image(context.Context, string) (*cri.Image, error) {
	if !f.here {
		return nil, nil
	}
	return &cri.Image{ID: "sha256:1"}, nil
}

func (f *flaky) Pull(ctx context.Context, _ string, _ *kubelet.Auth) error {
	if len(f.fails) == 0 {
		f.here = true
		return nil
	}
	err := f.fails[0]
	f.fails = f.fails[1:]
	if err == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func TestWhatMayPassIsTriedAgain(t *testing.T) {
	passing := errors.New("another thing")
	for _, test := range []struct {
		name  string
		fails []error
		tries int
		err   string
	}{
		{"twice", []error{passing, passing}, 3, ""},
		{"for ever", []error{passing, passing, passing, passing, passing}, 4, "another thing"},
		{"a pull that hangs", []error{nil}, 2, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := Puller{Runtime: &flaky{fails: test.fails}, Logins: func(context.Context, string) ([]kubelet.Candidate, []error) { return nil, nil }, Retries: 3, Timeout: time.Minute}
				var waits int
				p.Report = func(e Event) {
					if e.Failed != nil {
						waits++
					}
				}
				result := p.Pull(t.Context(), []Want{{Image: "r.example/app:v1"}})[0]
				text := ""
				if result.Err != nil {
					text = result.Err.Error()
				}
				if text != test.err || result.Tries != test.tries || waits != test.tries-1 {
					t.Errorf("%+v, after %d waits", result, waits)
				}
			})
		})
	}
}

func TestWhatStaysIsNotTriedAgain(t *testing.T) {
	p, fake := puller(t, login("a", "team"))
	p.Retries = 5
	fake.Push("r.example/app:v1", critest.Remote{Failures: []error{status.Error(codes.Unknown, "unexpected status: 403 Forbidden")}})
	if result := p.Pull(t.Context(), []Want{{Image: "r.example/app:v1"}})[0]; result.Err == nil || result.Tries != 1 {
		t.Errorf("%+v", result)
	}
}

func TestOneFailureStopsNoOther(t *testing.T) {
	p, fake := puller(t)
	p.Jobs = 3
	var wants []Want
	for i := range 20 {
		name := fmt.Sprintf("r.example/app:v%d", i)
		wants = append(wants, Want{Image: name})
		if i != 7 {
			fake.Push(name, critest.Remote{ID: fmt.Sprint("sha256:", i), Digest: digest1})
		}
	}
	var done []string
	p.Report = func(e Event) {
		if e.Result != nil {
			done = append(done, e.Want.Image)
		}
	}
	results := p.Pull(t.Context(), wants)
	for i, result := range results {
		if result.Want != wants[i] || (result.Err != nil) != (i == 7) {
			t.Errorf("%d: %+v", i, result)
		}
	}
	if len(done) != 20 {
		t.Errorf("%d were reported", len(done))
	}
	if lock := NewLock(results); len(lock.Images) != 19 || slices.ContainsFunc(lock.Images, func(l Locked) bool { return l.Image == wants[7].Image }) {
		t.Errorf("lock %+v", lock)
	}
}

func TestTheEndOfTheRunEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		p := Puller{Runtime: &flaky{fails: []error{nil, nil}}, Logins: func(context.Context, string) ([]kubelet.Candidate, []error) { return nil, nil }, Retries: 3, Report: func(Event) {}}
		for _, result := range p.Pull(ctx, []Want{{Image: "r.example/a:v1"}, {Image: "r.example/b:v1"}}) {
			if !errors.Is(result.Err, context.DeadlineExceeded) {
				t.Errorf("%+v", result)
			}
		}
	})
}

func TestParseList(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"images", "# pods\nbusybox\n\nr.example/app:v1 " + digest1 + " # the app\nr.example/app@" + digest1 + "\n", "busybox  r.example/app:v1 " + digest1 + " r.example/app@" + digest1 + " "},
		{"no line end", "busybox", "busybox "},
		{"Windows", "busybox\r\nalpine\r\n", "busybox  alpine "},
		{"nothing", "\n# none\n", ""},
		{"a lock", string(Lock{lockVersion, lockKind, []Locked{{Image: "r.example/app:v1", Digest: digest1}}}.Encode()), "r.example/app:v1 " + digest1},
		{"three words", "a\na b c", "error: line 2: want an image, or an image and its digest"},
		{"no image", "r.example/UPPER", `error: line 1: image "r.example/UPPER": invalid reference format: repository name (UPPER) must be lowercase`},
		{"no digest", "a sha256:12", `error: line 1: image a: digest "sha256:12": want sha256: and 64 hexadecimal digits`},
		{"another lock", `{"apiVersion":"regcred/v2","kind":"PrepullLock"}`, `error: lock file: "regcred/v2" "PrepullLock", want regcred/v1 PrepullLock`},
		{"a bad lock", `{"apiVersion":"regcred/v1","kind":"PrepullLock","images":[{"image":"A"}]}`, `error: lock file: images[0]: image "A": invalid reference format: repository name (library/A) must be lowercase`},
		{"half a lock", `{"apiVersion":`, "error: lock file: unexpected EOF"},
	} {
		wants, err := ParseList([]byte(test.text))
		var texts []string
		for _, want := range wants {
			texts = append(texts, want.Image+" "+want.Digest)
		}
		got := strings.Join(texts, " ")
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != test.want {
			t.Errorf("%s:\n%s, want\n%s", test.name, got, test.want)
		}
	}
}

func FuzzParseList(f *testing.F) {
	f.Add([]byte("busybox " + digest1))
	f.Add(Lock{lockVersion, lockKind, []Locked{{Image: "a", Digest: digest1}}}.Encode())
	f.Fuzz(func(t *testing.T, text []byte) {
		wants, err := ParseList(text)
		if err != nil {
			return
		}
		for _, want := range wants {
			if err := want.check(); err != nil {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

func TestUnique(t *testing.T) {
	wants, err := Unique([]Want{{"a", ""}, {"b", ""}, {"a", digest1}, {"a", ""}, {"a:latest", ""}})
	if err != nil || !slices.Equal(wants, []Want{{"a", digest1}, {"b", ""}, {"a:latest", ""}}) {
		t.Errorf("%v, %v", wants, err)
	}
	if _, err := Unique([]Want{{"a", digest1}, {"a", digest2}}); err == nil {
		t.Error("one image with two digests")
	}
}

// What is pulled past the kubelet is everybody's, unless the kubelet has pulled
// the same content: under another name is enough.
func TestWhoMayUseIt(t *testing.T) {
	p, fake := puller(t)
	fake.Push("r.example/app:v1", critest.Remote{ID: "sha256:1", Digest: digest1})
	fake.Push("r.example/copy:v1", critest.Remote{ID: "sha256:2", Digest: digest2})
	root := t.TempDir()
	records := filepath.Join(root, "image_manager/pulled")
	if err := os.MkdirAll(records, 0o700); err != nil {
		t.Fatal(err)
	}
	record := `{"kind":"ImagePulledRecord","apiVersion":"kubelet.config.k8s.io/v1beta1","lastUpdatedTime":null,"imageRef":"sha256:2","credentialMapping":{"r.example/original":{"kubernetesSecrets":[{"uid":"u","namespace":"team","name":"pull","credentialHash":"h"}]}}}`
	if err := os.WriteFile(filepath.Join(records, pulls.FileOf("sha256:2")), []byte(record), 0o600); err != nil {
		t.Fatal(err)
	}
	p.Verdict = func(image, id string) pulls.Verdict {
		return pulls.In(root).Verdict(image, id, pulls.Pod{}, pulls.Policy{})
	}
	var log, events strings.Builder
	text, jsonLines := NewLog(&log), NewJSON(&events)
	p.Report = func(e Event) { text.Report(e); jsonLines.Report(e) }
	p.Pull(t.Context(), []Want{{Image: "r.example/app:v1"}, {Image: "r.example/copy:v1"}, {Image: "r.example/none:v1"}})
	for _, want := range []string{
		"; pods without credentials may use it, until the kubelet pulls the same content, under whatever name\n",
		"; pods WITHOUT CREDENTIALS MAY NOT USE IT: here, but this pod may not use it without a pull: its ID was pulled as r.example/original with secret team/pull",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("does not say %q:\n%s", want, log.String())
		}
	}
	if !strings.Contains(events.String(), `"openToAll":true,`) || !strings.Contains(events.String(), `"openToAll":false,`) || !strings.Contains(events.String(), `"useReason":"OtherName"`) || strings.Count(events.String(), "openToAll") != 2 {
		t.Errorf("events:\n%s", events.String())
	}
}
