package gcr

import (
	"errors"
	"fmt"
	"strings"

	"regcred/shared/serviceaccount"
	"regcred/shared/settings"
)

// audience is what STS calls who vouches for a token that is exchanged: the
// provider of a workload identity pool.
type audience struct {
	text string
	// project is the pool's: a number, or empty where only the id is known.
	project, pool string
}

// noAudience is that of a pod for whom nobody vouches.
var noAudience = audience{}

// clusterAudience returns the audience of the pool that Google keeps for the
// clusters of a project.
func clusterAudience(project, cluster string) (audience, error) {
	if !isName(project, "-.:") {
		return audience{}, fmt.Errorf("projectID: not the id of a project: %.80q", project)
	}
	if !isName(cluster, "-.:/_~%") {
		return audience{}, fmt.Errorf("identityProvider: not the URL of a cluster: %.80q", cluster)
	}
	pool := project + ".svc.id.goog"
	return audience{text: "identitynamespace:" + pool + ":" + cluster, pool: pool}, nil
}

// providerAudience reads projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER,
// with or without //iam.googleapis.com/ or https://iam.googleapis.com/ before
// it, as the console and gcloud show it. It is strict because whoever may edit
// a service account writes what it reads.
func providerAudience(name string, u universe) (audience, error) {
	invalid := errors.New("not the name of a provider (projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER)")
	host := "//iam.googleapis.com/"
	if own := "//" + u.endpoint("iam") + "/"; strings.HasPrefix(strings.TrimPrefix(name, "https:"), own) {
		host = own
	}
	path := strings.TrimPrefix(name, "https:"+host)
	path = strings.TrimPrefix(path, host)
	parts := strings.Split(path, "/")
	if len(parts) != 8 {
		return audience{}, invalid
	}
	for i, word := range map[int]string{0: "projects", 2: "locations", 3: "global", 4: "workloadIdentityPools", 6: "providers"} {
		if parts[i] != word {
			return audience{}, invalid
		}
	}
	number, pool, provider := parts[1], parts[5], parts[7]
	if number == "" || len(number) > 20 || strings.Trim(number, "0123456789") != "" || !isPoolID(pool) || !isPoolID(provider) {
		return audience{}, invalid
	}
	return audience{text: host + path, project: number, pool: pool}, nil
}

// principal is how IAM policies name a pod that the audience vouches for, by
// the attribute mapping that Google documents for Kubernetes. Its host is the
// same in all policies.
func (a audience) principal(pod *serviceaccount.Token) string {
	project, subject := a.project, pod.Subject
	if project == "" {
		project, subject = "PROJECT_NUMBER", "ns/"+pod.Namespace+"/sa/"+pod.Name
	}
	return "principal://iam.googleapis.com/projects/" + project + "/locations/global/workloadIdentityPools/" + a.pool + "/subject/" + subject
}

// member is how IAM knows a pod in messages: its principal, which for the pool
// of a cluster has a form without the project's number.
func (a audience) member(pod *serviceaccount.Token) string {
	if a.project == "" {
		return a.pool + "[" + pod.Namespace + "/" + pod.Name + "]"
	}
	return a.principal(pod)
}

// accepted is the audience that a pod's token has to have: what the provider
// allows, which is by default its own name.
func (a audience) accepted() string {
	if a.project == "" {
		return a.pool
	}
	return "https:" + a.text
}

// isPoolID reports whether IAM allows s as the id of a pool or provider.
func isPoolID(s string) bool {
	return len(s) <= 64 && isName(s, "-") && strings.ToLower(s) == s
}

// checkEmail refuses what is not the email of a Google service account. It goes
// into a URL, and whoever may edit a service account writes it.
func checkEmail(email string) error {
	name, domain, _ := strings.Cut(email, "@")
	labels, google := strings.CutSuffix(domain, ".gserviceaccount.com")
	ok := google && len(name) <= 100 && isName(name, "-") && len(domain) <= 200
	for label := range strings.SplitSeq(labels, ".") {
		ok = ok && isName(label, "-")
	}
	if !ok {
		return fmt.Errorf("not the email of a Google service account (NAME@PROJECT.iam.gserviceaccount.com): %.80q", email)
	}
	return nil
}

// isName reports whether s is made of ASCII letters, digits and others, and of
// a length that a name may have.
func isName(s, others string) bool {
	return s != "" && len(s) <= 1024 && settings.IsFrom(s, others)
}
