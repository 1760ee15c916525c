package ecr

import (
	"crypto/sha256"
	"encoding/hex"

	"regcred/shared/serviceaccount"
	"regcred/shared/settings"
)

// identity is with whose rights ECR is asked. The zero value is the node
// itself, by the SDK's default chain.
type identity struct {
	// pod assumes role with its own token. Nil means the node.
	pod           *serviceaccount.Token
	identityScope serviceaccount.Scope

	// profile has the node's credentials. Empty means the default chain.
	profile string
	// role is assumed by the pod, or by the node for other registries than its
	// own.
	role role
	// externalID goes with a role that the node assumes.
	externalID string
}

// key returns what tells the identity from every other one.
func (i identity) key() []string {
	key := []string{"node", i.profile}
	if i.pod != nil {
		key = i.pod.Identity(i.identityScope)
	}
	return append(key, i.role.arn, i.externalID)
}

// String names the identity in messages.
func (i identity) String() string {
	node := "the node"
	if i.profile != "" {
		node += "'s profile " + i.profile
	}
	switch {
	case i.pod != nil:
		return i.pod.String() + " as " + i.role.arn
	case i.role != noRole:
		return node + " as " + i.role.arn
	case i.profile != "":
		return node
	default:
		return "the node's identity"
	}
}

// sessionName makes the name that CloudTrail shows for a session. STS allows
// 64 characters; a longer name keeps its beginning and gets a hash of the
// whole, so that two of them stay apart.
func sessionName(caller string) string {
	const longest = 64
	name := []byte("regcred." + caller)
	for i := range name {
		if !settings.IsFrom(string(name[i]), "+=,.@-_") {
			name[i] = '-'
		}
	}
	if len(name) <= longest {
		return string(name)
	}
	sum := sha256.Sum256([]byte(caller))
	hash := hex.EncodeToString(sum[:4])
	return string(name[:longest-len(hash)-1]) + "-" + hash
}
