//go:build !windows

package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"regcred/shared/credential"
)

// testBeat makes the tests' processes less patient than others are.
const testBeat = 200 * time.Millisecond

// asker is a process that asks the cache, and its cloud, for a credential.
type asker struct {
	Dir    string
	Calls  string        // file that each call of the cloud is noted in
	Takes  time.Duration // that a call takes
	Fails  bool          // how it ends
	Budget time.Duration
}

// answered is what an asker says in the end.
type answered struct {
	Token, Err string
	Hit        bool
}

const askerVariable = "REGCRED_TEST_ASKER"

// TestAsker is what runs in the processes of the tests below.
func TestAsker(t *testing.T) {
	var a asker
	if json.Unmarshal([]byte(os.Getenv(askerVariable)), &a) != nil {
		t.Skip("is for other tests")
	}
	cache := New(Options{Dir: a.Dir})
	cache.store.beat = testBeat
	ctx, cancel := context.WithTimeout(t.Context(), a.Budget)
	defer cancel()
	got, err := cache.Get(ctx, &fakeCloud{key: credential.Key{"k"}, fetch: func(int) (credential.Credential, error) {
		calls, err := os.OpenFile(a.Calls, os.O_WRONLY|os.O_APPEND, 0)
		must(t, err)
		_, err = fmt.Fprintln(calls, os.Getpid())
		must(t, err)
		time.Sleep(a.Takes)
		if a.Fails {
			return credential.Credential{}, errors.New("no answer")
		}
		return credential.Credential{Username: "user", Password: credential.NewSecret(strconv.Itoa(os.Getpid())), Expires: time.Now().Add(time.Hour)}, nil
	}})
	result := answered{Token: got.Password.Reveal(), Hit: got.Hit}
	if err != nil {
		result.Err = err.Error()
	}
	must(t, json.NewEncoder(os.NewFile(3, "result")).Encode(result))
}

// storm is the processes of one test.
type storm struct {
	t          *testing.T
	dir, calls string
}

func newStorm(t *testing.T) *storm {
	t.Parallel()
	s := &storm{t: t, dir: filepath.Join(t.TempDir(), "cache"), calls: filepath.Join(t.TempDir(), "calls")}
	must(t, os.WriteFile(s.calls, nil, 0o600))
	return s
}

// process is a running asker.
type process struct {
	s    *storm
	cmd  *exec.Cmd
	out  bytes.Buffer
	read chan error
}

func (s *storm) start(a asker) *process {
	s.t.Helper()
	a.Dir, a.Calls = s.dir, s.calls
	if a.Budget == 0 {
		a.Budget = 30 * time.Second
	}
	setting, err := json.Marshal(a)
	must(s.t, err)
	p := &process{s: s, cmd: exec.Command(os.Args[0], "-test.run=^TestAsker$")}
	p.cmd.Env = append(os.Environ(), askerVariable+"="+string(setting))
	reader, writer, err := os.Pipe()
	must(s.t, err)
	p.cmd.ExtraFiles = []*os.File{writer}
	p.cmd.Stdout, p.cmd.Stderr = os.Stderr, os.Stderr
	must(s.t, p.cmd.Start())
	_ = writer.Close()
	p.read = make(chan error)
	go func() {
		_, err := p.out.ReadFrom(reader)
		_ = reader.Close()
		p.read <- err
		close(p.read)
	}()
	s.t.Cleanup(func() { _ = p.cmd.Process.Kill(); _ = p.cmd.Wait(); <-p.read })
	return p
}

// starts starts some processes of one kind.
func (s *storm) starts(count int, a asker) []*process {
	all := make([]*process, count)
	for i := range all {
		all[i] = s.start(a)
	}
	return all
}

// stop stops a process that asks the cloud, in the middle of it.
func (s *storm) stop(p *process) {
	s.t.Helper()
	s.await(p)
	must(s.t, p.cmd.Process.Signal(syscall.SIGSTOP))
}

