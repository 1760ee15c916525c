package plugintest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/shared/credential"
	"regcred/shared/explain"
	"regcred/shared/plugin"
	"regcred/shared/resolve"
	"regcred/shared/serviceaccount"
)

// Contract is what Conform has to know of a plugin.
type Contract struct {
	// Host is a registry of the cloud, and Foreign are hosts that are none,
	// many of them made to be taken for one.
	Host    string
	Foreign []string

	// Portless means that not even HTTPS's own port may follow the host.
	Portless bool

	// Literal means that hosts are compared as they are written: in their case,
	// and without any port but the one that is written.
	Literal bool

	// Annotations are what a service account names its identity with.
	Annotations map[string]string

	// NodeOnly means that there is no identity but the node's: a pod names none,
	// whatever its service account says.
	NodeOnly bool

	// Args are arguments that leave the node as it is, and Secrets what
	// is in them and in Env that nobody may see.
	Args, Env, Secrets []string
}

// Conform tests what of a plugin needs no network and is particular to no cloud:
// who is answered as whom, and what tells credentials apart.
func Conform(t *testing.T, p plugin.Plugin, c Contract) {
	for _, test := range []struct {
		name string
		test func(contract, *testing.T)
	}{
		{"TheSameQuestionHasTheSameSource", contract.repeatable},
		{"WhatIsSomebodyElsesHasNoSource", contract.foreign},
		{"AHostIsTheSameInAnyForm", contract.forms},
		{"IdentitiesHaveKeysOfTheirOwn", contract.keys},
		{"APodThatNamesNobodyHasTheNodesIdentityWhereThatIsAllowed", contract.nameless},
		{"AnAliasHasItsRegistrysSource", contract.aliases},
		{"TheNodesIdentityHasASource", contract.nodeIdentity},
		{"ASourceTellsNoSecret", contract.secrets},
		{"AnExplanationSaysWhoseIdentityAnswers", contract.explained},
		{"TheGuideNamesThePlugin", contract.guide},
	} {
		t.Run(test.name, func(t *testing.T) { test.test(contract{c, p}, t) })
	}
}

type contract struct {
	Contract
	plugin plugin.Plugin
}

// ask returns how a request is answered, with more arguments than the
// contract's.
func (c contract) ask(t *testing.T, host string, pod *serviceaccount.Token, annotations map[string]string, args ...string) (credential.Answer, error) {
	t.Helper()
	cloud, _, err := c.plugin.Load(slices.Concat(c.Args, args), Getenv(c.Env...))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := resolve.Answer(cloud, Request(t, host+"/team/app", pod, annotations))
	if err != nil && answer.Source != nil {
		t.Errorf("%s has the source %s besides the error %v", host, answer.Source, err)
	}
	return answer, err
}

// source is ask where there has to be a Source.
func (c contract) source(t *testing.T, host string, pod *serviceaccount.Token, annotations map[string]string, args ...string) credential.Source {
	t.Helper()
	answer, err := c.ask(t, host, pod, annotations, args...)
	if err != nil || answer.Source == nil {
		t.Fatalf("%s for %v has no source: %v", host, pod, err)
	}
	return answer.Source
}

// askers are whom the plugin answers: the node, and a pod that has an identity
// or may do without.
func (c contract) askers(t *testing.T) map[string]*serviceaccount.Token {
	pod := Pod(t, "sa", "uid-1", "pod-1")
	if c.NodeOnly {
		pod = PodIn(t, "kube-system", "sa", "uid-1", "pod-1")
	}
	return map[string]*serviceaccount.Token{"node": nil, "pod": pod}
}

// node is what the node itself is answered by.
func (c contract) node(t *testing.T, args ...string) credential.Source {
	t.Helper()
	return c.source(t, c.Host, nil, nil, args...)
}

func (c contract) nodeIdentity(t *testing.T) {
	cloud, _, err := c.plugin.Load(c.Args, Getenv(c.Env...))
	if err != nil {
		t.Fatal(err)
	}
	identifier, ok := cloud.Provider.(credential.NodeIdentifier)
	if !ok {
		t.Skip("no identity of the node")
	}
	source, err := identifier.NodeIdentity()
	if err != nil || source == nil {
		t.Fatalf("%v, %v", source, err)
	}
	if source.String() == "" || len(source.Key()) < 2 {
		t.Errorf("source %q, key %q", source, source.Key())
	}
	for _, secret := range c.Secrets {
		if told := source.String() + strings.Join(source.Key(), " "); strings.Contains(told, secret) {
			t.Errorf("%s is told: %s", secret, told)
		}
	}
}

func (c contract) repeatable(t *testing.T) {
	for name, pod := range c.askers(t) {
		first := c.source(t, c.Host, pod, c.Annotations)
		second := c.source(t, c.Host, pod, maps.Clone(c.Annotations))
		if !slices.Equal(first.Key(), second.Key()) || !slices.Equal(first.Key(), first.Key()) {
			t.Errorf("%s: keys %q and %q", name, first.Key(), second.Key())
		}
		if first.String() != second.String() {
			t.Errorf("%s: %s and %s", name, first, second)
		}
	}
}

