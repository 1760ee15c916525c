package ocir

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/url"
	"slices"
	"strings"

	sigsjson "sigs.k8s.io/json"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

// cluster is where OKE's enhanced clusters exchange service account tokens: a
// port of the API server that every one of them has.
type cluster struct {
	host   string
	caFile string
}

const clusterPort = "12250"

// workload is OKE's workload identity: the cluster vouches for the pod.
type workload struct {
	endpoints *endpoints
	cluster   cluster
	pod       *serviceaccount.Token
	scope     serviceaccount.Scope
}

func (s *workload) String() string { return "the workload identity of " + s.pod.String() }

func (s *workload) Key() credential.Key {
	return slices.Concat(credential.Key{"ocir", "workload identity", s.cluster.host}, s.pod.Identity(s.scope))
}

// Fetch asks the cluster.
func (s *workload) Fetch(ctx context.Context, _ credential.Getter) (credential.Token, error) {
	session, err := newSession(2048)()
	if err != nil {
		return credential.Token{}, err
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: session.public})
	body, err := json.Marshal(map[string]string{"podKey": string(public)})
	if err != nil {
		return credential.Token{}, err
	}
	address := net.JoinHostPort(s.cluster.host, clusterPort)
	reply := cloudhttp.Call{
		Stage:       stageWorkload,
		URL:         "https://" + address + "/resourcePrincipalSessionTokens",
		Body:        body,
		ContentType: "application/json",
		Bearer:      credential.NewSecret(s.pod.Reveal()),
	}.Do(ctx, s.endpoints.clients.Pinned(address, s.cluster.host, s.cluster.caFile))
	token, err := session.ofCluster(reply)
	if err != nil {
		return credential.Token{}, explainWorkload(reply, err)
	}
	return token, nil
}

// ofCluster reads the answer of a cluster: a JSON string that holds, in base64,
// JSON with the id of a key.
func (s session) ofCluster(reply cloudhttp.Reply) (credential.Token, error) {
	if !reply.OK() {
		return credential.Token{}, errRefused
	}
	var text string
	if reply.Decode(&text) != nil {
		return credential.Token{}, cloudhttp.ErrUnreadable
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	var answer struct {
		Token string `json:"token"`
	}
	if err != nil || sigsjson.UnmarshalCaseSensitivePreserveInts(decoded, &answer) != nil {
		return credential.Token{}, cloudhttp.ErrUnreadable
	}
	return s.token(strings.TrimPrefix(answer.Token, tokenPrefix), reply)
}

// domain is an identity domain that exchanges service account tokens, and for
// what.
type domain struct {
	url string // without a path
	// tokenType is upst, the token of a user, or rpst, that of a resource.
	tokenType string
	// resourceType is what the trust impersonates; of rpst alone.
	resourceType string
}

// exchange is the token exchange of an identity domain, which trusts the
// cluster's issuer. The node authorizes the request, so that no secret is kept
// anywhere; what is exchanged is the pod's.
type exchange struct {
	endpoints *endpoints
	domain    domain
	node      principal
	pod       *serviceaccount.Token
	scope     serviceaccount.Scope
}

func (s *exchange) String() string { return s.pod.String() + " by " + s.domain.url }

func (s *exchange) Key() credential.Key {
	return slices.Concat(credential.Key{"ocir", "token exchange", s.domain.url, s.domain.tokenType, s.domain.resourceType}, s.pod.Identity(s.scope), s.node.Key())
}

// exchangeBits is the size of keys that identity domains bind tokens to.
const exchangeBits = 3072

// Fetch asks the identity domain.
func (s *exchange) Fetch(ctx context.Context, getter credential.Getter) (credential.Token, error) {
	made := newSession(exchangeBits)
	return credential.Redeem(ctx, s.node.getter(getter), s.node, func(node credential.Token) (credential.Token, bool, error) {
		session, err := made()
		if err != nil {
			return credential.Token{}, false, err
		}
		key, err := keyOf(node)
		if err != nil {
			return credential.Token{}, false, err
		}
		reply := s.endpoints.signed(ctx, cloudhttp.Call{
			Stage:       stageExchange,
			URL:         s.domain.url + "/oauth2/v1/token",
			Body:        []byte(s.form(session).Encode()),
			ContentType: "application/x-www-form-urlencoded",
		}, key, signedHeaders)
		token, err := session.answered(reply)
		if err != nil {
			err = explainExchange(reply, err, s.pod, node.Caller)
		}
		return token, denies(reply), err
	})
}

// form asks for a token that is bound to the session's key.
func (s *exchange) form(session session) url.Values {
	form := url.Values{
		"grant_type":           {"urn:ietf:params:oauth:grant-type:token-exchange"},
		"requested_token_type": {"urn:oci:token-type:oci-" + s.domain.tokenType},
		"subject_token":        {s.pod.Reveal()},
		"subject_token_type":   {"jwt"},
		"public_key":           {base64.StdEncoding.EncodeToString(session.public)},
	}
	if s.domain.tokenType == tokenOfResource {
		form.Set("res_type", s.domain.resourceType)
	}
	return form
}
