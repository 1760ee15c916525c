package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"os"
	"time"

	"regcred/shared/credential"
)

const (
	// firstRetry doubles with every failure in a row up to lastRetry.
	firstRetry = time.Second
	lastRetry  = 30 * time.Second

	// permanentRetry is how long a refusal is believed. Rights that were just
	// granted take effect within seconds; a burst makes one attempt.
	permanentRetry = 5 * time.Second

	// maxRetry bounds what a cloud can ask for with Retry-After.
	maxRetry = 5 * time.Minute

	// justNew is the age up to which a credential that was refused is not
	// asked for again: another one would be refused as well.
	justNew = time.Minute

	// maxCount keeps the doubling from running over.
	maxCount = 16

	// maxTook bounds for how long a failure is remembered because it took long.
	maxTook = 2 * time.Minute

	// keepFailure is how long a failure is remembered past its retry point,
	// for the doubling.
	keepFailure = 10 * time.Minute

	// minLimit is how long an answer is kept in any case, whatever Options.Until
	// says: the cloud gave it, and its clock may be right where this one is not.
	minLimit = time.Minute

	// margin is the part of a credential's life that is not served: a pull
	// that was just handed it has to get as far as logging in.
	margin = time.Minute
)

// usableFor returns how long a credential of the given life is served. The
// margin of a short-lived one is a tenth of its life: near-expiry tokens are
// used, not refused.
func usableFor(life time.Duration) time.Duration { return life - min(margin, life/10) }

// refreshPoint returns when to ask again: after 40 % to 60 % of the life.
func refreshPoint(life time.Duration, spread float64) time.Duration {
	return time.Duration(float64(life) * (0.4 + 0.2*spread))
}

// refreshBefore returns when to ask again where the source wants it no later
// than a limit: in the last fifth before it.
func refreshBefore(limit time.Duration, spread float64) time.Duration {
	return time.Duration(float64(max(0, limit)) * (0.8 + 0.2*spread))
}

// spread returns a number in [0, 1) that is stable for a node and an entry, so
// that the nodes of a fleet refresh at different times.
func spread(node, name string) float64 {
	if node == "" {
		node, _ = os.Hostname()
	}
	sum := sha256.Sum256([]byte(node + "\x00" + name))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}

// retryPoint returns how long after its count-th failure in a row a cloud is
// left alone. A failure that was long in coming is remembered for as long: the
// kubelet pulls one image after the other, and each would wait again.
func retryPoint(f *credential.Failure, count int, took time.Duration) time.Duration {
	wait := min(firstRetry<<(min(count, maxCount)-1), lastRetry)
	if f.Permanent {
		wait = permanentRetry
	}
	return max(wait, min(took, maxTook), min(f.RetryAfter, maxRetry))
}
