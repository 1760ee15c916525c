package gcr

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

const (
	tokenPath    = "instance/service-accounts/default/token"
	scopesPath   = "instance/service-accounts/default/scopes"
	universePath = "universe/universe-domain"
)

// patience is how much longer than the token the scopes may take, which are
// neither the token nor who it is for.
const patience = 2 * time.Second

// instanceToken is the token of the service account that is attached to the
// node.
type instanceToken struct{ server metadataServer }

// instanceCaller names the node in messages. Its account's email would be a
// question of its own.
const instanceCaller = "the node's service account"

// String says who is asked, and as whom.
func (t *instanceToken) String() string {
	return "the metadata server at " + t.server.host + " for a token as " + instanceCaller
}

// Key does not name the account: another one can be attached only while the
// instance is stopped, and the cache does not outlive that.
func (t *instanceToken) Key() credential.Key {
	return credential.Key{"gcr", "metadata", t.server.universe.domain, t.server.host}
}

// Fetch asks the metadata server for the token, for its universe and for its
// scopes, all at once. The server repeats a token until some minutes before its
// end, and a token with little life left is as good as any.
func (t *instanceToken) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	token, universe, scopes := t.server.start(ctx, tokenPath), t.server.start(ctx, universePath), t.server.start(ctx, scopesPath)

	answer := <-token
	own, err := readToken(answer.reply)
	switch {
	case err == nil && errors.Is(answer.err, errImpostor):
		// Some servers of Google's do not mark their answers, and no other cloud's
		// has a token here.
	case answer.err != nil:
		return credential.Token{}, t.server.explain(answer)
	case err != nil:
		answer.err = err
		return credential.Token{}, t.server.explain(answer)
	}
	own.Caller = instanceCaller
	if answer := t.server.checkUniverse(<-universe); answer.err != nil {
		return credential.Token{}, t.server.explain(answer)
	}
	select {
	case answer := <-scopes:
		if answer := checkScopes(answer); answer.err != nil {
			return credential.Token{}, t.server.explain(answer)
		}
	case <-time.After(patience):
	}
	return own, nil
}

var (
	// errScope is the error of an account whose tokens no registry accepts.
	errScope = errors.New("the node's service account has no scope for registries")

	// errUniverse is the error of a token that would go to another operator.
	errUniverse = errors.New("the node is of another universe")
)

// checkUniverse refuses a node of another universe than the registries that
// are answered for: their operator is another one. Google's own nodes need not
// say where they are: some of its servers do not know the question, and some
// have an empty answer. One that cannot be asked may be anywhere.
func (m metadataServer) checkUniverse(v value) value {
	domain := strings.TrimSpace(v.text)
	answered := v.err == nil || errors.Is(v.err, errImpostor)
	switch {
	case v.reply.Status == http.StatusNotFound, answered && domain == "":
		domain = universes[0].domain
	case !answered:
		return v
	}
	switch {
	case domain == m.universe.domain:
		// As with the token, the answer is mark enough.
		return value{}
	case errors.Is(v.err, errImpostor):
		return v
	}
	v.err = fmt.Errorf("%w: %.80q, not %s", errUniverse, domain, m.universe.domain)
	return v
}

// checkScopes refuses an account whose tokens every registry denies: pulling
// without them at least gets what is public. What cannot be found out is not
// held against it. Scopes are lines, or the JSON array that they can be asked
// for as.
func checkScopes(v value) value {
	scopes := strings.FieldsFunc(v.text, func(r rune) bool { return strings.ContainsRune(" \r\n\t[\",]", r) })
	if v.err != nil || len(scopes) == 0 || slices.ContainsFunc(scopes, readsRegistries) {
		return value{}
	}
	v.err = errScope
	return v
}

// explain makes the failure of a value that is not there, or not good.
func (m metadataServer) explain(v value) *credential.Failure {
	return explain(v.reply, v.err, instanceCaller, m.diagnose(v, refusal("no service account is attached to the instance", "attach one that may read registries; "+elsewhere)))
}

const elsewhere = "off Google Cloud, set GOOGLE_APPLICATION_CREDENTIALS in the provider's env"

// diagnose is about the metadata server. Missing is what it means that there is
// no such value.
func (m metadataServer) diagnose(v value, missing cloudhttp.Diagnosis) cloudhttp.Diagnosis {
	if d, ok := diagnoseAccount(v.reply, missing); ok {
		return d
	}
	switch {
	case errors.Is(v.err, errScope):
		return refusal(v.err.Error(), "give the instance the scope https://www.googleapis.com/auth/devstorage.read_only or cloud-platform")
	case errors.Is(v.err, errUniverse):
		return refusal(v.err.Error(), "set --universe-domain to the node's, whose registries are then answered for")
	case isRefusal(v.reply) && !isGoogles(v.reply), errors.Is(v.err, errImpostor):
		return diagnoseUnmarked(v.reply, missing)
	case v.reply.OK():
		return cloudhttp.Diagnosis{Problem: v.err.Error()}
	case v.reply.Status == http.StatusNotFound:
		return missing
	case v.reply.Status == http.StatusForbidden:
		return refusal("the metadata server is disabled for this instance, or refuses this process", "see the instance's metadata settings, metadata concealment, and what else keeps processes from it")
	}
	d, found := v.reply.Diagnose(cloudhttp.Service{Name: "the metadata server", Elsewhere: elsewhere})
	if !found {
		return refusal("the metadata server refuses the question", "")
	}
	return d
}

// diagnoseAccount is about what the metadata server says of the account whose
// token it was asked for. GKE's asks IAM for it, and does not mark its refusals.
func diagnoseAccount(reply cloudhttp.Reply, missing cloudhttp.Diagnosis) (cloudhttp.Diagnosis, bool) {
	if !isRefusal(reply) {
		return cloudhttp.Diagnosis{}, false
	}
	switch said := readFailure(reply); {
	case isNotEnabled(said):
		return iamNotEnabled(), true
	case has(said, "iam returned"):
		return refusal("IAM gives the metadata server no token of the service account", "check the account's email, and that roles/iam.workloadIdentityUser on it is granted to who asks"), true
	case has(said, "account not enabled"):
		return missing, true
	case has(said, "account is disabled"):
		return refusal(instanceCaller+" is disabled", "enable it, or attach another"), true
	}
	return cloudhttp.Diagnosis{}, false
}

// diagnoseUnmarked is about an answer that does not say that it is Google's.
// Another cloud's server often says whose it is.
func diagnoseUnmarked(reply cloudhttp.Reply, missing cloudhttp.Diagnosis) cloudhttp.Diagnosis {
	problem, advice := "what answers at "+reply.Host+" is not Google's metadata server", elsewhere
	if name := reply.Header.Get("Server"); name != "" {
		return refusal(fmt.Sprintf("%s (it calls itself %.40q)", problem, name), advice)
	}
	if reply.Status == http.StatusNotFound {
		advice += "; if it is, " + missing.Problem
	}
	return refusal(problem+", or does not say so", advice)
}
