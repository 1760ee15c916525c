package cloudtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
)

// nodeFallback lets pods without an identity of their own pull as the node.
const nodeFallback = "--node-fallback"

// What was obtained for one is for nobody else, in whatever order they come.
func (s Suite[F]) apart(t *testing.T) {
	n := s.boot(t)
	shop, jobs := n.Workload(fake.Shop), n.Workload(fake.Jobs)
	type asker struct {
		name     string
		ask      func() Question
		identity fake.Identity
	}
	askers := []asker{
		{"node", func() Question { return n.Own() }, n.Machine},
		{"shop", func() Question { return n.Pod(fake.Shop, shop) }, shop},
		{"jobs", func() Question { return n.Pod(fake.Jobs, jobs) }, jobs},
	}
	first := map[string]string{}
	for _, a := range askers {
		login := n.WantLogin(n.Ask(a.ask()), n.Image(0), a.identity.Owner)
		n.WantCalls(a.identity.Calls)
		for other, password := range first {
			if login.Password == password {
				t.Errorf("%s and %s share a password", a.name, other)
			}
		}
		first[a.name] = login.Password
	}
	for round := range 3 {
		for _, a := range askers {
			if n.WantLogin(n.Ask(a.ask()), n.Image(0), a.identity.Owner).Password != first[a.name] {
				t.Errorf("round %d: %s got another password than before", round, a.name)
			}
		}
		slices.Reverse(askers)
	}
	n.WantCalls()

	// Annotations alone buy nothing: not without a token, and not with that of
	// somebody else.
	q := n.Own()
	q.Annotations = shop.Annotations
	if n.WantLogin(n.Ask(q), q.Image, n.Machine.Owner).Password != first["node"] {
		t.Error("annotations without a token make another credential")
	}
	stolen := n.Ask(n.Pod(fake.Jobs, shop))
	if stolen.Exit != 0 {
		stolen.WantFailure(1, "service account jobs/batch")
	} else {
		n.WantLogin(stolen, n.Image(0), jobs.Owner)
	}
}

func (s Suite[F]) identities(t *testing.T) {
	sibling, reborn, elsewhere := fake.Shop, fake.Shop, fake.Shop
	sibling.Pod, sibling.PodUID = "web-1", "a7e1b2c3-d4e5-4f60-8192-a3b4c5d6e7f8"
	reborn.UID = "00000000-1111-4222-8333-444444444444"
	elsewhere.Namespace = "stage"
	podScope := []string{"--identity-scope=pod"}
	for _, test := range []struct {
		name   string
		second oidc.ServiceAccount
		args   []string
		shares bool
	}{
		{"another pod of the service account", sibling, nil, true},
		{"a new token of the pod", fake.Shop, nil, true},
		{"another pod, pods being kept apart", sibling, podScope, false},
		{"a new token, pods being kept apart", fake.Shop, podScope, true},
		{"a service account that was made again", reborn, nil, false},
		{"the service account of another namespace", elsewhere, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := s.boot(t)
			identity := n.Workload(fake.Shop, elsewhere)
			first := n.WantLogin(n.Ask(n.Pod(fake.Shop, identity, test.args...)), n.Image(0), identity.Owner)
			second, _ := n.Ask(n.Pod(test.second, identity, test.args...)).WantLogin(n.Registry(0), n.Username)
			if shares := first.Password == second; shares != test.shares {
				t.Errorf("one password: %t, want %t", shares, test.shares)
			}
			n.WantNever(s.machines(n)...)
		})
	}
}

// machines are the services that are asked for the machine's identity and not
// for a pod's.
func (s Suite[F]) machines(n *Node[F]) []string {
	machine, _ := services(n.Machine.Calls)
	pods, _ := services(n.Workload(fake.Shop).Calls)
	return slices.DeleteFunc(machine, func(name string) bool { return slices.Contains(pods, name) })
}

