package kubelet_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"regcred/e2e/kubelet/wire"
)

// kubelet is a running lookup program: kubelet with one configuration.
type kubelet struct {
	t       *testing.T
	process *os.Process
	in      *json.Encoder
	out     *json.Decoder
	log     []string
}

// startKubelet starts kubelet with a configuration file, in a cluster that has
// the service accounts. The test fails when kubelet refuses the configuration.
func startKubelet(t *testing.T, config string, accounts ...wire.ServiceAccount) *kubelet {
	t.Helper()
	k := spawnKubelet(t)
	// The lookup program has a working directory of its own.
	config, err := filepath.Abs(config)
	if err != nil {
		t.Fatal(err)
	}
	var started wire.Started
	k.say(wire.Start{Config: config, BinDir: pluginDir, ServiceAccounts: accounts})
	k.hear(&started)
	if started.Error != "" {
		t.Fatalf("kubelet does not start with %s: %s", config, started.Error)
	}
	return k
}

// spawnKubelet runs the lookup program until the test ends. What a kubelet
// under systemd has in its environment is all it gets: no HOME, above all.
func spawnKubelet(t *testing.T) *kubelet {
	t.Helper()
	program := exec.Command(lookupProgram)
	program.Dir = "/"
	program.Env = []string{
		"LANG=C.UTF-8",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	}
	program.Stderr = os.Stderr
	stdin, err := program.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	k := &kubelet{t: t, process: program.Process, in: json.NewEncoder(stdin), out: json.NewDecoder(stdout)}
	t.Cleanup(func() {
		stdin.Close()
		if err := program.Wait(); err != nil {
			t.Errorf("the lookup program: %v", err)
		}
		if t.Failed() {
			t.Logf("kubelet's log:\n%s", strings.Join(k.log, ""))
		}
	})
	return k
}

// lookup makes all the lookups at once and returns when the last is answered.
func (k *kubelet) lookup(lookups ...wire.Lookup) wire.RoundDone {
	k.t.Helper()
	return k.begin(lookups...)()
}

// begin is lookup for a test that has something to do before it waits.
func (k *kubelet) begin(lookups ...wire.Lookup) (wait func() wire.RoundDone) {
	k.t.Helper()
	k.say(wire.Round{Lookups: lookups})
	return func() wire.RoundDone {
		k.t.Helper()
		var done wire.RoundDone
		k.hear(&done)
		k.log = append(k.log, done.Log...)
		for _, answer := range done.Answers {
			if answer.Error != "" {
				k.t.Fatal(answer.Error)
			}
		}
		return done
	}
}

func (k *kubelet) say(value any) {
	k.t.Helper()
	if err := k.in.Encode(value); err != nil {
		k.t.Fatalf("talk to the lookup program: %v", err)
	}
}

func (k *kubelet) hear(value any) {
	k.t.Helper()
	if err := k.out.Decode(value); err != nil {
		k.t.Fatalf("listen to the lookup program: %v", err)
	}
}

// pull looks the images up at once, each for a static pod.
func (k *kubelet) pull(images ...string) wire.RoundDone {
	k.t.Helper()
	return k.lookup(staticPods(images...)...)
}

// staticPods are lookups of the images, each for a pod that has no service
// account: the ones a node is told to run by a file of its own.
func staticPods(images ...string) []wire.Lookup {
	lookups := make([]wire.Lookup, len(images))
	for i, image := range images {
		lookups[i] = wire.Lookup{Image: image, Pod: wire.Pod{
			Namespace: "kube-system",
			Name:      fmt.Sprintf("static-%d", i),
			UID:       fmt.Sprintf("static-uid-%d", i),
		}}
	}
	return lookups
}

// failures are the entries of kubelet's log that say a plugin gave nothing.
func failures(done wire.RoundDone) []string {
	var found []string
	for _, entry := range done.Log {
		if strings.Contains(entry, "Failed to provide credentials for image") {
			found = append(found, entry)
		}
	}
	return found
}

// wantPrompt fails the test when an answer took so long that something must
// have been waited for in vain.
func wantPrompt(t *testing.T, done wire.RoundDone) {
	t.Helper()
	for i, answer := range done.Answers {
		if answer.Elapsed > 10*time.Second {
			t.Errorf("answer %d of %d took %s", i+1, len(done.Answers), answer.Elapsed)
		}
	}
}
