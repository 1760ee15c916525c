package plugintest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"regcred/shared/credential"
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

	// Annotations are what a service account names its identity with.
	Annotations map[string]string

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
		{"ASourceTellsNoSecret", contract.secrets},
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

// node is what the node itself is answered by.
func (c contract) node(t *testing.T, args ...string) credential.Source {
	t.Helper()
	return c.source(t, c.Host, nil, nil, args...)
}

func (c contract) repeatable(t *testing.T) {
	for name, pod := range map[string]*serviceaccount.Token{"node": nil, "pod": Pod(t, "sa", "uid-1", "pod-1")} {
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
	for name, pod := range map[string]*serviceaccount.Token{"node": nil, "pod": Pod(t, "sa", "uid-1", "pod-1")} {
		want := c.source(t, c.Host, pod, c.Annotations).Key()
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
	key := func(pod *serviceaccount.Token, args ...string) string {
		return fmt.Sprintf("%q", c.source(t, c.Host, pod, c.Annotations, args...).Key())
	}
	if key(first) != key(sibling) {
		t.Error("pods of a service account have keys of their own")
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
		// Who names an identity has that one, whatever is allowed to others.
		if named := c.source(t, c.Host, test.pod, c.Annotations, test.args...); slices.Equal(named.Key(), node) {
			t.Errorf("%v, %s names an identity and has the node's", test.args, test.pod)
		}
	}
}

func (c contract) aliases(t *testing.T) {
	const mirror = "mirror.example.com"
	alias := []string{"--alias", mirror + "=" + c.Host}
	for name, pod := range map[string]*serviceaccount.Token{"node": nil, "pod": Pod(t, "sa", "uid-1", "pod-1")} {
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
	pod := Pod(t, "sa", "uid-1", "pod-1")
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
