// Package library_test holds shared/kubelet to the kubelet's own code: the same
// verdict on configurations and answers, and the same order of credentials, for
// thousands of them that are made up. What is made up is the same each time.
package library_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"testing"

	"k8s.io/klog/v2"
)

// The kubelet logs every configuration and entry that it refuses.
func TestMain(m *testing.M) {
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{"logtostderr": "false", "stderrthreshold": "FATAL"} {
		if err := flags.Set(name, value); err != nil {
			panic(err)
		}
	}
	klog.SetOutput(discard{})
	os.Exit(m.Run())
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// maker makes things up.
type maker struct{ *rand.Rand }

func newMaker(seed uint64) maker { return maker{rand.New(rand.NewPCG(seed, 0))} }

// one returns one of some things.
func one[T any](m maker, things ...T) T { return things[m.IntN(len(things))] }

// odds is true once in n times.
func (m maker) odds(n int) bool { return m.IntN(n) == 0 }

// usually returns the first thing, and once in n times one of the others.
func usually[T any](m maker, n int, first T, others ...T) T {
	if len(others) > 0 && m.odds(n) {
		return one(m, others...)
	}
	return first
}

// scaled is n, or a part of it in a short run.
func scaled(n int) int {
	if testing.Short() {
		return n / 20
	}
	return n
}
