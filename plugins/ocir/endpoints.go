package ocir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/oracle/oci-go-sdk/v65/common"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/image"
)

// metadataBase is version 2 of the metadata service, which answers only those
// who can set a header. Version 1 is never asked.
const metadataBase = "http://169.254.169.254/opc/v2"

// endpoints are the services of Oracle's cloud, and the way to them.
type endpoints struct {
	clients  *cloudhttp.Clients
	metadata string // where the metadata service is, without a slash at the end

	// federation is where certificates are exchanged, if that is not the service
	// of the node's region.
	federation string

	// node is where the node is, once that was found out in this run.
	node atomic.Pointer[place]

	// skew is how far the services' clocks are ahead, as far as that was found
	// to matter in this run.
	skew atomic.Int64
}

func newEndpoints(metadata, caFile string, getenv func(string) string) *endpoints {
	o := cloudhttp.Options{
		CAFile:   caFile,
		Getenv:   getenv,
		Metadata: []string{"fd00:c1::a9fe:a9fe"},
		// The certificate of a machine that has just started may not be there.
		Patience: cloudhttp.Patience{Again: func(r cloudhttp.Reply) bool { return r.Status == http.StatusNotFound }},
	}
	if parsed, err := url.Parse(metadata); err == nil {
		o.Metadata = append(o.Metadata, parsed.Hostname())
	}
	return &endpoints{clients: cloudhttp.New(o), metadata: metadata}
}

// askMetadata gets a document of the metadata service.
func (e *endpoints) askMetadata(ctx context.Context, path string) cloudhttp.Reply {
	return cloudhttp.Call{
		Stage:  stageMetadata + " " + path[strings.LastIndexByte(path, '/')+1:],
		URL:    e.metadata + path,
		Header: http.Header{"Authorization": {"Bearer Oracle"}},
	}.Do(ctx, e.clients.Metadata())
}

// Headers that are signed, besides those of a body. The federation service does
// not want the host among them.
var (
	signedHeaders     = []string{"date", "(request-target)", "host"}
	federationHeaders = []string{"date", "(request-target)"}
	bodyHeaders       = []string{"content-length", "content-type", "x-content-sha256"}
)

// signed sends a call with a signature. Signatures carry the time, and services
// refuse one that is more than five minutes off: then it is made again with
// theirs.
func (e *endpoints) signed(ctx context.Context, call cloudhttp.Call, key key, headers []string) cloudhttp.Reply {
	reply := e.send(ctx, call, key, headers)
	date, err := http.ParseTime(reply.Header.Get("Date"))
	if err != nil || !reply.Unauthorized() {
		return reply
	}
	skew := date.Sub(reply.Received)
	if (skew - time.Duration(e.skew.Swap(int64(skew)))).Abs() < time.Minute {
		return reply
	}
	return e.send(ctx, call, key, headers)
}

// send sends a call with a signature, or nothing: who shows none is given a token
// for what is public.
func (e *endpoints) send(ctx context.Context, call cloudhttp.Call, key key, headers []string) cloudhttp.Reply {
	var err error
	if call.Header, err = e.sign(call, key, headers); err != nil {
		return cloudhttp.Reply{Stage: call.Stage, Err: err}
	}
	return call.Do(ctx, e.clients.API())
}

// sign returns the headers that sign a call.
func (e *endpoints) sign(call cloudhttp.Call, key key, headers []string) (http.Header, error) {
	method := http.MethodGet
	if call.Body != nil {
		method = http.MethodPost
	}
	// What is signed is made in the same way as what is sent.
	request, err := http.NewRequest(method, call.URL, strings.NewReader(string(call.Body))) //nolint:noctx // It is not sent.
	if err != nil {
		return nil, errors.New("invalid address")
	}
	request.Header.Set("Date", time.Now().Add(time.Duration(e.skew.Load())).UTC().Format(http.TimeFormat))
	if call.Body != nil {
		request.Header.Set("Content-Type", call.ContentType)
	}
	return request.Header, common.RequestSigner(key, headers, bodyHeaders).Sign(request)
}