// A pod has its own identity or none: the node's is not lent, unless the
// operator says so.
func (s Suite[F]) nameless(t *testing.T) {
	for _, nameless := range append([]Nameless{{Name: "no annotations"}}, s.Nameless...) {
		t.Run(nameless.Name, func(t *testing.T) {
			t.Parallel()
			n := s.boot(t)
			q := n.Pod(fake.Shop, fake.Identity{Annotations: nameless.Annotations}, nameless.Args...)
			n.Ask(q).WantFailure(1, append(nameless.Says, n.Registry(0)+": ", "service account shop/web", nodeFallback)...)
			n.WantCalls()

			own := n.WantLogin(n.Ask(With(q, nodeFallback)), q.Image, n.Machine.Owner)
			n.WantCalls(n.Machine.Calls)
			if n.WantLogin(n.Ask(n.Own()), q.Image, n.Machine.Owner).Password != own.Password {
				t.Error("the node's own credential is another")
			}
			n.WantCalls()
		})
	}
}

// Who can make pods in kube-system owns the cluster anyway. Pods of other
// namespaces are not lent the node's identity unless the operator lists them.
func (s Suite[F]) fallback(t *testing.T) {
	system, shop := fake.Shop, fake.Shop
	system.Namespace, system.Name = "kube-system", "cni"
	n := s.boot(t)
	for _, test := range []struct {
		args    []string
		account oidc.ServiceAccount
		asNode  bool
	}{
		{nil, system, true},
		{nil, shop, false},
		{[]string{nodeFallback + "=none"}, system, false},
		{[]string{nodeFallback + "=none"}, shop, false},
		{[]string{nodeFallback + "=all"}, system, true},
		{[]string{nodeFallback + "=all"}, shop, true},
		{[]string{nodeFallback}, shop, true},
		{[]string{nodeFallback + "=shop,stage"}, shop, true},
		{[]string{nodeFallback + "=stage"}, shop, false},
		{[]string{nodeFallback + "=shop"}, system, false},
	} {
		t.Run(fmt.Sprintf("%s %v", test.account.Namespace, test.args), func(t *testing.T) {
			n := n.In(t)
			a := n.Ask(n.Pod(test.account, fake.Identity{}, test.args...))
			if test.asNode {
				n.WantLogin(a, n.Image(0), n.Machine.Owner)
				return
			}
			a.WantFailure(1, n.Registry(0)+": ", "service account "+test.account.Namespace+"/"+test.account.Name, nodeFallback)
		})
	}
	if s.NodeOnly {
		return
	}
	// Who names an identity has that one or none, wherever it is.
	other := n.Workload(fake.Jobs)
	q := n.Pod(system, other)
	q.Token = n.Token(system, "https://kubernetes.default.svc", time.Hour)
	n.Ask(q).WantFailure(1, n.Registry(0)+": ", "service account kube-system/cni")
}

// Whom the cloud refuses does not pull with the node's identity instead, not
// even where a pod without an identity would.
func (s Suite[F]) refused(t *testing.T) {
	refused := append([]Refused[F]{
		{Name: "a token for another audience", Ask: func(n *Node[F]) Question {
			q := n.Pod(fake.Shop, n.Workload(fake.Shop))
			q.Token = n.Token(fake.Shop, "https://kubernetes.default.svc", time.Hour)
			return q
		}},
		{Name: "an expired token", Ask: func(n *Node[F]) Question {
			q := n.Pod(fake.Shop, n.Workload(fake.Shop))
			q.Token = n.Token(fake.Shop, n.Audience, -time.Second)
			return q
		}},
		{Name: "a token of another cluster", Ask: func(n *Node[F]) Question {
			q := n.Pod(fake.Shop, n.Workload(fake.Shop))
			token, err := oidc.NewIssuer(n.Issuer.URL).Token(fake.Shop, n.Audience, time.Hour)
			if err != nil {
				n.T.Fatal(err)
			}
			q.Token = token
			return q
		}},
	}, s.Refused...)
	for _, test := range refused {
		t.Run(test.Name, func(t *testing.T) {
			t.Parallel()
			n := s.boot(t)
			q := With(test.Ask(n), nodeFallback)
			calls := test.Calls
			if calls == nil {
				calls = n.Workload(fake.Shop).Calls[:1]
			}
			host := hostOf(calls[len(calls)-1])
			says := slices.Concat([]string{n.Registry(0) + ": ", host, "service account shop/web"}, test.Says, s.RefusedSays[test.Name])
			n.Ask(q).WantFailure(1, says...)
			if s.Insists {
				last := calls[len(calls)-1]
				n.WantAtMost(most, serviceOf(last), operationOf(last))
				n.WantNever(s.machines(n)...)
				n.Cloud.Calls.Reset()
			} else {
				n.WantCalls(calls) // once: what is refused stays refused
			}
			n.WantRecorded(q, says...)
		})
	}
}

