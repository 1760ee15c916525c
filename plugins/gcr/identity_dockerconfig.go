package gcr

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/dockerconfig"
)

// documentLife is for how long a docker configuration is used before it is
// read again. Its passwords have no expiry, and whoever changes one waits so
// long.
const documentLife = 5 * time.Minute

// dockerConfig is the docker configuration of the node, whole.
type dockerConfig struct {
	server metadataServer
	byURL  bool
}

// String says who is asked.
func (d *dockerConfig) String() string {
	return "the metadata server at " + d.server.host + " for " + d.attribute()
}

// Key says where the document is.
func (d *dockerConfig) Key() credential.Key {
	return credential.Key{"gcr", d.attribute(), d.server.host}
}

func (d *dockerConfig) attribute() string {
	if d.byURL {
		return "google-dockercfg-url"
	}
	return "google-dockercfg"
}

// Fetch reads the attribute, and then what it points to.
func (d *dockerConfig) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	answer := d.server.get(ctx, "instance/attributes/"+d.attribute())
	if answer.err != nil {
		return credential.Token{}, d.explain(answer)
	}
	document := []byte(answer.text)
	if d.byURL {
		var err error
		if document, err = d.download(ctx, strings.TrimSpace(answer.text)); err != nil {
			return credential.Token{}, err
		}
	}
	if _, err := dockerconfig.Parse(document); err != nil {
		return credential.Token{}, d.mistake(err)
	}
	return credential.Token{Value: credential.NewSecret(string(document)), Expires: time.Now().Add(documentLife)}, nil
}

func (d *dockerConfig) explain(v value) *credential.Failure {
	missing := refusal("the instance has no attribute "+d.attribute(), "set it, or leave out --authFlow")
	return explain(v.reply, v.err, "the node", d.server.diagnose(v, missing))
}

// mistake is the failure of an attribute that somebody has to correct.
func (d *dockerConfig) mistake(err error) *credential.Failure {
	return &credential.Failure{Problem: "instance attribute " + d.attribute() + ": " + err.Error(), Err: err, Permanent: true}
}

// download gets the document from where the attribute says: over TLS, or from
// the node's own link.
func (d *dockerConfig) download(ctx context.Context, text string) ([]byte, error) {
	address, err := url.Parse(text)
	if err != nil || address.Host == "" {
		return nil, d.mistake(errors.New("not a URL"))
	}
	clients := d.server.clients
	client := clients.API()
	if address.Scheme == "http" && (clients.IsMetadata(address.Hostname()) || address.Host == d.server.host) {
		client = clients.Metadata()
	} else if address.Scheme != "https" {
		return nil, d.mistake(errors.New("neither https nor on this node: an address of " + cloudhttp.Bounded(address.Host, 80)))
	}
	reply := cloudhttp.Call{Stage: "docker configuration", URL: text}.Do(ctx, client)
	if reply.OK() {
		return reply.Body, nil
	}
	diagnosis, found := reply.Diagnose(cloudhttp.Service{Name: "the server of the docker configuration"})
	if !found {
		diagnosis = refusal(reply.Host+" refuses the docker configuration", "correct the address in the instance attribute "+d.attribute())
	}
	return nil, explain(reply, errRefused, "", diagnosis)
}

// dockerPassword is what the docker configuration has for an image.
type dockerPassword struct {
	image    string
	document *dockerConfig
}

// String says who is asked, and for what.
func (p *dockerPassword) String() string { return p.document.String() + ", for " + p.image }

// Key names the image: a docker configuration may have passwords for parts of a
// registry.
func (p *dockerPassword) Key() credential.Key {
	return slices.Concat(p.document.Key(), credential.Key{p.image})
}

// Fetch looks the image up. Where the document has nothing for it, it is pulled
// anonymously.
func (p *dockerPassword) Fetch(ctx context.Context, getter credential.Getter) (credential.Credential, error) {
	document, err := getter.Token(ctx, p.document)
	if err != nil {
		return credential.Credential{}, err
	}
	config, err := dockerconfig.Parse([]byte(document.Value.Reveal()))
	if err != nil {
		return credential.Credential{}, p.document.mistake(err)
	}
	found := config.Lookup(p.image, dockerconfig.Whole)
	if len(found) == 0 {
		return credential.Anonymous(document.Expires), nil
	}
	username, password, err := found[0].Login()
	if err != nil {
		return credential.Credential{}, p.document.mistake(err)
	}
	return credential.Credential{Username: username, Password: password, Expires: document.Expires, Caller: username}, nil
}
