package cloudtest

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/fake"
)

func (s Suite[F]) brokenRequests(t *testing.T) {
	n := s.boot(t)
	q := n.Own()
	good, huge := string(q.Request()), strings.Repeat("x", 2<<20)
	for name, stdin := range map[string]string{
		"nothing":          "",
		"blanks":           " \n\t",
		"garbage":          "\x00\xff\xfe garbage",
		"cut short":        good[:len(good)/2],
		"two requests":     good + good,
		"a list":           "[" + good + "]",
		"null":             "null",
		"another kind":     strings.ReplaceAll(good, "CredentialProviderRequest", "Pod"),
		"no image":         strings.ReplaceAll(good, q.Image, ""),
		"2 MiB of garbage": huge,
		"2 MiB of blanks":  strings.Repeat(" ", 2<<20),
		"2 MiB of request": string(forImage(q, q.Image+"/"+huge).Request()),
		"2 MiB of token":   string(Question{Image: q.Image, Token: huge}.Request()),
		"deep nesting":     strings.Repeat("[", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			n := n.In(t)
			a := n.Write(q, []byte(stdin))
			a.WantFailure(1)
			a.WantWithin(Soon)
			n.WantCalls()
		})
	}
}

// The plugin does not wait for more once its input has ended.
func (s Suite[F]) slowRequest(t *testing.T) {
	n := s.boot(t)
	q := n.Own()
	command := q.Command(t.Context(), n.Plugin)
	reader, writer := io.Pipe()
	command.Stdin = reader
	go func() {
		for i, piece := range q.Request() {
			if i%40 == 0 {
				time.Sleep(20 * time.Millisecond)
			}
			_, _ = writer.Write([]byte{piece})
		}
		_ = writer.Close()
	}()
	n.WantLogin(n.Start(command).Answer(), q.Image, n.Machine.Owner)
}

// An answer that nobody gets is a failure.
func (s Suite[F]) lostAnswer(t *testing.T) {
	n := s.boot(t)
	reader, closed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer closed.Close()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for name, stdout := range map[string]*os.File{"reader gone": closed, "no room": full} {
		command := n.Own().Command(t.Context(), n.Plugin)
		var stderr bytes.Buffer
		command.Stdout, command.Stderr = stdout, &stderr
		if err := n.Cloud.Start(command); err != nil {
			t.Fatal(err)
		}
		if err := command.Wait(); err == nil {
			t.Errorf("%s: exit code 0", name)
		}
		if secret := Secret(stderr.String()); secret != "" {
			t.Errorf("%s: %q on stderr may be a secret", name, secret)
		}
	}
}

// A request is answered in its own version. Only the newest carries a pod's
// identity.
func (s Suite[F]) versions(t *testing.T) {
	n := s.boot(t)
	for _, version := range []string{"v1", "v1beta1", "v1alpha1"} {
		q := n.Own()
		q.APIVersion = "credentialprovider.kubelet.k8s.io/" + version
		n.WantLogin(n.Ask(q), q.Image, n.Machine.Owner)
		n.Ask(forImage(q, "registry.example.com/pause")).WantNothing(0, 0)
	}
	n.WantCalls(n.Machine.Calls)
	q := n.Own()
	q.APIVersion = "credentialprovider.kubelet.k8s.io/v2"
	n.Ask(q).WantFailure(1, q.APIVersion, "v1beta1")
	n.WantCalls()
}

// The kubelet looks a credential up by the host as the image writes it, so
// that, to the letter, is the answer's one key.
func (s Suite[F]) hosts(t *testing.T) {
	n := s.boot(t)
	registry := n.Registry(0)
	label, rest, _ := strings.Cut(registry, ".")
	for _, host := range []string{
		registry, registry + ":443", strings.ToUpper(label) + "." + rest, label + "." + strings.ToUpper(rest), strings.ToUpper(registry) + ":443",
	} {
		if s.Portless && strings.Contains(host, ":") || s.Literal && strings.ToLower(host) != host {
			n.Ask(n.Question(host+"/"+n.Repository)).WantNothing(0, 0)
			continue
		}
		t.Run(host, func(t *testing.T) {
			n := n.In(t)
			image := host + "/" + n.Repository
			n.WantLogin(n.Ask(n.Question(image)), image, n.Machine.Owner)
		})
	}
	n.WantCalls(n.Machine.Calls)
	for number := range 16 {
		image := n.Image(number)
		n.WantLogin(n.Ask(n.Question(image)), image, n.Machine.Owner)
	}
}

