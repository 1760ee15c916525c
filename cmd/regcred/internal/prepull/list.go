package prepull

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"regcred/cmd/regcred/internal/term"
	"regcred/shared/kubelet"
)

// Want is an image to pull.
type Want struct {
	// Image is the name as pods write it. The runtime has an image under the
	// names that it was pulled by: x:v1 and x:v1@sha256:… are two.
	Image string

	// Digest is the manifest's that it has to have, as sha256:…. Empty is any.
	Digest string
}

// maxWants bounds a list: more images than any node can have.
const maxWants = 10000

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// ParseList reads a list of images: one a line, with the digest that it has to
// have after a blank where that matters, and comments from a #; or a lock file.
func ParseList(text []byte) ([]Want, error) {
	if trimmed := bytes.TrimSpace(text); bytes.HasPrefix(trimmed, []byte("{")) {
		lock, err := parseLock(trimmed)
		if err != nil {
			return nil, err
		}
		return lock.wants()
	}
	var wants []Want
	number := 0
	for line := range bytes.Lines(text) {
		number++
		content, _, _ := strings.Cut(string(line), "#")
		var want Want
		switch fields := strings.Fields(content); len(fields) {
		case 0:
			continue
		case 1:
			want = Want{Image: fields[0]}
		case 2:
			want = Want{Image: fields[0], Digest: fields[1]}
		default:
			return nil, fmt.Errorf("line %d: want an image, or an image and its digest", number)
		}
		if err := want.check(); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		wants = append(wants, want)
	}
	return wants, nil
}

func (w Want) check() error {
	if _, err := kubelet.ImageName(w.Image); err != nil {
		return err
	}
	if w.Digest != "" && !digestForm.MatchString(w.Digest) {
		return fmt.Errorf("image %s: digest %.100q: want sha256: and 64 hexadecimal digits", w.Image, w.Digest)
	}
	return nil
}

// Unique returns wants without those that are there before. One image with two
// digests is an error, as it cannot have both.
func Unique(wants []Want) ([]Want, error) {
	if len(wants) > maxWants {
		return nil, fmt.Errorf("%d images: at most %d at a time", len(wants), maxWants)
	}
	at := map[string]int{}
	var unique []Want
	for _, want := range wants {
		if err := want.check(); err != nil {
			return nil, err
		}
		i, seen := at[want.Image]
		switch {
		case !seen:
			at[want.Image] = len(unique)
			unique = append(unique, want)
		case unique[i].Digest == "":
			unique[i].Digest = want.Digest
		case want.Digest != "" && want.Digest != unique[i].Digest:
			return nil, fmt.Errorf("image %s: two digests, %s and %s", want.Image, unique[i].Digest, want.Digest)
		}
	}
	return unique, nil
}

// Lock is what was pulled, for the next node to get the same.
type Lock struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Images     []Locked `json:"images"`
}

// Locked is an image that was pulled.
type Locked struct {
	Image  string `json:"image"`
	Digest string `json:"digest,omitempty"` // empty if the runtime does not tell
	ID     string `json:"id,omitempty"`
	Size   uint64 `json:"size,omitempty"` // bytes
}

const (
	lockVersion = "regcred/v1"
	lockKind    = "PrepullLock"
)

func parseLock(text []byte) (Lock, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	var lock Lock
	if err := decoder.Decode(&lock); err != nil {
		return Lock{}, fmt.Errorf("lock file: %w", err)
	}
	if lock.APIVersion != lockVersion || lock.Kind != lockKind {
		return Lock{}, fmt.Errorf("lock file: %.40q %.40q, want %s %s", lock.APIVersion, lock.Kind, lockVersion, lockKind)
	}
	if decoder.More() {
		return Lock{}, errors.New("lock file: something follows it")
	}
	return lock, nil
}

func (l Lock) wants() ([]Want, error) {
	wants := make([]Want, 0, len(l.Images))
	for i, locked := range l.Images {
		want := Want{Image: locked.Image, Digest: locked.Digest}
		if err := want.check(); err != nil {
			return nil, fmt.Errorf("lock file: images[%d]: %w", i, err)
		}
		wants = append(wants, want)
	}
	return wants, nil
}

// NewLock returns the lock of results, in their order.
func NewLock(results []Result) Lock {
	lock := Lock{APIVersion: lockVersion, Kind: lockKind, Images: []Locked{}}
	for _, r := range results {
		if r.Err == nil && r.State != "" {
			lock.Images = append(lock.Images, Locked{Image: r.Want.Image, Digest: r.Digest, ID: r.ID, Size: r.Size})
		}
	}
	return lock
}

// Encode returns the lock as it is written.
func (l Lock) Encode() []byte {
	text, _ := term.JSON(l) // strings and numbers always encode
	return text
}
