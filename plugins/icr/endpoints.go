package icr

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// Where IAM is, the values of --iam-endpoint besides regions.
const (
	publicIAM  = "public"
	privateIAM = "private"

	publicHost = "iam.cloud.ibm.com"
)

// Where metadata services are. The name of VPC's leads to the address, and is
// what its certificate is for.
const (
	vpcAddress  = "169.254.169.254"
	vpcName     = "api.metadata.cloud.ibm.com"
	powerVSName = "api.metadata.power-iaas.cloud.ibm.com"
)

// endpoints are the services of IBM's cloud, and the way to them.
type endpoints struct {
	clients *cloudhttp.Clients

	// iam are the hosts at which IAM is asked: the second where the first does
	// not answer.
	iam []string
}

func newEndpoints(iam []string, caFile string, getenv func(string) string) *endpoints {
	return &endpoints{
		clients: cloudhttp.New(cloudhttp.Options{CAFile: caFile, Getenv: getenv, Metadata: []string{vpcName, powerVSName}}),
		iam:     iam,
	}
}

// fallbackAfter is how long the first of two endpoints has to answer.
const fallbackAfter = 10 * time.Second

// askIAM posts a form to IAM. Only where an endpoint does not answer is the next
// one asked: what one refuses, all refuse.
func (e *endpoints) askIAM(ctx context.Context, stage string, form url.Values) cloudhttp.Reply {
	call := cloudhttp.Call{Stage: stage, Form: form, Header: http.Header{"Accept": {"application/json"}}}
	for _, host := range e.iam[:len(e.iam)-1] {
		call.URL = "https://" + host + "/identity/token"
		first, cancel := context.WithTimeout(ctx, fallbackAfter)
		r := call.Do(first, e.clients.API())
		cancel()
		if r.Err == nil || ctx.Err() != nil {
			return r
		}
		cloudhttp.Log(ctx).Warn("IAM does not answer; asking its next endpoint", "host", host, "error", r.Err)
	}
	call.URL = "https://" + e.iam[len(e.iam)-1] + "/identity/token"
	return call.Do(ctx, e.clients.API())
}

// describe says who is asked for what, and as whom.
func (e *endpoints) describe(identity string) string {
	return "IAM at " + e.iam[0] + " for a token as " + identity
}

// key is how the keys of IAM's tokens begin.
func (e *endpoints) key(grant string) credential.Key {
	return credential.Key{"icr", grant, e.iam[0]}
}

// metadata returns the client for a metadata service. Over TLS it is that of
// APIs, which has the operator's certificate authorities, and no proxy for what
// is on the machine's own link.
func (e *endpoints) metadata(base string) *http.Client {
	if strings.HasPrefix(base, "https:") {
		return e.clients.API()
	}
	return e.clients.Metadata()
}
