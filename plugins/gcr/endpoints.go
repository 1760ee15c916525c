package gcr

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"cloud.google.com/go/compute/metadata"

	"regcred/shared/cloudhttp"
	"regcred/shared/image"
)

// endpoints are the services of a universe, and the way to them.
type endpoints struct {
	universe universe
	clients  *cloudhttp.Clients
}

func newEndpoints(u universe, caFile string, getenv func(string) string) *endpoints {
	return &endpoints{
		universe: u,
		clients: cloudhttp.New(cloudhttp.Options{
			CAFile: caFile,
			Getenv: getenv,
			// The last is where external accounts have their tokens from on AWS.
			Metadata: []string{"metadata.google.internal", "fd20:ce::254", "fd00:ec2::/32"},
		}),
	}
}

// sts is where tokens are exchanged.
func (e *endpoints) sts() string { return "https://" + e.universe.endpoint("sts") + "/v1/token" }

// generateAccessToken is where the token of a Google service account is asked
// for. Where the account's project is counts for nothing.
func (e *endpoints) generateAccessToken(email string) string {
	return "https://" + e.universe.endpoint("iamcredentials") + "/v1/projects/-/serviceAccounts/" + email + ":generateAccessToken"
}

// metadataServer is the instance's.
type metadataServer struct {
	*endpoints
	// host is where the library asks, with a port or without.
	host string
}

// metadataPrefix is what the library puts before the path of a value.
const metadataPrefix = "/computeMetadata/v1/"

// metadataServer returns the instance's metadata server. Where that is, the
// environment says for all of Google's libraries (GCE_METADATA_HOST), and the
// library is taken at its word: it is let make a request that is not sent.
func (e *endpoints) metadataServer() (metadataServer, error) {
	var asked *url.URL
	_, err := metadata.NewClient(&http.Client{Transport: transport(func(request *http.Request) (*http.Response, error) {
		asked = request.URL
		return nil, errors.New("not sent")
	})}).GetWithContext(context.Background(), "")
	if asked == nil {
		return metadataServer{}, fmt.Errorf("GCE_METADATA_HOST: not a host or host:port: %w", err)
	}
	// With a dot at its end, a name is not looked for in search domains.
	name := strings.TrimSuffix(strings.Replace(asked.Host, ".:", ":", 1), ".")
	_, err = image.ParseRegistry(name)
	if whole := (url.URL{Scheme: "http", Host: asked.Host, Path: metadataPrefix}); err != nil || *asked != whole {
		return metadataServer{}, fmt.Errorf("GCE_METADATA_HOST: not a host or host:port, without a scheme: it leads to %.80q", asked)
	}
	return metadataServer{e, asked.Host}, nil
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) { return t(request) }

// value is what the metadata server answered when it was asked for one.
type value struct {
	text  string
	reply cloudhttp.Reply
	// err is nil for an answer that is a value, and Google's.
	err error
}

const (
	// flavorHeader has to be in requests for metadata, and is in answers: an
	// application that can be made to fetch addresses seldom sends headers too,
	// and another cloud's metadata service does not answer with it.
	flavorHeader = "Metadata-Flavor"
	flavor       = "Google"
)

// errImpostor is the error of an answer that is not the metadata server's.
var errImpostor = errors.New("the answer is not Google's")

// get asks for a value. The library would repeat what failed in a way that may
// pass, but the recorder tells it nothing of the kind.
func (m metadataServer) get(ctx context.Context, path string) value {
	recorder := &cloudhttp.Recorder{Next: m.clients.Metadata().Transport, OnlySuccess: true}
	text, err := metadata.NewClient(recorder.Client()).GetWithContext(ctx, path)
	v := value{text, recorder.Last(), err}
	v.reply.Stage = "metadata"
	switch {
	case err == nil && !isGoogles(v.reply):
		v.err = errImpostor
	case err != nil && v.reply.OK():
		// Of another success than 200, which is an error to the library, and
		// one that says all of the answer.
		v.err = cloudhttp.ErrUnreadable
	}
	return v
}

// isGoogles reports whether an answer says that it is the metadata server's.
func isGoogles(reply cloudhttp.Reply) bool { return reply.Header.Get(flavorHeader) == flavor }

// start asks for a value beside others.
func (m metadataServer) start(ctx context.Context, path string) <-chan value {
	answer := make(chan value, 1)
	go func() { answer <- m.get(ctx, path) }()
	return answer
}