func (s Suite[F]) brokenTokens(t *testing.T) {
	n := s.boot(t)
	q := n.Pod(fake.Shop, n.Workload(fake.Shop), nodeFallback)
	good := q.Token
	for name, token := range map[string]string{
		"not a JWT":  "opaque",
		"two parts":  good[:strings.LastIndex(good, ".")],
		"not base64": "a.%%%.c",
		"not JSON":   "eyJhbGciOiJSUzI1NiJ9.bm90LWpzb24tYXQtYWxsLWFuZC1sb25nLWVub3VnaA.c2ln",
		"too long":   good + strings.Repeat("x", 64<<10),
	} {
		t.Run(name, func(t *testing.T) {
			n := n.In(t)
			q := q
			q.Token = token
			n.Ask(q).WantFailure(1, "service account token")
			n.WantCalls()
		})
	}
}

// A version that knows no service accounts is not answered as if there were none.
func (s Suite[F]) oldPods(t *testing.T) {
	n := s.boot(t)
	for _, version := range []string{"v1beta1", "v1alpha1"} {
		q := n.Pod(fake.Shop, n.Workload(fake.Shop), nodeFallback)
		q.APIVersion = "credentialprovider.kubelet.k8s.io/" + version
		n.Ask(q).WantFailure(1, version, "service account")
	}
	n.WantCalls()
}

// Kubernetes allows an object 256 KiB of annotations, and JSON six bytes for some
// of their characters.
func (s Suite[F]) largestAnnotations(t *testing.T) {
	n := s.boot(t)
	large := strings.Repeat("\x01", 250<<10)
	if s.NodeOnly {
		q := n.Pod(fake.Shop, fake.Identity{Annotations: map[string]string{"example.com/large": large}}, nodeFallback)
		n.WantLogin(n.Ask(q), q.Image, n.Machine.Owner)
		return
	}
	shop := n.Workload(fake.Shop)
	shop.Annotations["example.com/large"] = large
	n.WantLogin(n.Ask(n.Pod(fake.Shop, shop)), n.Image(0), shop.Owner)
}

// Whoever may edit a service account writes its annotations. They end up in
// URLs and in messages.
func (s Suite[F]) annotations(t *testing.T) {
	n := s.boot(t)
	shop := n.Workload(fake.Shop)
	for annotation, values := range s.Annotations {
		values = append(values, strings.Repeat("p", 64<<10))
		if good := shop.Annotations[annotation]; good != "" {
			values = append(values, " "+good, good+"\n", good+"\x00", good+"\u200b")
		}
		for i, value := range values {
			for _, args := range [][]string{nil, {nodeFallback}} {
				t.Run(fmt.Sprintf("%s %d %v", annotation, i, args), func(t *testing.T) {
					n := n.In(t)
					q := n.Pod(fake.Shop, shop, args...)
					q.Annotations = maps.Clone(q.Annotations)
					q.Annotations[annotation] = value
					a := n.Ask(q)
					a.WantFailure(1, n.Registry(0), "service account shop/web", annotation)
					if len(a.Stderr) > 1024 {
						t.Errorf("the line for %.40q… has %d characters", value, len(a.Stderr))
					}
					n.WantCalls()
				})
			}
		}
	}
}

// The failure of one identity says nothing of another's.
func (s Suite[F]) ownFailure(t *testing.T) {
	n := s.boot(t)
	shop, jobs := n.Workload(fake.Shop), n.Workload(fake.Jobs)
	q := n.Pod(fake.Shop, shop)
	q.Token = n.Token(fake.Shop, "https://kubernetes.default.svc", time.Hour)
	n.Ask(q).WantFailure(1, "service account shop/web")
	n.WantLogin(n.Ask(n.Pod(fake.Jobs, jobs)), n.Image(0), jobs.Owner)
	n.WantLogin(n.Ask(n.Own()), n.Image(0), n.Machine.Owner)
}
