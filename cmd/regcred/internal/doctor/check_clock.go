package doctor

import (
	"fmt"
	"time"
)

const (
	// clockOff is what an answer may take, and a clock be off without harm.
	clockOff = 30 * time.Second

	// clockWrong is what clouds accept of a signature: Oracle 5 minutes, and AWS
	// 5 to 15.
	clockWrong = 5 * time.Minute
)

func checkClock(s *subject, r *recorder) {
	const fix = "timedatectl set-ntp true   # or start chronyd; then look at: timedatectl timesync-status, chronyc tracking"
	synchronised, err := s.System.Synchronised()
	switch {
	case err != nil:
		r.skip("", "whether something keeps the clock right cannot be asked: "+err.Error())
	case synchronised:
		r.ok("", "the kernel's clock is kept right")
	default:
		r.find("clock-unsynchronised", "", "nothing keeps the clock right: the kernel was not told that it is synchronised", fix)
	}
	compared := false
	compare := func(with string, skew time.Duration, took time.Duration) {
		compared = true
		direction := "behind"
		if skew < 0 {
			direction = "ahead of"
		}
		off, unit := skew.Abs(), time.Second
		if off > 2*time.Minute {
			unit = time.Minute // Servers tell whole seconds.
		}
		shown := off.Round(unit)
		evidence := fmt.Sprintf("the clock is %s %s %s, whose answer took %s", shown, direction, with, took.Round(time.Millisecond))
		switch {
		case off-took > clockWrong:
			r.find("clock-wrong", "", fmt.Sprintf("the clock is %s %s that of %s", shown, direction, with), fix, evidence)
		case off-took > clockOff:
			r.find("clock-off", "", fmt.Sprintf("the clock is %s %s that of %s", shown, direction, with), fix, evidence)
		default:
			r.ok("", "the clock agrees with that of "+with)
		}
	}
	seen := map[string]bool{}
	for _, a := range s.attempts() {
		for _, asked := range a.report.Asked {
			if skew, ok := asked.Skew(); ok && !seen[asked.Host] {
				seen[asked.Host] = true
				compare(asked.Host, skew, time.Duration(asked.Took*float64(time.Second)))
			}
		}
	}
	if date, received, took, err := s.apiTime(); err == nil {
		compare("the API server", date.Sub(received), took)
	} else if !compared {
		r.skip("", "there is no other clock to compare with: no cloud has answered, and "+err.Error())
	}
}

// apiTime asks the API server what time it is there.
func (s *subject) apiTime() (date, received time.Time, took time.Duration, err error) {
	api := s.api()
	if api.err != nil {
		return date, received, 0, api.err
	}
	begin := time.Now()
	reply, err := api.Get(s.ctx, "get the API server's version", "/version")
	took = time.Since(begin)
	if date = dateOf(reply.Header); !date.IsZero() {
		return date, reply.Received, took, nil
	}
	if err == nil {
		err = fmt.Errorf("the API server does not say what time it is")
	}
	return date, received, took, err
}
