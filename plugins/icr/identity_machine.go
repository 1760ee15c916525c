package icr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

// machineToken is the token of a trusted profile that the machine is linked to.
type machineToken struct {
	metadata  *metadataService
	profile   profile
	endpoints *endpoints
}

// metadataService is one that says who a machine is, and lets IAM know.
type metadataService struct {
	// kind is that of the credential.
	kind string

	// bases are where the service may be: which it is depends on how the
	// machine was set up. Apis are what it may have there.
	bases []string
	apis  []metadataAPI

	cloudhttp.Service
}

// metadataAPI is a release of a service's API: where the machine's own token is,
// and where IAM's.
type metadataAPI struct{ identity, iam, query string }

// vpcMetadata is that of virtual servers and bare metal of VPC. Where secure
// access was chosen it is at its name and over TLS alone. What bare metal does
// not have are the paths from before 2025-08-26.
var vpcMetadata = &metadataService{
	kind:  vpc,
	bases: []string{"http://" + vpcAddress, "https://" + vpcName},
	apis: []metadataAPI{
		{"/identity/v1/token", "/identity/v1/iam_tokens", "?version=2025-08-26"},
		{"/instance_identity/v1/token", "/instance_identity/v1/iam_token", "?version=2022-03-01"},
	},
	Service: cloudhttp.Service{
		Name:      "VPC's metadata service",
		Elsewhere: "enable the metadata service of this machine, which is off unless somebody asked for it; off VPC, name another identity with --credential",
		Own:       isIBM,
	},
}

// powerVSMetadata is that of Power Virtual Server.
var powerVSMetadata = &metadataService{
	kind:  powerVS,
	bases: []string{"https://" + powerVSName},
	apis:  []metadataAPI{{"/identity/v1/token", "/identity/v1/iam_tokens", ""}},
	Service: cloudhttp.Service{
		Name:      "the metadata service of Power Virtual Server",
		Elsewhere: "check that it is enabled and can be reached; off Power Virtual Server, name another identity with --credential",
		Own:       isIBM,
	},
}

// String says who is asked for what, and as whom.
func (s *machineToken) String() string {
	return s.metadata.Name + " for an IAM token as " + s.profile.String()
}

// Key says as whom the machine asks.
func (s *machineToken) Key() credential.Key {
	return credential.Key{"icr", s.metadata.kind, string(s.profile)}
}

// Fetch has the machine say who it is, and IAM give a token for that.
func (s *machineToken) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	found := s.identify(ctx)
	machine, err := s.service().token(found.reply)
	if err != nil {
		return credential.Token{}, err
	}
	call := cloudhttp.Call{
		Stage:  stageMachine,
		URL:    found.base + found.api.iam + found.api.query,
		Method: http.MethodPost,
		Header: http.Header{"Metadata-Flavor": {"ibm"}, "Accept": {"application/json"}},
		Bearer: machine.Value,
	}
	if s.profile != noProfile {
		call.Body, call.ContentType = fmt.Appendf(nil, `{"trusted_profile":{"id":%q}}`, string(s.profile)), "application/json"
	}
	return s.service().token(call.Do(ctx, s.endpoints.metadata(found.base)))
}

const (
	// identifyFor bounds how long a machine may take to say who it is: one answer
	// of 10 s, which is slow for who asks nobody else. A service that is turned
	// off says nothing, however long it is waited for.
	identifyFor = 11 * time.Second

	// headStart is after how long the service's next address is tried too.
	headStart = 500 * time.Millisecond
)

// identified is what came of asking a service at an address who the machine is.
type identified struct {
	base  string
	api   metadataAPI
	reply cloudhttp.Reply
}

// identify asks who the machine is, at one address after the other: the next one
// is asked as soon as one fails, or does not answer at once. The first that knows
// it counts, or else the failure that says most.
func (s *machineToken) identify(ctx context.Context) identified {
	ctx, cancel := context.WithTimeout(ctx, identifyFor)
	defer cancel()
	bases := s.metadata.bases
	results := make([]identified, len(bases))
	done := make(chan int, len(bases))
	for asked, failed := 0, 0; failed < len(bases); {
		var next <-chan time.Time
		if asked < len(bases) {
			i := asked
			go func() { results[i] = s.identifyAt(ctx, bases[i]); done <- i }()
			asked++
			next = time.After(headStart)
		}
		select {
		case i := <-done:
			if results[i].reply.OK() {
				return results[i]
			}
			failed++
		case <-next:
		}
	}
	return slices.MaxFunc(results, func(a, b identified) int { return cmp.Compare(s.tells(a.reply), s.tells(b.reply)) })
}

// identifyAt asks one address, in the older way where it does not know the newer.
func (s *machineToken) identifyAt(ctx context.Context, base string) identified {
	var i identified
	for _, api := range s.metadata.apis {
		i = identified{base, api, cloudhttp.Call{
			Stage:       stageIdentity,
			URL:         base + api.identity + api.query,
			Method:      http.MethodPut,
			Body:        []byte(`{"expires_in":300}`),
			ContentType: "application/json",
			Header:      http.Header{"Metadata-Flavor": {"ibm"}, "Accept": {"application/json"}},
		}.Do(ctx, s.endpoints.metadata(base))}
		if i.reply.Status != http.StatusNotFound {
			break
		}
	}
	return i
}

// tells says how much a failure tells: what the service itself answers more than
// something else in its place, that more than an answer that broke off, and that
// more than a connection that was not made, or was closed at once.
func (s *machineToken) tells(r cloudhttp.Reply) int {
	dial, ok := errors.AsType[*net.OpError](r.Err)
	switch {
	case ok && dial.Op == "dial" || errors.Is(r.Err, io.EOF):
		return 0
	case r.Err != nil:
		return 1
	case s.metadata.Own(r):
		return 3
	default:
		return 2
	}
}