func (c contract) foreign(t *testing.T) {
	hosts := append([]string{
		c.Host + ".evil.com", "evil." + c.Host, c.Host + ":5000", c.Host + ":80",
		"docker.io", "registry.k8s.io", "quay.io", "ghcr.io", "localhost:5000", "169.254.169.254", "[::1]", "xn--80ak6aa92e.com",
	}, c.Foreign...)
	for _, host := range hosts {
		for name, pod := range map[string]*serviceaccount.Token{"node": nil, "pod": Pod(t, "sa", "uid-1", "pod-1")} {
			for _, annotations := range []map[string]string{nil, c.Annotations} {
				answer, err := c.ask(t, host, pod, annotations, "--node-fallback=all")
				if answer != (credential.Answer{}) || err != nil {
					t.Errorf("%s as %s: %+v, %v", host, name, answer, err)
				}
			}
		}
	}
}

func (c contract) forms(t *testing.T) {
	for name, pod := range c.askers(t) {
		want := c.source(t, c.Host, pod, c.Annotations).Key()
		if c.Literal {
			for _, other := range []string{strings.ToUpper(c.Host), c.Host + ":443"} {
				if answer, err := c.ask(t, other, pod, c.Annotations); answer != (credential.Answer{}) || err != nil {
					t.Errorf("%s: %s is answered as %s: %+v, %v", name, other, c.Host, answer, err)
				}
			}
			continue
		}
		forms := []string{strings.ToUpper(c.Host)}
		if !c.Portless {
			forms = append(forms, c.Host+":443", strings.ToUpper(c.Host)+":443")
		}
		for _, host := range forms {
			if got := c.source(t, host, pod, c.Annotations).Key(); !slices.Equal(got, want) {
				t.Errorf("%s: %s has key %q, want %q", name, host, got, want)
			}
		}
	}
}

func (c contract) keys(t *testing.T) {
	const byPod = "--identity-scope=pod"
	first := Pod(t, "sa", "uid-1", "pod-1")
	sibling := Pod(t, "sa", "uid-1", "pod-2")
	if c.NodeOnly {
		first, sibling = PodIn(t, "kube-system", "sa", "uid-1", "pod-1"), PodIn(t, "kube-system", "sa", "uid-1", "pod-2")
	}
	key := func(pod *serviceaccount.Token, args ...string) string {
		return fmt.Sprintf("%q", c.source(t, c.Host, pod, c.Annotations, args...).Key())
	}
	if key(first) != key(sibling) {
		t.Error("pods of a service account have keys of their own")
	}
	if c.NodeOnly {
		if key(PodIn(t, "kube-system", "sa", "uid-1", "pod-1"), byPod) != key(nil) {
			t.Error("a pod has a key of its own")
		}
		return
	}
	if key(nil) != fmt.Sprintf("%q", c.node(t).Key()) {
		t.Error("annotations without a token make another key")
	}
	keys := map[string]string{}
	for name, key := range map[string]string{
		"node":                       key(nil),
		"service account":            key(first),
		"another one":                key(Pod(t, "sb", "uid-2", "pod-1")),
		"one that was made again":    key(Pod(t, "sa", "uid-9", "pod-1")),
		"one of another namespace":   key(PodIn(t, "stage", "sa", "uid-1", "pod-1")),
		"pod, pods being kept apart": key(first, byPod),
		"another pod":                key(sibling, byPod),
	} {
		if other, ok := keys[key]; ok {
			t.Errorf("%s and %s share the key %s", name, other, key)
		}
		keys[key] = name
	}
}

func (c contract) nameless(t *testing.T) {
	shop, system := PodIn(t, "shop", "web", "uid-1", "pod-1"), PodIn(t, "kube-system", "cni", "uid-2", "pod-2")
	node := c.node(t).Key()
	for _, test := range []struct {
		args   []string
		pod    *serviceaccount.Token
		asNode bool
	}{
		{nil, shop, false},
		{nil, system, true},
		{[]string{"--node-fallback=none"}, system, false},
		{[]string{"--node-fallback=all"}, shop, true},
		{[]string{"--node-fallback"}, shop, true},
		{[]string{"--node-fallback=shop"}, shop, true},
		{[]string{"--node-fallback=shop"}, system, false},
	} {
		answer, err := c.ask(t, c.Host, test.pod, nil, test.args...)
		switch {
		case test.asNode && (err != nil || answer.Source == nil || !slices.Equal(answer.Source.Key(), node)):
			t.Errorf("%v, %s: %v, %v, want the node's", test.args, test.pod, answer.Source, err)
		case !test.asNode && (err == nil || !strings.Contains(err.Error(), test.pod.String()) || !strings.Contains(err.Error(), "--node-fallback")):
			t.Errorf("%v, %s: %v, %v, want it refused", test.args, test.pod, answer.Source, err)
		}
		if c.NodeOnly {
			if answer, err := c.ask(t, c.Host, test.pod, map[string]string{"identity": "another"}, test.args...); (err == nil) != test.asNode || (answer.Source != nil) != test.asNode {
				t.Errorf("%v, %s with an annotation: %v, %v", test.args, test.pod, answer.Source, err)
			}
			continue
		}
		// Who names an identity has that one, whatever is allowed to others.
		if named := c.source(t, c.Host, test.pod, c.Annotations, test.args...); slices.Equal(named.Key(), node) {
			t.Errorf("%v, %s names an identity and has the node's", test.args, test.pod)
		}
	}
}

