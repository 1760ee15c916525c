package icr_test

import (
	"strings"
	"testing"

	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/ibm"
)

const config = "ICRCredentialProviderConfig"

// An API key is handed out as it is for the exact host for which the operator
// says so, and for no other name of the same registry.
func TestALoginIsForItsHostAlone(t *testing.T) {
	n := boot(t)
	n.ibm.AddServiceID(puller, apiKey)
	n.ibm.AddProfile(ibm.Profile{ID: partner, Assumers: []string{puller.IAMID()}, Reader: true})
	file := cloudtest.File(t, apiKey+"\n")
	args := []string{"--config", cloudtest.ConfigFile(t, config, `logins:
  de.icr.io: {username: iamapikey, passwordFile: `+file+`}
  private.fr2.icr.io: {username: `+partner+`, passwordFile: `+file+`}
`)}
	for host, want := range map[string]struct{ username, owner string }{
		"de.icr.io":                  {ibm.KeyUser, puller.IAMID()},
		"DE.icr.io":                  {ibm.KeyUser, puller.IAMID()},
		"de.icr.io:443":              {ibm.KeyUser, puller.IAMID()},
		"private.fr2.icr.io":         {partner, "iam-" + partner},
		"private.de.icr.io":          {ibm.TokenUser, machineID},
		"fr2.icr.io":                 {ibm.TokenUser, machineID},
		"registry.eu-de.bluemix.net": {ibm.TokenUser, machineID},
		"us.icr.io":                  {ibm.TokenUser, machineID},
	} {
		image := host + "/team/app"
		n.wantLogin(n.ask(image, args...), image, want.username, want.owner)
	}
	n.wantCalls(askMachine)

	// Not to one that stands for it, and not to a pod that has an identity.
	n.ask("mirror.example.com/app", append(args, "--alias=mirror.example.com=de.icr.io")...).WantFailure(1, "the login of de.icr.io is for that host alone")
	shop := n.Workload(fake.Shop)
	q, err := n.PodQuestion("de.icr.io/team/app", fake.Shop, shop)
	if err != nil {
		t.Fatal(err)
	}
	q = cloudtest.With(q, args...)
	n.wantLogin(cloudtest.Ask(t, n.Cloud, plugin, q, q.Request()), q.Image, ibm.TokenUser, shop.Owner)
	n.wantCalls(shop.Calls)
}

// IBM's entitled registry is answered for where there is a key for it, with that
// alone, and nothing else is sent there.
func TestTheEntitledRegistry(t *testing.T) {
	n := boot(t)
	const key, entitled = "entitlement-key-0123456789", ibm.EntitledHost + "/cp/icp4a/app"
	args := []string{"--entitlement-key-file", cloudtest.File(t, key+"\n")}
	n.ask(entitled).WantNothing(0, 0)
	if password, _ := n.ask(entitled, args...).WantLogin(ibm.EntitledHost, ibm.EntitledUser); password != key {
		t.Error("the password is not the entitlement key")
	}
	for _, host := range []string{"private.cp.icr.io", "cp.stg.icr.io", "cp.icr.io:5000", "dd0.icr.io"} {
		n.ask(host+"/cp/app", args...).WantNothing(0, 0)
	}
	n.wantLogin(n.ask(image, args...), image, ibm.TokenUser, machineID)
	n.wantCalls(askMachine)

	q, err := n.PodQuestion(entitled, fake.Shop, n.Workload(fake.Shop))
	if err != nil {
		t.Fatal(err)
	}
	cloudtest.Ask(t, n.Cloud, plugin, q, q.Request()).WantNothing(0, 0)
	q = cloudtest.With(q, args...)
	refused := cloudtest.Ask(t, n.Cloud, plugin, q, q.Request())
	refused.WantFailure(1, "cp.icr.io: service account shop/web: the entitlement key is the node's", "--node-fallback=kube-system,shop")
	q = cloudtest.With(q, "--node-fallback=shop")
	if password, _ := cloudtest.Ask(t, n.Cloud, plugin, q, q.Request()).WantLogin(ibm.EntitledHost, ibm.EntitledUser); password != key {
		t.Error("the password is not the entitlement key")
	}
	n.wantCalls()
	broken := n.ask(entitled, "--entitlement-key-file", cloudtest.File(t, "two\nlines\n"), "--cache-dir=")
	broken.WantFailure(1, "entitlementKeyFile", "more than one line")
	if strings.Contains(broken.Stderr, "two") {
		t.Error("what is in the file is said")
	}
}
