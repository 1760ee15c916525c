package acr_test

import (
	"os"
	"testing"
	"time"

	"regcred/e2e/cloud/azure"
	"regcred/e2e/cloud/cloudtest"
)

// Registries of other teams, tenants and clouds, each with the identity that may
// pull from it.
func TestRegistriesWithIdentitiesOfTheirOwn(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.assign(azure.InstanceSettings{System: &system, User: []azure.ManagedIdentity{pull}})
	n.serve("team.azurecr.io", pull.ClientID)
	n.trustIdentity()
	n.serveRegistry(azure.Registry{Hosts: []string{"partner.azurecr.io"}, Tenant: abroad, Roles: pullers(abroad, appID)})
	china, _ := n.sovereign(azure.China, "example.azurecr.cn")
	config := configFile(t, `
registries:
  team.azurecr.io:
    clientID: `+pull.ClientID+`
  Partner.azurecr.io:
    credential: federated-managed-identity
    tenantID: `+abroad+`
    clientID: `+appID+`
    managedIdentityClientID: `+pull.ClientID+`
  example.azurecr.cn:
    cloud: AzureChinaCloud
    credential: client-secret
    tenantID: `+sovereignTenant+`
    clientID: `+appID+`
    clientSecretFile: `+china.Args[len(china.Args)-1]+`
`)
	n.azure.AddApp(azure.App{ClientID: appID, Tenants: []string{tenant, abroad, sovereignTenant}, Federated: []azure.FederatedCredential{
		{Issuer: "https://login.microsoftonline.com/" + tenant + "/v2.0", Subject: pull.ObjectID, Audience: podAudience},
	}})
	for _, test := range []struct {
		host string
		want azure.Principal
		asks []calls
	}{
		{registry, azure.Principal{Tenant: tenant, ClientID: system.ClientID}, []calls{askNode}},
		{"team.azurecr.io", azure.Principal{Tenant: tenant, ClientID: pull.ClientID}, []calls{askIMDS, askExchangeAt("team.azurecr.io")}},
		{"partner.azurecr.io", azure.Principal{Tenant: abroad, ClientID: appID}, []calls{askIMDS, askEntra, askExchangeAt("partner.azurecr.io")}},
		{"example.azurecr.cn", sovereignApp, []calls{askEntraAt("login.chinacloudapi.cn"), askExchangeAt("example.azurecr.cn")}},
		{"TEAM.azurecr.io:443", azure.Principal{Tenant: tenant, ClientID: pull.ClientID}, nil},
	} {
		n.ask(question{Image: test.host + "/" + repository, Args: []string{"--config", config}}).wantCredentialOf(test.host, test.want)
		n.WantCalls(test.asks...)
	}
}

// The admin user, a registry's own token, a service principal that logs in
// itself: a plain password, for that host alone.
func TestARegistryWithAPlainLogin(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	password := cloudtest.File(t, "Passw0rd+/==\n")
	n.serveRegistry(azure.Registry{Hosts: []string{"admin.azurecr.io"}, Logins: []azure.Login{{Username: "admin", Password: "Passw0rd+/=="}}})
	config := configFile(t, "registries:\n  admin.azurecr.io:\n    login: {username: admin, passwordFile: "+password+"}\n")
	q := question{Image: "Admin.azurecr.io/" + repository, Args: []string{"--config", config}}
	shown, keep := n.ask(q).WantLogin("Admin.azurecr.io", "admin")
	if err := n.azure.Pull("admin.azurecr.io", "admin", shown, repository); err != nil {
		t.Error(err)
	}
	if keep > 5*time.Minute {
		t.Errorf("the kubelet keeps for %s a password that may be changed", keep)
	}
	n.WantCalls()

	// It is nobody else's.
	n.ask(question{Image: image, Args: q.Args}).wantCredential(registry, system.ClientID)
	n.WantCalls(askNode)
	pod := n.pod(shop, podAudience, time.Hour)
	q.Token = pod.token
	n.ask(q).WantFailure(1, "shop/web", "--node-fallback")
	if got, _ := n.ask(q.with("--node-fallback")).WantLogin("Admin.azurecr.io", "admin"); got != shown {
		t.Error("another password with --node-fallback")
	}
	n.WantCalls()

	if err := os.Remove(password); err != nil {
		t.Fatal(err)
	}
	n.ask(question{Image: "admin.azurecr.io/app", Args: append([]string{"--cache-dir="}, q.Args...)}).WantFailure(1, password, "no such file")
}

// An entry is the node's identity for a registry, and no pod's.
func TestAPodIsNotLentTheIdentityOfARegistry(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	n.assign(azure.InstanceSettings{System: &system, User: []azure.ManagedIdentity{pull}})
	n.serve("team.azurecr.io", pull.ClientID, appID)
	n.trust(appID, shop)
	config := configFile(t, "registries:\n  team.azurecr.io:\n    clientID: "+pull.ClientID+"\n")
	p := n.pod(shop, podAudience, time.Hour)
	q := p.question().with("--config", config)
	q.Image = "team.azurecr.io/" + repository
	n.ask(q).WantFailure(1, "shop/web")
	n.WantCalls()
	n.ask(q.annotated(clientAnnotation, appID, tenantAnnotation, tenant)).wantCredential("team.azurecr.io", appID)
	n.WantCalls(askEntra, askExchangeAt("team.azurecr.io"))
	n.ask(q.with("--node-fallback")).wantCredential("team.azurecr.io", pull.ClientID)
}

func TestAnEntryThatIsNotWholeIsAMistakeOfTheOperators(t *testing.T) {
	t.Parallel()
	n := bootNode(t)
	for name, entry := range map[string]string{
		"no login server": "evil.com: {clientID: " + pull.ClientID + "}",
		"look-alike":      "foo.azurecr.io.evil.com: {clientID: " + pull.ClientID + "}",
		"twice":           "a.azurecr.io: {clientID: " + pull.ClientID + "}\n  A.azurecr.io: {clientID: " + pull.ClientID + "}",
		"nobody":          "a.azurecr.io: {tenantID: " + tenant + "}",
		"half an app":     "a.azurecr.io: {credential: client-secret, clientID: " + appID + ", tenantID: " + tenant + "}",
		"both":            "a.azurecr.io: {clientID: " + pull.ClientID + ", login: {username: a, passwordFile: /etc/hostname}}",
		"no user":         "a.azurecr.io: {login: {passwordFile: /etc/hostname}}",
		"another cloud's": "a.azurecr.cn: {clientID: " + pull.ClientID + "}",
		"unknown cloud":   "a.azurecr.cn: {cloud: China, clientID: " + pull.ClientID + "}",
		"unknown field":   "a.azurecr.io: {clientId: " + pull.ClientID + "}",
	} {
		t.Run(name, func(t *testing.T) {
			n := n.in(t)
			n.ask(question{Image: image, Args: []string{"--config", configFile(t, "registries:\n  "+entry+"\n")}}).WantFailure(2, "registries")
			n.WantCalls()
		})
	}
}