func (c contract) aliases(t *testing.T) {
	const mirror = "mirror.example.com"
	alias := []string{"--alias", mirror + "=" + c.Host}
	for name, pod := range c.askers(t) {
		want := c.source(t, c.Host, pod, c.Annotations).Key()
		if got := c.source(t, mirror, pod, c.Annotations, alias...).Key(); !slices.Equal(got, want) {
			t.Errorf("%s: an alias has key %q, want %q", name, got, want)
		}
	}
	for _, host := range []string{mirror + ":5000", "a." + mirror, mirror + ".evil.com"} {
		if answer, err := c.ask(t, host, nil, nil, alias...); answer != (credential.Answer{}) || err != nil {
			t.Errorf("%s: %+v, %v", host, answer, err)
		}
	}
	for _, target := range []string{"registry.example.com", c.Host + ".evil.com"} {
		if _, err := c.ask(t, mirror, nil, nil, "--alias", mirror+"="+target); err == nil || !strings.Contains(err.Error(), target) {
			t.Errorf("an alias of %s: %v", target, err)
		}
	}
}

func (c contract) secrets(t *testing.T) {
	pod := c.askers(t)["pod"]
	secrets := append([]string{pod.Reveal()}, c.Secrets...)
	for name, source := range map[string]credential.Source{"node": c.node(t), "pod": c.source(t, c.Host, pod, c.Annotations)} {
		if text := source.String(); text == "" || strings.ContainsAny(text, "\r\n") {
			t.Errorf("%s: %q is not a phrase", name, text)
		}
		for what, text := range map[string]string{
			"the key": fmt.Sprintf("%q", source.Key()), "String": source.String(), "%v": fmt.Sprintf("%v", source),
			"%+v": fmt.Sprintf("%+v", source), "%#v": fmt.Sprintf("%#v", source),
		} {
			for i, secret := range secrets {
				if strings.Contains(text, secret) {
					t.Errorf("%s: secret %d is in %s", name, i, what)
				}
			}
		}
	}
}

// explained is what a person is told of whose identity answers.
func (c contract) explained(t *testing.T) {
	named, nameless := Pod(t, "sa", "uid-1", "pod-1"), PodIn(t, "shop", "web", "uid-2", "pod-2")
	secrets := append([]string{named.Reveal(), nameless.Reveal()}, c.Secrets...)
	for _, test := range []struct {
		name        string
		pod         *serviceaccount.Token
		annotations map[string]string
		args        []string
		want        explain.Identity
		why         string
	}{
		{"the node", nil, nil, nil, explain.Node, "no service account token"},
		{"a pod", named, c.Annotations, nil, explain.Pod, "prod/sa names an identity"},
		{"a pod, pods being kept apart", named, c.Annotations, []string{"--identity-scope=pod"}, explain.Pod, "prod/sa names an identity"},
		{"a pod that names none", nameless, nil, nil, "", ""},
		{"a pod that may have the node's", nameless, nil, []string{"--node-fallback=shop"}, explain.Node, "--node-fallback=shop"},
	} {
		if c.NodeOnly && test.want == explain.Pod {
			continue
		}
		cloud, _, err := c.plugin.Load(slices.Concat(c.Args, test.args, []string{"--cache-dir="}), Getenv(c.Env...))
		if err != nil {
			t.Fatal(err)
		}
		e := explain.Request(c.plugin.Name, cloud, Request(t, c.Host+"/team/app", test.pod, test.annotations), time.Now())
		if e.Identity != test.want || !strings.Contains(e.Why, test.why) || (e.Refused != "") != (test.want == "") || (e.Source != "") != (test.want != "") {
			t.Errorf("%s: %+v", test.name, e)
		}
		data, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		for i, secret := range secrets {
			if text := string(data) + e.Text(time.Now()); strings.Contains(text, secret) {
				t.Errorf("%s: secret %d is in %s", test.name, i, text)
			}
		}
	}
}

func (c contract) guide(t *testing.T) {
	usage := c.plugin.Guide + c.plugin.Usage(Getenv())
	for _, want := range []string{c.plugin.Name, "kind: CredentialProviderConfig", "matchImages:", "--node-fallback", "--cache-dir", "--config"} {
		if !strings.Contains(usage, want) {
			t.Errorf("help does not show %s", want)
		}
	}
	if !strings.HasSuffix(c.plugin.Name, "-credential-provider") || !strings.HasSuffix(c.plugin.Kind, "CredentialProviderConfig") {
		t.Errorf("the plugin is %s, its file a %s", c.plugin.Name, c.plugin.Kind)
	}
}
