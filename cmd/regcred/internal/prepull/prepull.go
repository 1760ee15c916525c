// Package prepull pulls images before pods need them, as the kubelet would:
// under the names that pods write, with the credentials that the kubelet has,
// by the kubelet's pull policy.
package prepull

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"regcred/cmd/regcred/internal/cri"
	"regcred/shared/kubelet"
	"regcred/shared/kubelet/pulls"
)

// Policy is a pod's imagePullPolicy.
type Policy string

// The policies. Default is what the API server gives a container without one:
// Always for the tag latest, and IfNotPresent for all others.
const (
	Default      Policy = ""
	Always       Policy = "Always"
	IfNotPresent Policy = "IfNotPresent"
	Never        Policy = "Never"
)

// Runtime is the container runtime, as far as it is needed.
type Runtime interface {
	Image(ctx context.Context, name string) (*cri.Image, error)
	Pull(ctx context.Context, name string, login *kubelet.Auth) error
}

// Puller pulls images.
type Puller struct {
	Runtime Runtime

	// Logins returns what the node has for an image, in the kubelet's order,
	// and what went wrong on the way. None means that it is pulled as anybody.
	Logins func(ctx context.Context, image string) ([]kubelet.Candidate, []error)

	Policy Policy

	// Jobs is how many are pulled at a time, at least 1.
	Jobs int

	// Retries is how often a pull is tried again that may go better then.
	Retries int

	// Timeout is for one try of one image. Zero sets no end.
	Timeout time.Duration

	// Report is told of whatever happens, by one at a time.
	Report func(Event)

	// Verdict says which pods may use an image that is here, by its name as a pod
	// writes it and its ID. Nil says nothing.
	Verdict func(image, id string) pulls.Verdict
}

// State is how an image came to be here.
type State string

// The states. An image that failed has none.
const (
	Pulled  State = "pulled"
	Present State = "present"
)

// Result is what became of an image.
type Result struct {
	Want Want

	State State

	// ID is the runtime's, Digest the manifest's and Size in bytes, as far as
	// the runtime knows them.
	ID, Digest string
	Size       uint64

	// Origin is where the credential came from that the registry took. The zero
	// Origin is none.
	Origin kubelet.Origin

	// Use is which pods may use it. Nil if that is not known.
	Use *pulls.Verdict

	// Tries is how often it was tried, and Took how long that took in all.
	Tries int
	Took  time.Duration

	// Err is why it is not here, or not as it should be.
	Err error
}

// Name is what the kubelet calls the image to the runtime.
func (r Result) Name() string { return kubelet.WithTag(r.Want.Image) }

// Event is something that happened to an image.
type Event struct {
	Want Want

	// Result is what became of it. Nil means that it begins, or that it will be
	// tried again.
	Result *Result

	// Failed is why it is tried again, after Wait. Nil means that it begins.
	Failed error
	Wait   time.Duration
}

// Pull pulls all that is wanted, and returns what became of each, in the same
// order. One that fails does not stop the others; the end of the context does.
func (p Puller) Pull(ctx context.Context, wants []Want) []Result {
	results := make([]Result, len(wants))
	var reporting sync.Mutex
	report := func(e Event) {
		reporting.Lock()
		defer reporting.Unlock()
		p.Report(e)
	}
	next := make(chan int)
	var workers sync.WaitGroup
	for range max(1, p.Jobs) {
		workers.Go(func() {
			for i := range next {
				report(Event{Want: wants[i]})
				results[i] = p.pull(ctx, wants[i], report)
				report(Event{Want: wants[i], Result: &results[i]})
			}
		})
	}
	for i := range wants {
		select {
		case next <- i:
		case <-ctx.Done():
			results[i] = Result{Want: wants[i], Err: context.Cause(ctx)}
		}
	}
	close(next)
	workers.Wait()
	return results
}

