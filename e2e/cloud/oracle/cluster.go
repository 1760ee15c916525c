package oracle

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// ClusterAudience is whom service account tokens are for that the cluster
// exchanges: the API server itself.
const ClusterAudience = "https://kubernetes.default.svc.cluster.local"

// ClusterID is the OCID of the cluster.
const ClusterID = "ocid1.cluster.oc1.iad.aaaaaaaaexamplecluster"

// Cluster is the port of an enhanced OKE cluster that gives pods identities. Its
// one operation is GetSessionToken.
func (f *Fake) Cluster() http.Handler {
	return f.front(&cloud.Service{
		Name:      "workload",
		Operation: func(*cloud.Request) string { return "GetSessionToken" },
		Answer:    f.answerCluster,
		Refuse: func(refusal cloud.Refusal) (string, []byte) {
			return "text/plain", []byte(refusal.Message)
		},
	})
}

// workloadLife is the life of a workload's session token.
const workloadLife = 30 * time.Minute

// Workload is the owner that a service account is.
func Workload(account oidc.ServiceAccount) string {
	return "workload:" + account.Namespace + "/" + account.Name
}

func (f *Fake) answerCluster(x *cloud.Exchange, r *cloud.Request) error {
	if r.Method != http.MethodPost || r.URL.RequestURI() != "/resourcePrincipalSessionTokens" || !fake.HasKind(r, "application/json") {
		return fake.RefuseForm(http.StatusNotFound, "", "no method %s %s of %q", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"))
	}
	shown, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return fake.RefuseForm(http.StatusUnauthorized, "", "no token")
	}
	claims, err := f.Issuer.Verify(shown)
	if err == nil {
		err = claims.Check(ClusterAudience, f.Now())
	}
	x.Summarize("%s", claims.Subject)
	if err != nil {
		return fake.Refuse(http.StatusUnauthorized, "", "token review: %v", err)
	}
	var body struct {
		Key string `json:"podKey"`
	}
	decoder := json.NewDecoder(bytes.NewReader(r.Body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&body); err != nil {
		return invalid("%v", err)
	}
	block, rest := pem.Decode([]byte(body.Key))
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) != 0 {
		return invalid("podKey is not a public key in PEM")
	}
	public, err := parseDER(block.Bytes, 2048)
	if err != nil {
		return err
	}
	owner := "workload:" + claims.Kubernetes.Namespace + "/" + claims.Kubernetes.ServiceAccount.Name
	granted := f.grant(f.Current().Cluster, workloadLife, Principal{Owner: owner, public: public}, map[string]any{
		"ptype": "workload", "cluster_id": ClusterID, "namespace": claims.Kubernetes.Namespace,
	})
	document, _ := json.Marshal(granted.Shape.Apply(map[string]any{"token": tokenPrefix + granted.Token}, "token")) // strings never fail
	x.Header().Set("Content-Type", "application/json")
	_, err = fmt.Fprintf(x, "%q", base64.StdEncoding.EncodeToString(document))
	return err
}
