package cache

import (
	"bytes"
	"encoding/json"
	"os"
	"sync"
	"time"
)

const (
	// beatInterval is the time between two signs of life.
	beatInterval = time.Second

	// maxSilence is how many times in a row the holder of a lock may be found
	// without a new sign. They are counted, and not timed: where the whole
	// machine stood still, everybody's signs are missing.
	maxSilence = 5

	// unkeptFor is how long it is believed that an entry cannot be kept.
	unkeptFor = 30 * time.Second

	// headSize is the part of an unfinished file that signs are written to.
	headSize = 256
)

// sign is what the holder of a lock says of itself in its unfinished file while
// it asks: that it is alive. Afterwards it may say that there is no entry to
// wait for.
type sign struct {
	PID    int    `json:"pid"`
	Beat   int    `json:"beat"`
	Unkept *stamp `json:"unkept,omitempty"`
}

func (s sign) write(file *os.File) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = file.WriteAt(append(data, make([]byte, max(0, headSize-len(data)))...), 0)
	return err
}

func parseSign(head []byte) (sign, bool) {
	var s sign
	err := json.Unmarshal(bytes.TrimRight(head, "\x00"), &s)
	return s, err == nil
}

// life shows that the holder of a lock is alive.
type life struct {
	beat    time.Duration
	running sync.WaitGroup
	ended   chan struct{}
}

// begin gives a sign now and with every beat, until the end.
func (l *life) begin(file *os.File) {
	s := sign{PID: os.Getpid()}
	_ = s.write(file)
	ended := make(chan struct{})
	l.ended = ended
	l.running.Go(func() {
		beat := time.NewTicker(l.beat)
		defer beat.Stop()
		for {
			select {
			case <-ended:
				return
			case <-beat.C:
				s.Beat++
				_ = s.write(file)
			}
		}
	})
}

// end returns when nothing more will be written.
func (l *life) end() {
	if l.ended != nil {
		close(l.ended)
		l.ended = nil
		l.running.Wait()
	}
}

// watch looks at the signs of life of the holder of a lock.
type watch struct {
	root *os.Root
	file string

	head []byte
	// unchanged is how many looks in a row found what the one before found.
	unchanged int
	// pid is the holder's, or zero if it was not told.
	pid int
}

func (w *watch) look() {
	head := readHead(w.root, w.file)
	// A file that is gone is no sign: whoever passes the holder over removes it.
	if head == nil || bytes.Equal(head, w.head) {
		w.unchanged++
		return
	}
	w.head, w.unchanged = head, 1
	if s, ok := parseSign(head); ok {
		w.pid = s.PID
	}
}

// readHead returns the head of an unfinished file, or nil if there is none to
// be trusted.
func readHead(root *os.Root, name string) []byte {
	file, err := root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || trustFile(info) != nil {
		return nil
	}
	head := make([]byte, headSize)
	n, _ := file.ReadAt(head, 0)
	return head[:n]
}

// giveUp says in place of the entry that it cannot be kept. Those who wait would
// otherwise find nothing and ask one after the other, each to fail to keep what
// it got.
func (s *slot) giveUp(now Instant) {
	s.abandon()
	file, err := create(s.root, unfinishedFile(s.name, s.rank))
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }()
	at := now.stamp()
	if err := (sign{PID: os.Getpid(), Unkept: &at}).write(file); err != nil {
		_ = s.root.Remove(unfinishedFile(s.name, s.rank))
	}
}

// unkept reports whether another process has just found that the entry cannot
// be kept.
func (s *slot) unkept(now Instant) bool {
	for rank := range s.rank + 1 {
		if found, ok := parseSign(readHead(s.root, unfinishedFile(s.name, rank))); ok && found.Unkept != nil && now.since(*found.Unkept) < unkeptFor {
			return true
		}
	}
	return false
}
