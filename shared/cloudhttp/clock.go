package cloudhttp

import "time"

// ByOwnClock translates a time that a server stated into the clock of this
// machine, where the two are apart: a node that is behind would use a token
// past its end. Server and own are what either clock showed at the answer.
func ByOwnClock(t, server, own time.Time) time.Time {
	// The server's clock is told in whole seconds and after a way.
	if skew := server.Sub(own); skew.Abs() > time.Minute {
		return t.Add(-skew)
	}
	return t
}
