package cache

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"regcred/shared/credential"
)

// maxLife bounds what is believed of a life.
const maxLife = credential.MaxLife

// entry is what is known of one key: a credential, a failure, or a credential
// that could not be refreshed.
type entry struct {
	Kind   kind           `json:"kind"`
	Key    credential.Key `json:"key"`
	Held   *held          `json:"held,omitempty"`
	Failed *failed        `json:"failed,omitempty"`
}

// held is an item with its times, as durations from the moment it was obtained
// so that they can be measured by either clock.
type held struct {
	Username   string        `json:"username,omitempty"`
	Value      string        `json:"value,omitempty"`
	PrivateKey string        `json:"privateKey,omitempty"`
	Caller     string        `json:"caller,omitempty"`
	At         stamp         `json:"at"`
	Life       time.Duration `json:"life"`
	Refresh    time.Duration `json:"refresh"`
}

// possible reports whether a release of this program can have written it.
func (h *held) possible(k kind) bool {
	named := h.Username != ""
	switch k {
	case credentials:
		if named != (h.Value != "") || h.PrivateKey != "" {
			return false
		}
	case tokens:
		if named || h.Value == "" {
			return false
		}
	default:
		return false
	}
	return h.Life > 0 && h.Life <= maxLife && h.Refresh >= 0 && h.Refresh <= h.Life
}

// nameOf returns the name of an entry: a hash over the format's version, the
// kind and the key's parts with their lengths, so that no two run together.
func nameOf(k kind, key credential.Key) string {
	text := make([]byte, 0, 512)
	add := func(part string) {
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	add(version)
	add(string(k))
	for _, part := range key {
		add(part)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// An entry's file is JSON, with a checksum over the entry as it stands there:
// damaged memory or a damaged disk must not change a password unseen.
const (
	sumHead  = `{"sha256":"`
	sumTail  = `","entry":`
	entryEnd = "}\n"
	sumSize  = 2 * sha256.Size
)

func encode(e entry) ([]byte, error) {
	body, err := json.Marshal(e)
	return frame(body), err
}

func frame(body []byte) []byte {
	sum := sha256.Sum256(body)
	return slices.Concat([]byte(sumHead), hex.AppendEncode(nil, sum[:]), []byte(sumTail), body, []byte(entryEnd))
}

// decode parses an entry. It trusts nothing: the result passes check or is not
// used.
func decode(data []byte) (entry, error) {
	const start = len(sumHead) + sumSize + len(sumTail)
	if len(data) < start+len(entryEnd) {
		return entry{}, errors.New("too short for an entry")
	}
	body := data[start : len(data)-len(entryEnd)]
	var stated [sha256.Size]byte
	if _, err := hex.Decode(stated[:], data[len(sumHead):len(sumHead)+sumSize]); err != nil || stated != sha256.Sum256(body) {
		return entry{}, errors.New("wrong checksum")
	}
	var e entry
	if err := json.Unmarshal(body, &e); err != nil {
		return entry{}, errors.New("not the JSON of an entry")
	}
	return e, nil
}

// check refuses an entry that is not this key's, or that no release of this
// program can have written.
func (e entry) check(k kind, key credential.Key) error {
	switch h, f := e.Held, e.Failed; {
	case e.Kind != k || !slices.Equal(e.Key, key):
		return errors.New("entry of another key")
	case h != nil && !h.possible(k):
		return errors.New("impossible " + string(k))
	case f != nil && (f.Retry < 0 || f.Retry > maxRetry || f.Count < 1):
		return errors.New("impossible failure")
	}
	return nil
}

// hold makes the stored form of an item, which is not kept past a limit, if
// there is one. The refresh point is taken from the life that is left, so where
// a cloud repeats a token until shortly before its end, each look halves the way
// to it.
func hold(i item, now Instant, limit time.Time, spread float64) *held {
	life := min(i.expires.Sub(now.Wall), maxLife)
	if !limit.IsZero() {
		life = min(life, max(limit.Sub(now.Wall), minLimit))
	}
	refresh := refreshPoint(life, spread)
	if !i.refresh.IsZero() {
		refresh = min(refresh, refreshBefore(i.refresh.Sub(now.Wall), spread))
	}
	return &held{
		Username:   i.username,
		Value:      i.value.Reveal(),
		PrivateKey: i.privateKey.Reveal(),
		Caller:     i.caller,
		At:         now.stamp(),
		Life:       life,
		Refresh:    refresh,
	}
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

// renewable reports whether a credential that can be served is to be asked for
// again, as it was refused: it is that one, it is not new, and no attempt has
// just failed.
func (e entry) renewable(refused string, now Instant) bool {
	return e.Held.Value == refused && now.since(e.Held.At) >= justNew &&
		(e.Failed == nil || now.since(e.Failed.At) >= justNew)
}

// end returns when nothing in the entry is of use any more.
func (e entry) end(now Instant) time.Time {
	var left time.Duration
	if e.Held != nil {
		left = e.usableFor(now)
	}
	if e.Failed != nil {
		left = max(left, e.Failed.Retry+keepFailure-now.since(e.Failed.At))
	}
	return now.Wall.Add(left)
}

// item returns what the entry holds in terms of the wall clock now. If the
// clock was set back, the times are nearer than those the cloud stated.
func (e entry) item(now Instant) item {
	age := now.since(e.Held.At)
	return item{
		username:   e.Held.Username,
		value:      credential.NewSecret(e.Held.Value),
		privateKey: credential.NewSecret(e.Held.PrivateKey),
		expires:    now.Wall.Add(e.Held.Life - age),
		refresh:    now.Wall.Add(e.Held.Refresh - age),
		caller:     e.Held.Caller,
	}
}
