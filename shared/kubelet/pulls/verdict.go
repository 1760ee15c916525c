package pulls

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"regcred/shared/image"
	"regcred/shared/redact"
)

// The kubelet's imagePullCredentialsVerificationPolicy: which images that are
// there a pod has to prove access to.
const (
	NeverVerify                  = "NeverVerify"
	NeverVerifyPreloadedImages   = "NeverVerifyPreloadedImages" // the default
	NeverVerifyAllowlistedImages = "NeverVerifyAllowlistedImages"
	AlwaysVerify                 = "AlwaysVerify"
)

// Policy is how a kubelet verifies.
type Policy struct {
	// Off means that the gate KubeletEnsureSecretPulledImages is off, or that the
	// kubelet is older than it: every pod may use whatever is there.
	Off bool

	// Verification is one of the constants. Empty is the default.
	Verification string

	// Allowlist are the names of NeverVerifyAllowlistedImages: as pods write
	// them, or PREFIX/*.
	Allowlist []string
}

// Pod is what a pod proves access with.
type Pod struct {
	// Secrets are the logins of its pull secrets that are for the image, in any
	// order.
	Secrets []Secret

	// ServiceAccount is the pod's if a credential provider turns its token into a
	// login for the image.
	ServiceAccount *ServiceAccount

	// Unknown means that this could not be found out. It counts where nothing
	// else decides.
	Unknown error
}

// Reason is why a pod may use an image, or may not.
type Reason string

// The reasons for which a pod may use an image that is there.
const (
	// NotVerified: the kubelet verifies nothing.
	NotVerified Reason = "NotVerified"
	// Exempt: the policy exempts an image of this name.
	Exempt Reason = "Exempt"
	// Preloaded: the kubelet has not pulled it, and the policy exempts such.
	Preloaded Reason = "Preloaded"
	// NodeAccessible: it was pulled under this name with what the node has, or
	// with nothing.
	NodeAccessible Reason = "NodeAccessible"
	// SecretKnown and ServiceAccountKnown: it was pulled under this name with the
	// pod's.
	SecretKnown         Reason = "SecretKnown"
	ServiceAccountKnown Reason = "ServiceAccountKnown"
)

// The reasons for which it has to be pulled.
const (
	// Absent: it is not there.
	Absent Reason = "Absent"
	// RecordUnreadable: what is recorded of it cannot be understood.
	RecordUnreadable Reason = "RecordUnreadable"
	// NoRecord: it is verified, and nothing is recorded of it: the policy is that
	// strict, or a pull of it has not ended.
	NoRecord Reason = "NoRecord"
	// OtherName: it was pulled, under other names only.
	OtherName Reason = "OtherName"
	// NoCredentials: with what it was pulled under this name is not known.
	NoCredentials Reason = "NoCredentials"
	// OtherCredentials: it was pulled under this name, with none of the pod's.
	OtherCredentials Reason = "OtherCredentials"
	// CredentialsUnknown: it was pulled under this name, and whether with any of
	// the pod's could not be found out.
	CredentialsUnknown Reason = "CredentialsUnknown"
)

// Verdict is whether a pod may use an image that is there.
type Verdict struct {
	// Allowed means that it may, without a pull. Otherwise the kubelet pulls it
	// with what the pod has; with the policy Never it says that the image is not
	// there.
	Allowed bool
	Reason  Reason

	// Image is as the pod writes it.
	Image string

	// Record is what is recorded of the image ID, or nil.
	Record *Record

	// Matched is the secret or the service account for which it is allowed.
	Matched string

	// Problem is why a record or a credential is not known.
	Problem error
}

// Verdict says whether a pod may use an image that it calls by a name and of
// which the runtime says the ID. An empty ID means that it is not there.
func (s Store) Verdict(name, imageRef string, pod Pod, policy Policy) Verdict {
	v := Verdict{Image: name}
	switch {
	case imageRef == "":
		return v.must(Absent)
	case policy.Off:
		return v.may(NotVerified)
	}
	record, err := s.pulled(imageRef)
	v.Record = record
	known := record != nil
	if err == nil && !known {
		// What is being pulled is the kubelet's too.
		known, err = s.isPulling(name)
	}
	if err != nil {
		v.Problem = err
		return v.must(RecordUnreadable)
	}
	if exempt := policy.exempts(name, known); exempt != "" {
		return v.may(exempt)
	}
	if record == nil {
		return v.must(NoRecord)
	}
	bare, err := withoutTag(name)
	if err != nil {
		v.Problem = err
		return v.must(RecordUnreadable)
	}
	access, found := record.Names[bare]
	switch {
	case !found:
		return v.must(OtherName)
	case access.NodePodsAccessible:
		return v.may(NodeAccessible)
	case len(access.Secrets) == 0 && len(access.ServiceAccounts) == 0:
		return v.must(NoCredentials)
	case pod.Unknown != nil:
		v.Problem = pod.Unknown
		return v.must(CredentialsUnknown)
	}
	if secret, ok := access.knows(pod.Secrets); ok {
		v.Matched = secret.String()
		return v.may(SecretKnown)
	}
	if account := pod.ServiceAccount; account != nil && slices.Contains(access.ServiceAccounts, *account) {
		v.Matched = account.String()
		return v.may(ServiceAccountKnown)
	}
	return v.must(OtherCredentials)
}

