package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/json"

	"regcred/shared/credential"
	"regcred/shared/redact"
)

// formatVersion is that of the entry's JSON. Another version is a miss, so
// plugins of different releases can share a folder.
const formatVersion = 1

// entry is what is known of one key: a credential, a failure, or a credential
// that could not be refreshed.
type entry struct {
	Version int            `json:"version"`
	Key     credential.Key `json:"key"`
	Held    *held          `json:"held,omitempty"`
	Failed  *failed        `json:"failed,omitempty"`
}

// held is a credential with its times, as durations from the moment it was
// obtained so that they can be measured by either clock.
type held struct {
	Username string        `json:"username"`
	Password string        `json:"password"`
	At       stamp         `json:"at"`
	Life     time.Duration `json:"life"`
	Refresh  time.Duration `json:"refresh"`
}

// failed is the last failure since the last success.
type failed struct {
	Message   string        `json:"message"`
	Permanent bool          `json:"permanent,omitempty"`
	Count     int           `json:"count"`
	At        stamp         `json:"at"`
	Retry     time.Duration `json:"retry"`
}

// nameOf returns the file name of a key, without extension: a hash over the
// parts with their lengths, so that no two keys run together.
func nameOf(key credential.Key) string {
	h := sha256.New()
	for _, part := range key {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// decode parses an entry. It trusts nothing: the result passes check or is not
// used.
func decode(data []byte) (entry, error) {
	var e entry
	if err := json.UnmarshalCaseSensitivePreserveInts(data, &e); err != nil {
		return entry{}, errors.New("is not an entry's JSON")
	}
	return e, nil
}

// check refuses an entry that is not this key's, or that no release of this
// program can have written.
func (e entry) check(key credential.Key) error {
	switch h, f := e.Held, e.Failed; {
	case e.Version != formatVersion:
		return fmt.Errorf("is of version %d, not %d", e.Version, formatVersion)
	case !slices.Equal(e.Key, key):
		return errors.New("is for another key")
	case h != nil && ((h.Username == "") != (h.Password == "") || h.Life <= 0 || h.Refresh < 0 || h.Refresh > h.Life):
		return errors.New("holds an impossible credential")
	case f != nil && (f.Retry < 0 || f.Retry > maxRetry || f.Count < 1):
		return errors.New("holds an impossible failure")
	}
	return nil
}

// hold makes the stored form of a credential. The refresh point is taken from
// the life that is left, so where a cloud repeats a token until shortly before
// its end, each look halves the way to it.
func hold(c credential.Credential, now Instant, spread float64) *held {
	life := c.Expires.Sub(now.Wall)
	refresh := refreshPoint(life, spread)
	if !c.Refresh.IsZero() {
		refresh = min(refresh, refreshBefore(c.Refresh.Sub(now.Wall), spread))
	}
	return &held{
		Username: c.Username,
		Password: c.Password.Reveal(),
		At:       now.stamp(),
		Life:     life,
		Refresh:  refresh,
	}
}

// record makes the stored form of a failure that follows an earlier one, or
// none.
func record(err error, earlier *failed, now Instant) *failed {
	var told *retold
	if errors.As(err, &told) {
		// Of a token on the way. It is as old as it was there.
		f := told.failed
		f.Message = redact.Line(strings.Replace(err.Error(), told.Error(), f.Message, 1))
		return &f
	}
	f := &failed{Message: redact.Line(err.Error()), Count: 1, At: now.stamp()}
	if earlier != nil {
		f.Count = min(earlier.Count, maxCount) + 1
	}
	var failure *credential.Failure
	if !errors.As(err, &failure) {
		failure = &credential.Failure{}
	}
	f.Permanent = failure.Permanent
	f.Retry = retryPoint(failure, f.Count)
	return f
}

// fresh reports whether the credential can be served without a thought.
func (e entry) fresh(now Instant) bool {
	return e.Held != nil && now.since(e.Held.At) < min(e.Held.Refresh, usableFor(e.Held.Life))
}

// usable reports whether the credential can be served at all.
func (e entry) usable(now Instant) bool {
	return e.Held != nil && now.since(e.Held.At) < usableFor(e.Held.Life)
}

// usableFor returns for how much longer the credential can be served.
func (e entry) usableFor(now Instant) time.Duration {
	if !e.usable(now) {
		return 0
	}
	return usableFor(e.Held.Life) - now.since(e.Held.At)
}

// failed reports whether the last failure is so recent that trying again is
// not due.
func (e entry) failed(now Instant) bool {
	return e.Failed != nil && now.since(e.Failed.At) < e.Failed.Retry
}

// renewable reports whether a credential that can be served is to be asked for
// anew, as it was refused: it is that one, it is not new, and no attempt has just
// failed.
func (e entry) renewable(refused string, now Instant) bool {
	return e.Held.Password == refused && now.since(e.Held.At) >= justNew &&
		(e.Failed == nil || now.since(e.Failed.At) >= justNew)
}

// stale reports whether nothing in the entry is worth keeping.
func (e entry) stale(now Instant) bool {
	return !e.usable(now) && (e.Failed == nil || now.since(e.Failed.At) > e.Failed.Retry+keepFailure)
}

// credential returns what the entry holds in terms of the wall clock now. If
// the clock was set back, the times are nearer than those the cloud stated.
func (e entry) credential(now Instant) credential.Credential {
	age := now.since(e.Held.At)
	return credential.Credential{
		Username: e.Held.Username,
		Password: credential.NewSecret(e.Held.Password),
		Expires:  now.Wall.Add(e.Held.Life - age),
		Refresh:  now.Wall.Add(e.Held.Refresh - age),
	}
}

// failure returns the recorded failure as an error that says so.
func (e entry) failure(now Instant) error {
	age := now.since(e.Failed.At)
	left := e.Failed.Retry - age
	return &retold{*e.Failed, credential.Failure{
		Err: fmt.Errorf("%s (happened %s ago to another process; next attempt in %s)",
			redact.Line(e.Failed.Message), age.Round(100*time.Millisecond), left.Round(100*time.Millisecond)),
		Permanent:  e.Failed.Permanent,
		RetryAfter: left,
	}}
}

// retold is the error of a failure that was recorded earlier.
type retold struct {
	failed  failed
	failure credential.Failure
}

func (r *retold) Error() string { return r.failure.Error() }

func (r *retold) Unwrap() error { return &r.failure }
