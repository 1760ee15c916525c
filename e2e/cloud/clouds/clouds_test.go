package clouds

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
)

func TestMain(m *testing.M) { os.Exit(cloudtest.RunFake(m)) }

// boot starts a node of a kind. It skips where there is no namespace.
func boot(t *testing.T, kind fake.Kind) *fake.Node {
	t.Helper()
	c, err := cloud.New()
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	node, err := kind.Boot(c)
	if err != nil {
		t.Fatal(err)
	}
	return node
}

func TestEveryCloudBootsANode(t *testing.T) {
	for _, kind := range All() {
		t.Run(kind.Name, func(t *testing.T) {
			node := boot(t, kind)
			if node.Plugin != kind.Plugin || node.Name != kind.Name || node.Username == "" || node.Audience == "" {
				t.Errorf("node %+v", node.Kind)
			}
			var hosts []string
			for number := range 16 {
				hosts = append(hosts, node.Registry(number))
			}
			slices.Sort(hosts)
			if len(slices.Compact(hosts)) != 16 || slices.Contains(hosts, node.LookAlike) {
				t.Errorf("registries %v", hosts)
			}
			if owner, err := node.Whose(node.Image(0), node.Username, "made up"); err == nil {
				t.Errorf("a made-up password is %s's", owner)
			}
			shop, jobs := node.Workload(fake.Shop), node.Workload(fake.Jobs)
			if shop.Owner == jobs.Owner || shop.Owner == node.Machine.Owner {
				t.Errorf("owners %q, %q, %q", shop.Owner, jobs.Owner, node.Machine.Owner)
			}
			for name, identity := range map[string]fake.Identity{"machine": node.Machine, "shop": shop} {
				whole := strings.Join(append(identity.Calls, identity.Refresh...), "\n")
				if !strings.Contains(whole, identity.Fetch+" ") || len(identity.Annotations) != 0 != (name == "shop") {
					t.Errorf("%s: %+v", name, identity)
				}
				for _, call := range identity.Calls {
					if service, _, _ := strings.Cut(call, " "); !slices.Contains(node.Services, service) {
						t.Errorf("%s: %s is none of the services", name, call)
					}
				}
			}
			if says := node.Lose(); len(says) == 0 {
				t.Error("nothing is to be said of a machine without an identity")
			}
			node.Regain()
			if calls := node.Cloud.Calls.All(); len(calls) != 0 {
				t.Errorf("already asked\n%s", node.Cloud.Calls)
			}
		})
	}
}

func TestAPodsQuestionHasItsTokenAndAnnotations(t *testing.T) {
	for _, kind := range All() {
		t.Run(kind.Name, func(t *testing.T) {
			node := boot(t, kind)
			identity := node.Workload(fake.Shop)
			q, err := node.PodQuestion(node.Image(0), fake.Shop, identity)
			if err != nil {
				t.Fatal(err)
			}
			claims, err := node.Issuer.Verify(q.Token)
			if err != nil || claims.Subject != fake.Shop.Subject() || !slices.Contains(claims.Audience, node.Audience) {
				t.Errorf("claims %+v, %v", claims, err)
			}
			for name := range identity.Annotations {
				if q.Annotations[name] != identity.Annotations[name] {
					t.Errorf("annotation %s is %q", name, q.Annotations[name])
				}
			}
			if own := node.Question(node.Image(1)); own.Token != "" || own.Annotations != nil || !slices.Equal(own.Args, q.Args) {
				t.Errorf("the machine's own question is %+v", own)
			}
		})
	}
}

func TestACloudIsFoundByItsName(t *testing.T) {
	for _, kind := range All() {
		if found, err := Find(strings.ToUpper(kind.Name)); err != nil || found.Plugin != kind.Plugin {
			t.Errorf("%s is %+v, %v", kind.Name, found, err)
		}
	}
	if _, err := Find("moon"); err == nil || !strings.Contains(err.Error(), "aws, gcp, azure, oracle") {
		t.Errorf("the moon: %v", err)
	}
}

// What is denied is not asked for again and again: that is for errors of the
// service.
func TestADenialIsNoErrorOfTheService(t *testing.T) {
	for _, kind := range All() {
		t.Run(kind.Name, func(t *testing.T) {
			if denied := boot(t, kind).Denied; denied.Status/100 != 4 || denied.Status == http.StatusTooManyRequests || denied.Form {
				t.Errorf("denies by %+v", denied)
			}
		})
	}
}
