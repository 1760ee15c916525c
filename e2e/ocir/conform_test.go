package ocir_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oracle"
)

const registry = "iad.ocir.io"

// What it takes to pull, one after the other.
var (
	askRegion     = cloudtest.Calls{"imds GetRegionInfo 169.254.169.254"}
	askMachine    = slices.Repeat(cloudtest.Calls{"imds GetIdentity 169.254.169.254"}, 3)
	askFederation = cloudtest.Calls{"federation GetSecurityToken auth.us-ashburn-1.oraclecloud.com"}
	askDomain     = cloudtest.Calls{"exchange ExchangeToken " + oracle.DomainHost}
)

func askToken(host string) cloudtest.Calls { return cloudtest.Calls{"ocir GetToken " + host} }

// notOracles are hosts that are no registries of Oracle's.
var notOracles = []string{
	"ocir.io", "foo.iad.ocir.io", "evil-ocir.io", "iadocir.io", "ric.ocir.io", "us-ashburn-2.ocir.io", "us.ocir.io", "iad.ocir.io.evil.ocir.io",
	"ocir.us-ashburn-1.oci.oraclecloud.com.evil.com", "ocir.us-ashburn-1.oraclecloud.com", "ocir.us-ashburn-1.oci.oraclecloud.evil",
	"ocir.us-ashburn-1.oci.oraclecloud1.com", "ocir.us-ashburn-1.oci.oraclegovcloud.com", "x.ocir.us-ashburn-1.oci.oraclecloud.com",
	"artifacts.us-ashburn-1.oci.oraclecloud.com", "objectstorage.us-ashburn-1.oci.oraclecloud.com", "container-registry.oracle.com",
	"auth.us-ashburn-1.oraclecloud.com", oracle.DomainHost,
}

