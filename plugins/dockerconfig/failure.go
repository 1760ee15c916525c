package dockerconfig

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// Stages, as messages name them.
const (
	stageFile   = "docker configuration"
	stageHelper = "credential helper"
)

// quote is text of a file in a message.
func quote(text string) string { return fmt.Sprintf("%.80q", text) }

// bounded is text of a program in a message.
func bounded(text string) string { return cloudhttp.Bounded(text, 200) }

// useless explains an entry that is no login, for what is wrong with what it has,
// or because it has none.
func (c candidate) useless(err error) *credential.Failure {
	e := c.entry
	f := &credential.Failure{Evidence: stageFile, Err: err, Permanent: true}
	switch {
	case err != nil:
		f.Problem = "entry " + quote(withoutUser(c.key)) + " of " + c.file + " cannot be used: " + err.Error()
		f.Advice = "write the base64 of USER:PASSWORD"
	case !e.IdentityToken.Empty() || !e.RegistryToken.Empty():
		f.Problem = "entry " + quote(withoutUser(c.key)) + " of " + c.file + " has a token in place of a password, which the kubelet cannot use"
		f.Advice = loginAdvice
	default:
		f.Problem = "entry " + quote(withoutUser(c.key)) + " of " + c.file + " has no user name and password in it"
		f.Advice = "log in again where the file comes from, or name the credential helper that has them"
	}
	return f
}

const loginAdvice = "log in with a user name and a password, such as an access token of the registry, or use the plugin of the registry's cloud"

// named says which helper a message is about, and who names it.
func (c candidate) named() string {
	what := prefix + cloudhttp.Bounded(c.helper, 40)
	if c.key == "" {
		return what + ", the credsStore of " + c.file
	}
	return what + ", which " + c.file + " has for " + quote(withoutUser(c.key))
}

func (c candidate) evidence(path string) string {
	return strings.Join([]string{stageHelper, path, "get " + c.server}, "; ")
}

// unfit explains a helper that is not run.
func (c candidate) unfit(why string) *credential.Failure {
	return &credential.Failure{Problem: c.named() + ", is not run: " + why, Evidence: stageHelper, Err: errNotRun, Permanent: true}
}

var errNotRun = errors.New("credential helper not run")

// circle explains a helper that leads back here.
func (c candidate) circle(why string) *credential.Failure {
	f := c.unfit(why)
	f.Advice = "take it out of " + c.file + ", which the kubelet's plugins read: it is for other clients"
	return f
}

// absent explains a helper that is not there.
func (c candidate) absent(dirs []string) *credential.Failure {
	f := c.unfit("it is in none of " + cloudhttp.Bounded(strings.Join(dirs, ", "), 200))
	f.Advice = "install it there, or name its directory with --helper-path"
	return f
}

// helperRest is for how long a helper that failed is left alone. Why it did is
// not known, and a node that starts would run it again for every image.
const helperRest = 5 * time.Second

// failed explains a run that brought no login.
func (c candidate) failed(path string, err error) *credential.Failure {
	return &credential.Failure{
		Problem:    c.named() + ", has failed: " + err.Error(),
		Advice:     "run it by hand as the kubelet's user",
		Evidence:   c.evidence(path),
		Err:        err,
		RetryAfter: helperRest,
	}
}

// identityToken explains a login that is none.
func (c candidate) identityToken(path string) *credential.Failure {
	return &credential.Failure{
		Problem:   c.named() + ", has a token in place of a password, which the kubelet cannot use",
		Advice:    loginAdvice,
		Evidence:  c.evidence(path),
		Err:       errors.New("identity token"),
		Permanent: true,
	}
}