// await waits until a process asks the cloud.
func (s *storm) await(p *process) {
	s.t.Helper()
	for range 1000 {
		if slices.Contains(s.asked(), strconv.Itoa(p.cmd.Process.Pid)) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	s.t.Fatal("the process does not ask")
}

// asked returns which processes have asked the cloud, in turn.
func (s *storm) asked() []string {
	data, err := os.ReadFile(s.calls)
	must(s.t, err)
	return strings.Fields(string(data))
}

func (s *storm) wantAsked(want int) []string {
	s.t.Helper()
	asked := s.asked()
	if len(asked) != want {
		s.t.Errorf("the cloud was asked by %v, want %d processes", asked, want)
	}
	return asked
}

// answer waits for a process to end and returns what it says.
func (p *process) answer() answered {
	p.s.t.Helper()
	if err := p.cmd.Wait(); err != nil {
		p.s.t.Fatalf("process failed: %v", err)
	}
	must(p.s.t, <-p.read)
	var a answered
	must(p.s.t, json.Unmarshal(p.out.Bytes(), &a))
	return a
}

func TestAStoppedHolderIsStoodInForByOne(t *testing.T) {
	s := newStorm(t)
	holder := s.start(asker{Takes: 500 * time.Millisecond})
	s.stop(holder)
	begin := time.Now()
	followers := s.starts(10, asker{Takes: 500 * time.Millisecond})
	for _, follower := range followers {
		if got := follower.answer(); got.Err != "" || got.Token == strconv.Itoa(holder.cmd.Process.Pid) {
			t.Errorf("got %+v", got)
		}
	}
	if took := time.Since(begin); took > (maxSilence+10)*testBeat+5*time.Second {
		t.Errorf("took %s", took)
	}
	asked := s.wantAsked(2)

	// When it goes on, it has an answer, which is not the cache's.
	must(t, holder.cmd.Process.Signal(syscall.SIGCONT))
	if got := holder.answer(); got.Err != "" || got.Token != asked[0] {
		t.Errorf("who was stopped got %+v", got)
	}
	if got := s.start(asker{}).answer(); got.Token != asked[1] || !got.Hit {
		t.Errorf("afterwards the cache has %+v, want the answer of %s", got, asked[1])
	}
	s.wantAsked(2)
}

func TestAStoppedHolderThatFailsHasTheOthersAnswer(t *testing.T) {
	s := newStorm(t)
	holder := s.start(asker{Takes: 500 * time.Millisecond, Fails: true})
	s.stop(holder)
	good := s.start(asker{}).answer()
	must(t, holder.cmd.Process.Signal(syscall.SIGCONT))
	if got := holder.answer(); good.Err != "" || got.Token != good.Token {
		t.Errorf("who was stopped got %+v, the other %+v", got, good)
	}
	if got := s.start(asker{}).answer(); got.Token != good.Token || !got.Hit {
		t.Errorf("afterwards the cache has %+v", got)
	}
}

// While somebody stands in for it, it may go on and end. Those who come then
// wait for the one that is still asking.
func TestAHolderThatGoesOnLeavesOneAsking(t *testing.T) {
	s := newStorm(t)
	holder := s.start(asker{Takes: 500 * time.Millisecond, Fails: true})
	s.stop(holder)
	second := s.start(asker{Takes: 4 * time.Second})
	s.await(second)
	must(t, holder.cmd.Process.Signal(syscall.SIGCONT))
	if got := holder.answer(); got.Err != "no answer" {
		t.Errorf("who was stopped got %+v", got)
	}
	if got, want := s.start(asker{}).answer(), second.answer(); got.Token != want.Token || want.Err != "" {
		t.Errorf("got %+v, want %+v", got, want)
	}
	s.wantAsked(2)
}

func TestWhoStandsInMayBeStoppedToo(t *testing.T) {
	s := newStorm(t)
	for range ranks - 1 {
		s.stop(s.start(asker{Takes: time.Minute}))
	}
	for _, follower := range s.starts(3, asker{Takes: 500 * time.Millisecond}) {
		if got := follower.answer(); got.Err != "" {
			t.Errorf("got %+v", got)
		}
	}
	s.wantAsked(ranks)
}

// With all places taken, everybody asks without the cache.
func TestNobodyWaitsForManyThatAreStopped(t *testing.T) {
	s := newStorm(t)
	for range ranks {
		s.stop(s.start(asker{Takes: time.Minute}))
	}
	if got := s.start(asker{}).answer(); got.Err != "" || got.Hit {
		t.Errorf("got %+v", got)
	}
}

func TestASlowHolderIsWaitedFor(t *testing.T) {
	s := newStorm(t)
	const slow = 3 * maxSilence * testBeat
	holder := s.start(asker{Takes: slow})
	s.await(holder)
	followers := s.starts(5, asker{})
	want := holder.answer()
	for _, follower := range followers {
		if got := follower.answer(); got.Token != want.Token || !got.Hit {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	s.wantAsked(1)
}

func TestAWaitThatFailsNamesTheHolder(t *testing.T) {
	s := newStorm(t)
	holder := s.start(asker{Takes: time.Minute})
	s.await(holder)
	got := s.start(asker{Budget: 500 * time.Millisecond}).answer()
	want := fmt.Sprintf("waiting for process %d, which asks for the same credential: context deadline exceeded", holder.cmd.Process.Pid)
	if got.Err != want {
		t.Errorf("got %q, want %q", got.Err, want)
	}
}

func TestAKilledHolderIsFollowedAtOnce(t *testing.T) {
	s := newStorm(t)
	holder := s.start(asker{Takes: time.Minute})
	s.await(holder)
	followers := s.starts(5, asker{})
	time.Sleep(testBeat)
	must(t, holder.cmd.Process.Kill())
	for _, follower := range followers {
		if got := follower.answer(); got.Err != "" {
			t.Errorf("got %+v", got)
		}
	}
	s.wantAsked(2)
}