func TestConform(t *testing.T) {
	user := "ocid1.user.oc1..aaaaaaaaexampleuser"
	apiKey := func(n *cloudtest.Node[*oracle.Fake]) (file, private string) {
		id := n.Fake.Realm.Tenancy() + "/" + user + "/20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34"
		n.Fake.AddKey(id, user, &userKey().PublicKey)
		n.Fake.Allow(user)
		return profile(n, "user="+user, "fingerprint=20:3b:97:13:55:1c:5b:0d:d3:37:d8:50:4e:c5:3a:34"), userPEM()
	}
	domain := []string{"--identity-domain=https://" + oracle.DomainHost, "--resource-type=" + oracle.ResourceType}
	cloudtest.Conform(t, cloudtest.Suite[*oracle.Fake]{
		Boot:     oracle.Boot,
		Config:   "OCIRCredentialProviderConfig",
		Portless: true,
		Foreign:  notOracles,
		Tempting: map[string]fake.Question{
			"the SDK's environment": {Env: []string{
				"OCI_DEFAULT_REALM=evil.com", "OCI_REGION=us-ashburn-1", "OCI_REGION_METADATA=" +
					`{"realmKey":"oc99","realmDomainComponent":"evil.com","regionKey":"zzz","regionIdentifier":"us-ashburn-1"}`,
			}},
			"more domains and hosts": {Args: []string{"--realm-domain=oraclecloud77.com", "--registry=us2.ocir.io"}},
		},
		Images: map[string]string{
			registry + "/docker-hub/library/nginx":                               registry,
			"mirror.example.com/ocir.us-ashburn-1.oci.oraclecloud.com/namespace": "",
		},
		Malformed: []string{registry + "/Namespace/app", "ocir.us-ashburn-1.oci.oraclecloud.com./ns/app"},
		Ways: []cloudtest.Way[*oracle.Fake]{
			{
				Name:  "API key",
				Calls: askToken(registry),
				Go: func(n *cloudtest.Node[*oracle.Fake]) cloudtest.Errand {
					file, private := apiKey(n)
					return cloudtest.Errand{Question: n.Own("--auth-method=user_principal", "--oci-config="+file), Owner: user, Secrets: secretLines(private)}
				},
			},
			{
				Name:  "session",
				Calls: askToken(registry),
				Go: func(n *cloudtest.Node[*oracle.Fake]) cloudtest.Errand {
					token := n.Fake.Session(user, &userKey().PublicKey, 5*time.Hour)
					n.Fake.Allow(user)
					file := profile(n, "security_token_file="+cloudtest.File(n.T, token+"\n"))
					return cloudtest.Errand{Question: n.Own("--auth-method=user_principal", "--oci-config="+file), Owner: user, Secrets: append(secretLines(userPEM()), signatureOf(token))}
				},
			},
			{
				Name:  "resource principal",
				Calls: askToken(registry),
				Go: func(n *cloudtest.Node[*oracle.Fake]) cloudtest.Errand {
					const resource = "ocid1.resource.oc1..aaaaaaaaexampleresource"
					token := n.Fake.Session(resource, &userKey().PublicKey, 5*time.Hour)
					n.Fake.Allow(resource)
					q := n.Own("--auth-method=resource_principal")
					q.Env = append(q.Env, "OCI_RESOURCE_PRINCIPAL_VERSION=2.2", "OCI_RESOURCE_PRINCIPAL_RPST="+cloudtest.File(n.T, token),
						"OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM="+cloudtest.File(n.T, userPEM()), "OCI_RESOURCE_PRINCIPAL_REGION=us-ashburn-1")
					return cloudtest.Errand{Question: q, Owner: resource, Secrets: append(secretLines(userPEM()), signatureOf(token))}
				},
			},
			{
				Name:    "token exchange",
				Calls:   slices.Concat(askRegion, askMachine, askFederation, askDomain, askToken(registry)),
				Refresh: askToken(registry),
				Go: func(n *cloudtest.Node[*oracle.Fake]) cloudtest.Errand {
					owner := oracle.Federated(fake.Shop)
					n.Fake.Allow(owner)
					q := n.Pod(fake.Shop, fake.Identity{Annotations: map[string]string{oracle.IdentityAnnotation: "exchange"}}, domain...)
					return cloudtest.Errand{Question: q, Owner: owner, Secrets: []string{signatureOf(q.Token)}}
				},
			},
		},
		Refused: []cloudtest.Refused[*oracle.Fake]{
			{Name: "a cluster that is not enhanced", Says: []string{"403", "enhanced cluster"}, Ask: func(n *cloudtest.Node[*oracle.Fake]) cloudtest.Question {
				n.Cloud.Faults.Always("workload", "", fake.Refuse(403, "", "Forbidden"))
				return n.Pod(fake.Shop, n.Workload(fake.Shop))
			}},
			{
				Name: "nobody's trust", Says: []string{"400", "invalid_request", "trust", "system:serviceaccount:shop:web"},
				Calls: slices.Concat(askRegion, askMachine, askFederation, askDomain),
				Ask: func(n *cloudtest.Node[*oracle.Fake]) cloudtest.Question {
					return n.Pod(fake.Shop, fake.Identity{Annotations: map[string]string{
						oracle.IdentityAnnotation: "exchange", oracle.ResourceAnnotation: "other",
					}}, domain...)
				},
			},
		},
		Nameless: []cloudtest.Nameless{
			{Name: "a type and no identity", Args: domain, Annotations: map[string]string{oracle.ResourceAnnotation: oracle.ResourceType}, Says: []string{oracle.IdentityAnnotation, "--pod-identity"}},
		},
		Annotations: map[string][]string{oracle.IdentityAnnotation: {"node", "Workload", "exchange", "workload,exchange", "none"}},
		Commands:    [][]string{{"-v=2"}},
		Help:        []string{`"*.ocir.io"`, `"ocir.*.oci.oraclecloud.com"`, "--auth-method", "$OCIR_AUTH_METHOD", "--pod-identity", "--verify"},
		Mistakes: []cloudtest.Mistake{
			{Name: "unknown method", Args: []string{"--auth-method=default"}, Says: "authMethod"},
			{Name: "unknown method by the vendor's variable", Env: []string{"OCIR_AUTH_METHOD=DEFAULT"}, Says: "authMethod"},
			{Name: "in the clear", Env: []string{"REGISTRY_PROTOCOL=http"}, Says: "not https"},
			{Name: "domain without https", Args: []string{"--identity-domain=http://x.example"}, Says: "identityDomain"},
			{Name: "login without a namespace", Config: "logins: {fra.ocir.io: {username: jdoe, passwordFile: /etc/x}}\n", Says: `logins["fra.ocir.io"].username`},
			{Name: "resource principal of another version", Args: []string{"--auth-method=resource_principal"}, Env: []string{"OCI_RESOURCE_PRINCIPAL_VERSION=3.0"}, Says: "2.2"},
		},
	})
}

// userKey is the key of a user, or of a session.
var userKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func userPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(userKey())}))
}

// secretLines are the lines of a private key, each of which is a secret.
func secretLines(private string) []string {
	lines := strings.Split(strings.TrimSpace(private), "\n")
	return lines[1 : len(lines)-1]
}

func signatureOf(token string) string { return token[strings.LastIndex(token, ".")+1:] }

// profile writes a configuration file of Oracle's command line.
func profile(n *cloudtest.Node[*oracle.Fake], lines ...string) string {
	lines = append([]string{"[DEFAULT]", "tenancy=" + n.Fake.Realm.Tenancy(), "region=us-ashburn-1", "key_file=" + cloudtest.File(n.T, userPEM())}, lines...)
	return cloudtest.File(n.T, strings.Join(lines, "\n")+"\n")
}