// place is where the node is.
type place struct{ realm, domain, region string }

// regionInfo asks the metadata service where the node is. It is no secret, and
// is kept like a token to be asked for once a day.
type regionInfo struct{ endpoints *endpoints }

// regionLife is for how long a node stays where it is.
const regionLife = 24 * time.Hour

func (s regionInfo) String() string { return "the metadata service for the node's region" }

func (s regionInfo) Key() credential.Key {
	return credential.Key{"ocir", "region", s.endpoints.metadata}
}

// Fetch asks the metadata service: for everything, and where it does not have
// that for the region alone, of which the rest is known.
func (s regionInfo) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	reply := s.endpoints.askMetadata(ctx, "/instance/regionInfo")
	here, ok := readRegionInfo(reply)
	if reply.Status == http.StatusNotFound {
		if region := s.endpoints.askMetadata(ctx, "/instance/region"); region.OK() {
			reply = region
			here, ok = readRegion(reply)
		}
	}
	if !ok {
		return credential.Token{}, explainMetadata(reply)
	}
	return credential.NewToken(strings.ToLower(here.realm+"/"+here.domain+"/"+here.region), time.Now().Add(regionLife))
}

func readRegionInfo(reply cloudhttp.Reply) (place, bool) {
	var answer struct {
		Realm  string `json:"realmKey"`
		Domain string `json:"realmDomainComponent"`
		Region string `json:"regionIdentifier"`
	}
	ok := reply.OK() && reply.Decode(&answer) == nil && isHost(answer.Region+"."+answer.Domain) && answer.Realm != "" && !strings.Contains(answer.Realm, "/")
	return place{answer.Realm, answer.Domain, answer.Region}, ok
}

// readRegion reads the key or the id of a region.
func readRegion(reply cloudhttp.Reply) (place, bool) {
	r, id, found := findRegion(strings.ToLower(strings.TrimSpace(string(reply.Body))))
	return place{r.key, r.domain, id}, found
}

// place returns where the node is.
func (s regionInfo) place(ctx context.Context, getter credential.Getter) (place, error) {
	if known := s.endpoints.node.Load(); known != nil {
		return *known, nil
	}
	token, err := getter.Token(ctx, s)
	if err != nil {
		return place{}, err
	}
	realm, rest, _ := strings.Cut(token.Value.Reveal(), "/")
	domain, region, ok := strings.Cut(rest, "/")
	if !ok {
		return place{}, errors.New("node's region cannot be read")
	}
	here := place{realm, domain, region}
	s.endpoints.node.Store(&here)
	return here, nil
}

// isHost reports whether s is a host name with a dot in it.
func isHost(s string) bool {
	r, err := image.ParseRegistry(s)
	return err == nil && r.Port() == "" && strings.Contains(s, ".") && !strings.HasPrefix(s, "[")
}

// errForeign is the error of a registry whose domain is not the node's realm's:
// somebody else's.
var errForeign = errors.New("not a registry of the node's realm")

// check reports whether who is known at a place can have a token of the
// registry. What is not known of either fits.
func (r registry) check(p place) error {
	if p.domain == "" && !r.foreign {
		p.domain = domainOf(p.realm)
	}
	switch {
	case r.domain == "" || p.domain == "" && (p.realm == "" || r.realm == ""):
		return nil // the operator said that the host is Oracle's
	case r.foreign && r.domain != p.domain:
		return errForeign
	case p.domain != "" && r.domain != p.domain || p.realm != "" && r.realm != "" && r.realm != p.realm:
		return &credential.Failure{
			Problem:   fmt.Sprintf("registry of realm %s, while the identity is of %s", cmp.Or(r.realm, r.domain), cmp.Or(p.realm, p.domain)),
			Advice:    "identities do not leave their realm: set a user name and password for this host under logins",
			Permanent: true,
		}
	}
	return nil
}