// Repositories may be called as registries are.
func (s Suite[F]) images(t *testing.T) {
	n := s.boot(t)
	registry := n.Registry(0)
	images := map[string]string{
		registry + "/evil.com/app":                     registry,
		registry + "/" + registry + "/app":             registry,
		registry + "/a/b/c/d:v1":                       registry,
		registry + ":443/app:v1":                       registry + ":443",
		"registry.example.com/" + registry + "/app":    "",
		"docker.io/" + registry + "/app":               "",
		"library/" + registry:                          "",
		"evil.com/" + n.LookAlike + "/" + n.Repository: "",
	}
	if s.Portless {
		images[registry+":443/app:v1"] = ""
	}
	for image, host := range s.Images {
		images[image] = host
	}
	for image, host := range images {
		t.Run(image, func(t *testing.T) {
			a := n.In(t).Ask(n.Question(image))
			if host == "" {
				a.WantNothing(0, 0)
				return
			}
			password, _ := a.WantLogin(host, n.Username)
			if whose, err := n.Whose(n.Image(0), n.Username, password); err != nil || whose != n.Machine.Owner {
				t.Errorf("the credential of %q, %v, want that of %s", whose, err, n.Machine.Owner)
			}
		})
	}
}

// Only the kubelet's matchImages stands between the vendors' plugins and these
// hosts: they get a live token. A pod's token goes to no one else's registry
// either, whatever its service account's annotations say.
func (s Suite[F]) foreign(t *testing.T) {
	settings := map[string]Question{"no settings": {}}
	for name, tempting := range s.Tempting {
		settings[name] = tempting
	}
	hosts := append([]string{
		"registry.k8s.io", "docker.io", "ghcr.io", "quay.io", "localhost:5000", "169.254.169.254", "nginx", "library/nginx",
	}, s.Foreign...)
	for name, tempting := range settings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := s.boot(t)
			pod := n.Pod(fake.Shop, n.Workload(fake.Shop))
			for _, host := range append([]string{n.LookAlike, "evil." + n.Registry(0), n.Registry(0) + ":5000", n.Registry(0) + ":80"}, hosts...) {
				t.Run(host, func(t *testing.T) {
					n := n.In(t)
					for _, q := range []Question{n.Question(host + "/app"), forImage(pod, host+"/app")} {
						q = With(q, tempting.Args...)
						q.Env = append(q.Env, tempting.Env...)
						n.Ask(q).WantNothing(0, 0)
					}
					n.WantCalls()
				})
			}
		})
	}
}

// What no container runtime can pull is no question for a cloud.
func (s Suite[F]) malformed(t *testing.T) {
	n := s.boot(t)
	registry := n.Registry(0)
	for _, image := range append([]string{
		registry + "./app", "-" + registry + "/app", "user@" + registry + "/app", registry + "@evil.com/app", "https://" + registry + "/app",
		registry + "%2eevil.com/app", registry + "/App", registry + "/", registry + ":/app", registry + ":99999999/app", "\u0430" + registry + "/app",
	}, s.Malformed...) {
		t.Run(image, func(t *testing.T) {
			n := n.In(t)
			n.Ask(n.Question(image)).WantFailure(1, "image reference")
			n.WantCalls()
		})
	}
}

// An answer may be there before the client is done with sending. It is an
// answer, and not a broken connection.
func (s Suite[F]) quickAnswers(t *testing.T) {
	n := s.boot(t)
	questions := []Question{n.Own("--cache-dir=")}
	if !s.NodeOnly {
		questions = append(questions, n.Pod(fake.Shop, n.Workload(fake.Shop), "--cache-dir="))
	}
	for i := range 25 {
		for _, q := range questions {
			if a := n.Ask(q); a.Exit != 0 {
				t.Fatalf("run %d: %s", i+1, a.Stderr)
			}
		}
	}
}
