package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cost is what running a program took.
type cost struct {
	// wall is from before the program is started until it has exited.
	wall time.Duration
	// cpu is user and system time.
	cpu time.Duration
	// peak is the most memory it had, in bytes. It is measured by itself.
	peak int64
}

func (c cost) plus(other cost) cost {
	return cost{wall: c.wall + other.wall, cpu: c.cpu + other.cpu}
}

// median returns the median of each figure by itself.
func median(costs []cost) cost {
	middle := func(figure func(cost) time.Duration) time.Duration {
		var all []time.Duration
		for _, c := range costs {
			all = append(all, figure(c))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return cost{
		wall: middle(func(c cost) time.Duration { return c.wall }),
		cpu:  middle(func(c cost) time.Duration { return c.cpu }),
	}
}

// spend runs a program and measures it.
func spend(c *exec.Cmd) (cost, error) {
	var stderr bytes.Buffer
	c.Stdout, c.Stderr = new(bytes.Buffer), &stderr
	begin := time.Now()
	if err := c.Run(); err != nil {
		return cost{}, fmt.Errorf("%s: %w: %s", c.Path, err, stderr.String())
	}
	return cost{
		wall: time.Since(begin),
		cpu:  c.ProcessState.UserTime() + c.ProcessState.SystemTime(),
	}, nil
}

// peak runs a program into a pipe that is full, so that it stops at its last
// step, and reads what memory it has had until then. The kernel's own figure
// at exit would include the parent's.
func peak(c *exec.Cmd) (int64, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer func() { _ = reader.Close() }()
	if err := fill(writer); err != nil {
		return 0, err
	}
	c.Stdout = writer
	if err := c.Start(); err != nil {
		return 0, err
	}
	_ = writer.Close()
	time.Sleep(300 * time.Millisecond)
	high, err := highWater(c.Process.Pid)
	if err != nil {
		return 0, err
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = bufio.NewReader(reader).WriteTo(new(bytes.Buffer))
	}()
	err = c.Wait()
	<-drained
	return high, err
}

// fill writes to a pipe until it takes no more.
func fill(pipe *os.File) error {
	if err := pipe.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		return err
	}
	for {
		if _, err := pipe.Write(make([]byte, 4096)); err != nil {
			return pipe.SetWriteDeadline(time.Time{})
		}
	}
}

// highWater returns the most memory that a running process has had resident.
func highWater(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, fmt.Errorf("process %d has no VmHWM: it has ended", pid)
}
