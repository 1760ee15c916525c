package acr_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

// testbed is the node that the conformance tests are given.
type testbed = cloudtest.Node[*azure.Fake]

func TestConform(t *testing.T) {
	t.Parallel()
	const stranger = "a0000000-0000-4000-8000-00000000000f"
	cloudtest.Conform(t, cloudtest.Suite[*azure.Fake]{
		Boot:    azure.Boot,
		Config:  "ACRCredentialProviderConfig",
		Foreign: notLoginServers,
		Tempting: map[string]fake.Question{
			"identity bindings": {Args: []string{
				"--ib-sni-name", bindingSNI, "--ib-apiserver-ip", bindingIP, "--ib-default-client-id", pull.ClientID,
			}},
			"anonymous entry": {Args: []string{"--anonymous-fallback"}},
		},
		Malformed: []string{
			".azurecr.io/app", "foo-.azurecr.io/app", "foo_bar.azurecr.io/app", "foo..geo.azurecr.io/app",
			"foo.\u0430zurecr.io/app", // Cyrillic
		},
		Ways: []cloudtest.Way[*azure.Fake]{
			{
				Name: "app with a secret", Calls: slices.Concat(askEntra, askExchange), Refresh: askExchange,
				Go: func(n *testbed) cloudtest.Errand {
					n.Fake.AddApp(azure.App{ClientID: appID})
					secret := n.Fake.AddSecret(appID, time.Hour)
					return asApp(n, []string{secret}, "client-secret", "--client-secret-file", cloudtest.File(n.T, secret))
				},
			},
			{
				Name: "app with a certificate", Calls: slices.Concat(askEntra, askExchange), Refresh: askExchange,
				Go: func(n *testbed) cloudtest.Errand {
					n.Fake.AddApp(azure.App{ClientID: appID})
					certificate, err := n.Fake.AddCertificate(appID)
					if err != nil {
						n.T.Fatal(err)
					}
					content, err := certificate.PEM()
					if err != nil {
						n.T.Fatal(err)
					}
					key := strings.Split(string(content), "\n")
					// eyJhbGciOiJQUzI1NiI is how every assertion begins.
					return asApp(n, []string{key[len(key)-5], "eyJhbGciOiJQUzI1NiI"}, "client-certificate", "--client-certificate-file", cloudtest.File(n.T, string(content)))
				},
			},
			{
				Name: "app with a service account's token", Calls: slices.Concat(askEntra, askExchange), Refresh: askExchange,
				Go: func(n *testbed) cloudtest.Errand {
					n.Fake.AddApp(azure.App{ClientID: appID, Federated: []azure.FederatedCredential{
						{Issuer: n.Issuer.URL, Subject: shop.Subject(), Audience: podAudience},
					}})
					token := n.Token(shop, podAudience, time.Hour)
					return asApp(n, []string{signature(token)}, "workload-identity", "--federated-token-file", cloudtest.File(n.T, token))
				},
			},
			{
				Name: "machine of Azure Arc", Calls: slices.Concat(askArc, askExchange), Refresh: askExchange,
				Go: func(n *testbed) cloudtest.Errand {
					n.Fake.Configure(func(s *azure.Settings) { s.Arc.System = &azure.NodeIdentity })
					if err := n.Fake.PlaceArc(n.Cloud); err != nil {
						n.T.Fatal(err)
					}
					return cloudtest.Errand{Question: cloudtest.Question{Image: n.Image(0), Args: []string{"--credential=azure-arc"}}, Owner: azure.NodeIdentity.ClientID}
				},
			},
			{
				Name: "pod with an identity binding", Calls: slices.Concat(askBinding, askExchange), Refresh: askExchange,
				Go: func(n *testbed) cloudtest.Errand {
					n.Fake.Bind(azure.NodeIdentity.ClientID, shop.Subject())
					authority, err := cloud.NewAuthority()
					if err != nil {
						n.T.Fatal(err)
					}
					if err := n.Fake.PlaceIdentityBinding(n.Cloud, authority, netip.MustParseAddr(bindingIP), bindingSNI); err != nil {
						n.T.Fatal(err)
					}
					q := n.Own("--ib-sni-name", bindingSNI, "--ib-apiserver-ip", bindingIP, "--ib-ca-file", cloudtest.File(n.T, string(authority.PEM())))
					q.Token = n.Token(shop, azure.BindingAudience, time.Hour)
					q.Annotations = map[string]string{clientAnnotation: azure.NodeIdentity.ClientID}
					return cloudtest.Errand{Question: q, Owner: azure.NodeIdentity.ClientID, Secrets: []string{signature(q.Token)}}
				},
			},
		},
		Refused: []cloudtest.Refused[*azure.Fake]{
			{Name: "no federated credential", Says: []string{"AADSTS700213", "federated credential", shop.Subject()}, Ask: func(n *testbed) cloudtest.Question {
				return n.Pod(shop, n.Workload(batch))
			}},
			{Name: "an app that does not exist", Says: []string{"AADSTS700016", stranger}, Ask: func(n *testbed) cloudtest.Question {
				return n.Pod(shop, fake.Identity{Annotations: map[string]string{clientAnnotation: stranger, tenantAnnotation: tenant}})
			}},
			{Name: "a tenant that does not exist", Says: []string{"AADSTS90002", "nobody.example", "--cloud"}, Ask: func(n *testbed) cloudtest.Question {
				identity := n.Workload(shop)
				identity.Annotations[tenantAnnotation] = "nobody.example"
				return n.Pod(shop, identity)
			}},
			{Name: "no role", Calls: slices.Concat(askEntra, askExchange), Says: []string{"401", tenant, "AcrPull", "Container Registry Repository Reader"},
				Ask: func(n *testbed) cloudtest.Question {
					identity := n.Workload(shop)
					n.Fake.AddRegistry(azure.Registry{Hosts: []string{n.Registry(0)}})
					return n.Pod(shop, identity)
				}},
		},
		RefusedSays: map[string][]string{
			"a token for another audience": {"AADSTS700212", "serviceAccountTokenAudience", podAudience},
			"an expired token":             {"AADSTS700024"},
			"a token of another cluster":   {"AADSTS50013"},
		},
		Nameless: []cloudtest.Nameless{
			{Name: "empty annotations", Annotations: map[string]string{clientAnnotation: "", tenantAnnotation: ""}, Says: []string{clientAnnotation}},
			{Name: "a tenant alone", Annotations: map[string]string{tenantAnnotation: tenant}, Says: []string{clientAnnotation}},
			{Name: "others' of them", Annotations: map[string]string{"azure.workload.identity/client-id": appID}, Says: []string{clientAnnotation}},
		},
		Annotations: map[string][]string{
			clientAnnotation: {"pull", appID + "&scope=x", "/subscriptions/x/y"},
			tenantAnnotation: {
				"common", "organizations", "../evil", "evil.com/x", "evil.com?x", "evil.com#x", "a@evil.com", "evil..com", "evil.com\n",
			},
		},
		Commands: [][]string{
			{"--registry-mirror=mcr.microsoft.com:" + registry},
			{"-r", "mcr.microsoft.com:" + registry},
			{"--v=3"},
			{"--v=4", "--logtostderr=true", "--stderrthreshold=2", "--vmodule=a=1"},
			{"--ib-default-client-id=", "--ib-sni-name=", "--ib-apiserver-ip="},
		},
		Help: []string{
			`"*.azurecr.io"`, `"*.*.geo.azurecr.io"`,
			"--azure-config", "--registry-mirror", "--credential", "--client-id", "--tenant-id", "--cloud", "--scope", "--anonymous-fallback",
			"--ib-sni-name", "--ib-apiserver-ip", "--ib-default-client-id", "--ib-default-tenant-id", clientAnnotation,
		},
		Mistakes: []cloudtest.Mistake{
			{Name: "unknown flag of this plugin", Args: []string{"--registry-mirrors=a:b"}, Says: "unknown flag"},
			{Name: "two files", Args: []string{"/etc/kubernetes/azure.json"}, Says: "argument"},
			{Name: "two files, one by a flag", Args: []string{"--azure-config=/etc/kubernetes/azure.json"}, Says: "twice"},
			{Name: "unknown field of this plugin", Config: "clientId: x\n", Says: "clientId"},
		},
	})
}

// asApp is the errand of a node that is an app, which may pull, and nothing of
// whose azure.json counts.
func asApp(n *testbed, secrets []string, credential string, proof ...string) cloudtest.Errand {
	n.Fake.AddRegistry(azure.Registry{Hosts: []string{registry}, Roles: pullers(tenant, appID)})
	q := n.Own(append([]string{"--credential=" + credential, "--tenant-id", tenant, "--client-id", appID}, proof...)...)
	return cloudtest.Errand{Question: q, Owner: appID, Secrets: secrets}
}
