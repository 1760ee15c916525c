package credential

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"regcred/shared/serviceaccount"
)

// Identities are the two ways to answer for a registry: as the pod, and as the
// node.
type Identities struct {
	// Pod returns the Source of the pod's own identity, or nil for a pod that
	// names none.
	Pod func(*serviceaccount.Token) (Source, error)

	// Node returns the Source of the node's identity.
	Node func() (Source, error)

	// Remedy says what a pod that names no identity lacks, in the imperative.
	Remedy string
}

// ErrNoIdentity is in the chain of the error of a pod that names no identity
// and may not have the node's.
var ErrNoIdentity = errors.New("names no identity to pull with")

// Choose is the rule of whose identity answers a request, the same for every
// cloud:
//
//   - A request without a pod is the node's.
//   - A pod that names an identity is answered with that one or not at all.
//   - A pod that names none is answered as the node where the fallback allows
//     that to its namespace, and refused elsewhere.
func Choose(request Request, fallback NodeFallback, identities Identities) (Source, error) {
	pod := request.Pod
	if pod == nil {
		return identities.Node()
	}
	source, err := identities.Pod(pod)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", pod, err)
	case source != nil:
		return source, nil
	case fallback.Allows(pod):
		return identities.Node()
	default:
		return nil, fmt.Errorf("%s %w: %s, or let pods of its namespace pull as the node with --node-fallback=%s", pod, ErrNoIdentity, identities.Remedy, fallback.With(pod.Namespace))
	}
}

// NodeFallback says which pods that name no identity are answered as the node:
// none, all, or those of some namespaces. The zero value is none.
type NodeFallback struct {
	all        bool
	namespaces []string
}

// SystemNamespace is the namespace of the cluster's own pods. Whoever may make
// pods there owns the cluster anyway.
const SystemNamespace = "kube-system"

// FallbackTo lets pods of the namespaces fall back to the node.
func FallbackTo(namespaces ...string) NodeFallback { return NodeFallback{namespaces: namespaces} }

// FallbackAll lets every pod fall back to the node, as the clouds' own plugins
// do.
func FallbackAll() NodeFallback { return NodeFallback{all: true} }

// Allows reports whether a pod may be answered as the node.
func (f NodeFallback) Allows(pod *serviceaccount.Token) bool {
	return f.all || slices.Contains(f.namespaces, pod.Namespace)
}

// With is the value that lets the pods of one more namespace fall back, for
// advice: it takes the place of the present one.
func (f NodeFallback) With(namespace string) string {
	extended := FallbackTo(append(slices.Clone(f.namespaces), namespace)...)
	return extended.String()
}

// All reports whether every pod may be answered as the node.
func (f NodeFallback) All() bool { return f.all }

// String is what Set reads.
func (f *NodeFallback) String() string {
	switch {
	case f.all:
		return "all"
	case len(f.namespaces) == 0:
		return "none"
	default:
		return strings.Join(f.namespaces, ",")
	}
}

// Type names the value in a flag's usage.
func (f *NodeFallback) Type() string { return "none|all|NAMESPACE,..." }

// Set reads "none", "all" or namespaces separated by commas. For a flag that
// once was a switch, "true" is all and "false" is none.
func (f *NodeFallback) Set(text string) error {
	switch text {
	case "all", "true":
		*f = FallbackAll()
		return nil
	case "none", "false":
		*f = NodeFallback{}
		return nil
	}
	namespaces := strings.Split(text, ",")
	for i, namespace := range namespaces {
		namespaces[i] = strings.TrimSpace(namespace)
		if !isNamespace(namespaces[i]) {
			return fmt.Errorf("%.80q is neither none, all nor the name of a namespace", namespaces[i])
		}
	}
	*f = FallbackTo(namespaces...)
	return nil
}

// UnmarshalJSON reads what Set reads, a list of namespaces, or a boolean.
func (f *NodeFallback) UnmarshalJSON(data []byte) error {
	var namespaces []string
	if json.Unmarshal(data, &namespaces) == nil {
		if len(namespaces) == 0 {
			*f = NodeFallback{}
			return nil
		}
		return f.Set(strings.Join(namespaces, ","))
	}
	return f.Set(strings.Trim(string(data), `"`))
}

// isNamespace reports whether s is a label as of RFC 1123, which names of
// namespaces are.
func isNamespace(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" &&
		!strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-")
}
