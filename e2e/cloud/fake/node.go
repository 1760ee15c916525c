package fake

import (
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/oidc"
)

// Kind is a cloud that can be booted. What is the same for every cloud is a loop
// over kinds.
type Kind struct {
	Name   string // what people call it, such as "gcp"
	Plugin string // the binary that answers for its registries
	Boot   func(c *cloud.Cloud) (*Node, error)
}

// NewKind makes the kind of a cloud whose fake boots it.
func NewKind[F any](name, plugin string, boot func(*cloud.Cloud) (F, *Node, error)) Kind {
	return Kind{Name: name, Plugin: plugin, Boot: func(c *cloud.Cloud) (*Node, error) {
		_, node, err := boot(c)
		return node, err
	}}
}

// Node is a machine of a fake cloud as it has booted: the cloud is at its
// production names, the machine's own identity may pull, pods may have
// identities that may, and nothing has been asked yet.
type Node struct {
	Kind
	Cloud  *cloud.Cloud
	Issuer *oidc.Issuer // of the cluster, whose service accounts the cloud knows

	// Args and Env are what the kubelet's configuration on such a machine
	// gives the plugin.
	Args, Env []string

	// Registry is the host of a registry that all identities may pull from:
	// another one for each number from 0 to 15, each of which takes a
	// credential of its own to the kubelet.
	Registry   func(number int) string
	Repository string // of each registry
	Public     string // an image that everybody may pull; empty: none
	LookAlike  string // a host of somebody else that is made to be taken for Registry(0)

	// Username is that of every login.
	Username string
	// Whose says whose credential a login is, if a container runtime can pull
	// the image with it, and why not otherwise.
	Whose func(image, username, password string) (owner string, err error)
	// Secrets is all that the cloud has issued, which nobody else may see.
	Secrets func() []string

	// Machine is the machine's own identity.
	Machine Identity
	// Workload makes an identity that service accounts may have, and nobody
	// else. Where every service account has one of its own, it is the first's.
	Workload func(accounts ...oidc.ServiceAccount) Identity
	// Audience is whom the kubelet's tokens of service accounts are for.
	Audience string

	// Services are the names of all services in the journal, and Local those
	// that are on the machine's own link: they are asked without TLS and never
	// through a proxy.
	Services, Local []string
	Endpoints       []Endpoint

	// Denied is how the service that issues a credential refuses an identity
	// that lacks the permission.
	Denied cloud.Refusal
	// Live sets for how long new credentials are good; zero: as in the cloud.
	Live func(life time.Duration)
	// Clock sets how far the cloud's clock is ahead of the machine's.
	Clock func(ahead time.Duration)
	// Lose takes the machine's identity away, and says what a failure for lack
	// of it has to tell; Regain gives it back.
	Lose   func() (says []string)
	Regain func()
}

// Identity is one that images are pulled with.
type Identity struct {
	Owner       string            // as Whose says it
	Annotations map[string]string // of its service account; the machine's has none

	// Calls is what it takes to pull from Registry(0) for the first time, in
	// order: "SERVICE OPERATION HOST". Refresh is what is asked again before
	// the credential ends, and Fetch what is answered with the credential
	// itself: "SERVICE OPERATION".
	Calls, Refresh []string
	Fetch          string
}

// Endpoint is a name or an address at which the cloud is, for people.
type Endpoint struct{ Name, What string }

// Image is an image of a registry that all identities may pull.
func (n *Node) Image(number int) string { return n.Registry(number) + "/" + n.Repository }

// Question is the run of the plugin for an image and the machine itself, or a
// pod that has no service account.
func (n *Node) Question(image string) Question {
	return Question{Image: image, Args: n.Args, Env: n.Env}
}

// PodQuestion is the run of the plugin for an image and a pod of a service
// account that has this identity.
func (n *Node) PodQuestion(image string, account oidc.ServiceAccount, identity Identity) (Question, error) {
	token, err := n.Issuer.Token(account, n.Audience, time.Hour)
	q := n.Question(image)
	q.Token, q.Annotations = token, identity.Annotations
	return q, err
}

// Two service accounts, each with a pod, for whoever needs no other.
var (
	Shop = oidc.ServiceAccount{
		Namespace: "shop", Name: "web", UID: "8f0e1b1c-3c4f-4b55-9a1d-0c3f6a1f2b10",
		Pod: "web-0", PodUID: "5d8c7a52-6e0b-4d2e-8f33-1b2a9c4d5e6f", Node: "node1", NodeUID: "0b1c2d3e-4f50-4162-9374-85960718293a",
	}
	Jobs = oidc.ServiceAccount{
		Namespace: "jobs", Name: "batch", UID: "c2a3b4c5-d6e7-4890-a1b2-c3d4e5f60718",
		Pod: "batch-0", PodUID: "11f2e3d4-c5b6-47a8-9988-776655443322", Node: "node1", NodeUID: "0b1c2d3e-4f50-4162-9374-85960718293a",
	}
)