// pull pulls one image, as often as it takes.
func (p Puller) pull(ctx context.Context, want Want, report func(Event)) Result {
	began := time.Now()
	r := Result{Want: want}
	for {
		r.Tries++
		r.Err = p.try(ctx, &r)
		if r.Err == nil && p.Verdict != nil {
			use := p.Verdict(want.Image, r.ID)
			r.Use = &use
		}
		if r.Err == nil || r.Tries > p.Retries || !retryable(r.Err) || ctx.Err() != nil {
			r.Took = time.Since(began)
			return r
		}
		wait := pause(r.Tries)
		report(Event{Want: want, Failed: r.Err, Wait: wait})
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// pause is how long to wait after a number of tries: 2 s, doubling up to 30,
// and up to half as much again, so that not all images are tried at once.
func pause(tries int) time.Duration {
	wait := min(30*time.Second, time.Second<<min(tries, 5))
	return wait + rand.N(wait/2)
}

// try pulls an image once, or finds it there.
func (p Puller) try(ctx context.Context, r *Result) error {
	if p.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, p.Timeout, fmt.Errorf("not pulled within %v", p.Timeout))
		defer cancel()
	}
	name := kubelet.WithTag(r.Want.Image)
	image, err := p.Runtime.Image(ctx, name)
	if err != nil {
		return err
	}
	policy := p.policyOf(name)
	if image != nil && policy != Always && r.Want.verify(image) == nil {
		r.State = Present
		r.describe(image)
		return nil
	}
	if policy == Never {
		if image != nil {
			return r.Want.verify(image)
		}
		return errors.New("not here, and the policy is Never")
	}
	if err := p.login(ctx, name, r); err != nil {
		return err
	}
	if image, err = p.Runtime.Image(ctx, name); err != nil {
		return err
	}
	if image == nil {
		return errors.New("the runtime pulled it, and does not have it under that name")
	}
	r.describe(image)
	if err := r.Want.verify(image); err != nil {
		return err
	}
	r.State = Pulled
	return nil
}

// login pulls with one credential after the other, as the kubelet does: with
// none only if there is none.
func (p Puller) login(ctx context.Context, name string, r *Result) error {
	repository, err := kubelet.ImageName(name)
	if err != nil {
		return err
	}
	logins, problems := p.Logins(ctx, repository)
	if len(logins) == 0 {
		err := p.Runtime.Pull(ctx, name, nil)
		r.Origin = kubelet.Origin{}
		return p.failure(ctx, problems, err)
	}
	var failed []error
	for _, login := range logins {
		err := p.Runtime.Pull(ctx, name, &login.Auth)
		if err == nil {
			r.Origin = login.Origin
			return nil
		}
		failed = append(failed, fmt.Errorf("with %s: %w", login.Origin, err))
		if ctx.Err() != nil {
			break
		}
	}
	return p.failure(ctx, problems, failed...)
}

// failure is why no login was of use: first what the providers say, since the
// registry's refusal follows from that.
func (p Puller) failure(ctx context.Context, problems []error, failed ...error) error {
	if len(failed) == 1 && failed[0] == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return pullError(append(problems, failed...))
}

// pullError is what went wrong with a pull, in the order in which it did.
type pullError []error

func (e pullError) Error() string {
	texts := make([]string, 0, len(e))
	for _, err := range e {
		texts = append(texts, err.Error())
	}
	return strings.Join(texts, "; ")
}

func (e pullError) Unwrap() []error { return e }

// retryable reports whether another try may do: if any of what went wrong may
// pass, and a provider that failed may answer the next time.
func retryable(err error) bool {
	failures, ok := errors.AsType[pullError](err)
	if !ok {
		return !errors.As(err, new(digestError)) && !errors.Is(err, context.Canceled)
	}
	for _, one := range failures {
		if failed, ok := errors.AsType[*cri.PullError](one); !ok || failed.Retryable() {
			return true
		}
	}
	return false
}

// describe takes over what the runtime knows of an image.
func (r *Result) describe(image *cri.Image) {
	r.ID, r.Size = image.ID, image.Size
	r.Digest = r.Want.digest(image)
}

func (w Want) digest(image *cri.Image) string {
	repository, err := kubelet.ImageName(w.Image)
	if err != nil {
		return ""
	}
	return image.Digest(repository)
}

// verify says whether an image is the one that is wanted.
func (w Want) verify(image *cri.Image) error {
	if got := w.digest(image); w.Digest != "" && got != w.Digest {
		return digestError{want: w.Digest, got: got}
	}
	return nil
}

// digestError says that a name stands for something else than it should.
type digestError struct{ want, got string }

func (e digestError) Error() string {
	if e.got == "" {
		return "the runtime does not tell its digest, which has to be " + e.want
	}
	return fmt.Sprintf("digest %s, and the list has %s: the tag was moved, or the list is old", e.got, e.want)
}

// policyOf is the policy of an image of a name with its tag.
func (p Puller) policyOf(name string) Policy {
	if p.Policy != Default {
		return p.Policy
	}
	return Policy(kubelet.DefaultPullPolicy(name))
}