func (v Verdict) may(reason Reason) Verdict {
	v.Allowed, v.Reason = true, reason
	return v
}

func (v Verdict) must(reason Reason) Verdict {
	v.Allowed, v.Reason = false, reason
	return v
}

// exempts returns why an image needs no verification, or nothing if it does.
func (p Policy) exempts(name string, pulledByKubelet bool) Reason {
	switch p.Verification {
	case NeverVerify:
		return NotVerified
	case NeverVerifyAllowlistedImages:
		if p.allowlisted(name) {
			return Exempt
		}
	case AlwaysVerify:
	default:
		if !pulledByKubelet {
			return Preloaded
		}
	}
	return ""
}

// allowlisted reports whether the list has a name, as it is written. An image on
// it is exempt even if the kubelet pulled it with somebody's secret.
func (p Policy) allowlisted(name string) bool {
	bare, err := withoutTag(name)
	if err != nil {
		bare = name
	}
	for _, pattern := range p.Allowlist {
		prefix, wild := strings.CutSuffix(pattern, "/*")
		if bare == pattern && !wild || wild && strings.HasPrefix(bare, prefix+"/") {
			return true
		}
	}
	return false
}

// maxMatchingWrites is how many secrets a record may have for the kubelet to take
// one of them with another password than it had, which it then records.
const maxMatchingWrites = 100

// knows returns the first of a pod's secrets that has proved access: it, or one
// with the same login.
func (c Credentials) knows(secrets []Secret) (Secret, bool) {
	for _, secret := range secrets {
		for _, known := range c.Secrets {
			same := secret.UID == known.UID && secret.Namespace == known.Namespace && secret.Name == known.Name
			if known.CredentialHash != "" && secret.CredentialHash == known.CredentialHash || same && len(c.Secrets) < maxMatchingWrites {
				return secret, true
			}
		}
	}
	return Secret{}, false
}

// withoutTag is an image as a pod writes it, without tag and digest.
func withoutTag(name string) (string, error) {
	ref, err := image.Parse(name)
	if err != nil {
		return "", err
	}
	if ref.Digest != "" {
		name = strings.TrimSuffix(name, "@"+ref.Digest)
	}
	if ref.Tag != "" {
		name = strings.TrimSuffix(name, ":"+ref.Tag)
	}
	return name, nil
}

// Hash is what the kubelet records of a login in a pull secret.
func Hash(username, password, email string) string {
	text, err := json.Marshal(struct { //nolint:gosec // It is hashed.
		Username string `json:"username,omitempty"`
		Password string `json:"password,omitempty"`
		Email    string `json:"email,omitempty"`
	}{username, password, email})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// String says the verdict in a sentence.
func (v Verdict) String() string {
	switch v.Reason {
	case Absent:
		return "not here: it has to be pulled"
	case NotVerified:
		return "here, and every pod may use it: the kubelet verifies nobody's access"
	case Exempt:
		return "here, and every pod may use it: the kubelet's preloadedImagesVerificationAllowlist names it, whoever pulled it"
	case Preloaded:
		return "here, and every pod may use it: the kubelet has not pulled it, and verifies only what it pulled. That ends with the first pull of the same content, be it under another name"
	case NodeAccessible:
		return "here, and every pod may use it: it was pulled with credentials of the node, or none"
	case SecretKnown, ServiceAccountKnown:
		return "here, and this pod may use it: it was pulled with its " + v.Matched + ", or with the same login"
	case RecordUnreadable:
		return "here, but it has to be pulled: the kubelet's record of it cannot be used (" + problem(v.Problem) + ")"
	case NoRecord:
		return "here, but this pod may not use it without a pull: the kubelet's policy verifies it, and no pull of it is recorded"
	case OtherName:
		return "here, but this pod may not use it without a pull: its ID was pulled as " + v.Record.others() + ", and never under this name"
	case NoCredentials:
		return "here, but this pod may not use it without a pull: with what it was pulled is not known, as when the kubelet ended before its pull did"
	case OtherCredentials:
		return "here, but this pod may not use it without a pull: its ID was pulled with " + v.names() + ", which the pod has not"
	case CredentialsUnknown:
		return "here; its ID was pulled with " + v.names() + ", and whether the pod has such is not known (" + problem(v.Problem) + ")"
	default:
		return string(v.Reason)
	}
}

// names is who has access under the image's name.
func (v Verdict) names() string { return v.Record.Access(v.Image).String() }

// others are the names of a record and who has access under each, at most some.
func (r Record) others() string {
	const shown = 3
	var all []string
	for _, name := range slices.Sorted(maps.Keys(r.Names)) {
		all = append(all, fmt.Sprintf("%s with %s", redact.Line(name), r.Names[name]))
	}
	if len(all) > shown {
		all = append(all[:shown], fmt.Sprintf("%d more names", len(all)-shown))
	}
	if len(all) == 0 {
		return "something that is not known"
	}
	return strings.Join(all, "; ")
}

func problem(err error) string {
	if err == nil {
		err = errors.New("unknown")
	}
	return redact.Line(err.Error())
}
