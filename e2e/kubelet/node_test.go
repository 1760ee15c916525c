package kubelet_test

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	kubeletconfig "k8s.io/kubelet/config/v1"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/clouds"
	"regcred/e2e/cloud/cloudtest"
	"regcred/e2e/cloud/fake"
	"regcred/e2e/cloud/oidc"
	"regcred/e2e/kubelet/wire"
)

// node is a machine in a cloud that has just booted, and nothing is cached.
type node struct {
	*fake.Node
	t *testing.T
}

// eachCloud runs a test on a node of every cloud.
func eachCloud(t *testing.T, test func(t *testing.T, n *node)) {
	for _, kind := range clouds.All() {
		t.Run(kind.Name, func(t *testing.T) { test(t, boot(t, kind)) })
	}
}

func boot(t *testing.T, kind fake.Kind) *node {
	t.Helper()
	booted, err := kind.Boot(cloudtest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	return &node{booted, t}
}

// here is a configuration with the files where they are on this node: /etc is
// the machine's own.
func (n *node) here(config string) string {
	for _, file := range n.Args {
		config = strings.ReplaceAll(config, "/etc/kubernetes/"+filepath.Base(file), file)
	}
	return config
}

// plugin is the directory of the node's plugin.
func (n *node) plugin(file string) string {
	return "../../plugins/" + strings.TrimSuffix(n.Plugin, "-credential-provider") + "/" + file
}

// nodeSample is the configuration that the plugin's help and documentation tell
// people to install, on this node.
func (n *node) nodeSample(change ...func(*kubeletconfig.CredentialProvider)) string {
	n.t.Helper()
	return n.sample("node.yaml", change)
}

// podsSample is the one for pods with identities of their own.
func (n *node) podsSample(change ...func(*kubeletconfig.CredentialProvider)) string {
	n.t.Helper()
	forAudience := func(provider *kubeletconfig.CredentialProvider) {
		provider.TokenAttributes.ServiceAccountTokenAudience = n.Audience
	}
	return n.sample("pods.yaml", append([]func(*kubeletconfig.CredentialProvider){forAudience}, change...))
}

func (n *node) sample(file string, change []func(*kubeletconfig.CredentialProvider)) string {
	n.t.Helper()
	return changed(n.t, n.plugin(file), func(provider *kubeletconfig.CredentialProvider) {
		provider.Args = slices.Concat(n.Args, provider.Args)
		for _, variable := range n.Env {
			name, value, _ := strings.Cut(variable, "=")
			provider.Env = append(provider.Env, kubeletconfig.ExecEnvVar{Name: name, Value: value})
		}
		for _, one := range change {
			one(provider)
		}
	})
}

// withArgs adds arguments to a configuration.
func withArgs(args ...string) func(*kubeletconfig.CredentialProvider) {
	return func(provider *kubeletconfig.CredentialProvider) { provider.Args = append(provider.Args, args...) }
}

// images are distinct images of registries, in turn; of the first, if none is
// named.
func (n *node) images(count int, numbers ...int) []string {
	if len(numbers) == 0 {
		numbers = []int{0}
	}
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d:v1.2.%d", n.Image(numbers[i%len(numbers)]), i, i)
	}
	return names
}

// slowDown makes the cloud take so long that every plugin that is started at
// once waits for the one that asks. Otherwise kubelet would have the answer
// before it has started the last.
func (n *node) slowDown() {
	for _, service := range n.Services {
		n.Cloud.Faults.Always(service, "", cloud.Slow{Delay: 500 * time.Millisecond})
	}
}

// whose is the owner of the credential that kubelet would pull with, or a
// description of what it would do instead.
func (n *node) whose(answer wire.Answer) string {
	switch {
	case !answer.Found:
		return "nobody's"
	case len(answer.Credentials) != 1:
		return fmt.Sprintf("%d credentials", len(answer.Credentials))
	}
	return n.owner(answer.Image, answer.Credentials[0])
}

// owner is whose a credential is, or why a runtime could not pull with it.
func (n *node) owner(image string, credential wire.Credential) string {
	if credential.Username == "" && credential.Password == "" {
		return "anonymous"
	}
	owner, err := n.Whose(withoutTag(image), credential.Username, credential.Password)
	if err != nil {
		return "useless: " + err.Error()
	}
	return owner
}

// withoutTag is an image without tag and digest, at its registry's own port.
func withoutTag(image string) string {
	host, path, _ := strings.Cut(image, "/")
	path, _, _ = strings.Cut(path, "@")
	path, _, _ = strings.Cut(path, ":")
	return strings.ToLower(strings.TrimSuffix(host, ":443")) + "/" + path
}

// wantAll fails the test for every answer that is not the owner's credential.
func (n *node) wantAll(answers []wire.Answer, owner string) {
	n.t.Helper()
	for i, answer := range answers {
		if got := n.whose(answer); got != owner {
			n.t.Errorf("answer %d of %d, for %s, is %s, want %s", i+1, len(answers), answer.Image, got, owner)
		}
	}
}

// wantCalls fails the test unless the cloud was asked exactly that since the
// last time.
func (n *node) wantCalls(want ...calls) {
	n.t.Helper()
	sum := calls{}
	for _, one := range want {
		for operation, count := range one {
			sum[operation] += count
		}
	}
	wantCalls(n.t, n.Cloud, sum)
}

// wantOneFailure fails the test unless kubelet logged one line of the plugin,
// with all the words in it.
func (n *node) wantOneFailure(done wire.RoundDone, words ...string) {
	n.t.Helper()
	failed := failures(done)
	if len(failed) != 1 || done.PluginErrors[n.Plugin] != 1 {
		n.t.Fatalf("kubelet counted %d errors and logged %q, want one failure", done.PluginErrors[n.Plugin], failed)
	}
	wantLine(n.t, said(n.t, failed[0]), words...)
}

// asked is what it takes to get an identity's credential for the first registry,
// once.
func asked(identity fake.Identity) calls {
	count := calls{}
	for _, call := range identity.Calls {
		fields := strings.Fields(call)
		count[fields[0]+" "+fields[1]]++
	}
	return count
}

// workload makes an identity of a service account's own, and the account as it
// is in the cluster.
func (n *node) workload(account oidc.ServiceAccount) (fake.Identity, wire.ServiceAccount) {
	identity := n.Workload(account)
	return identity, wire.ServiceAccount{
		Namespace: account.Namespace, Name: account.Name, UID: account.UID, Annotations: maps.Clone(identity.Annotations),
	}
}

// serviceAccount is one that names no identity, unless annotations, given as
// name and value in turn, do.
func serviceAccount(namespace, name string, annotations ...string) wire.ServiceAccount {
	account := wire.ServiceAccount{Namespace: namespace, Name: name, UID: "uid-of-" + namespace + "-" + name, Annotations: map[string]string{}}
	for i := 0; i < len(annotations); i += 2 {
		account.Annotations[annotations[i]] = annotations[i+1]
	}
	return account
}

// podsOf are lookups of the images, each for a pod of the service account with
// a token of its own.
func (n *node) podsOf(account wire.ServiceAccount, images ...string) []wire.Lookup {
	n.t.Helper()
	return n.podsFor(account, n.Audience, images...)
}

// podsFor is podsOf with tokens for an audience.
func (n *node) podsFor(account wire.ServiceAccount, audience string, images ...string) []wire.Lookup {
	n.t.Helper()
	lookups := make([]wire.Lookup, len(images))
	for i, image := range images {
		pod := wire.Pod{
			Namespace:      account.Namespace,
			Name:           fmt.Sprintf("%s-%d", account.Name, i),
			UID:            fmt.Sprintf("uid-of-%s-%s-%d", account.Namespace, account.Name, i),
			ServiceAccount: account.Name,
		}
		token, err := n.Issuer.Token(oidc.ServiceAccount{
			Namespace: account.Namespace, Name: account.Name, UID: account.UID,
			Pod: pod.Name, PodUID: pod.UID,
			Node: "node1", NodeUID: "uid-of-node1",
		}, audience, time.Hour)
		if err != nil {
			n.t.Fatal(err)
		}
		pod.Tokens = map[string]string{audience: token}
		lookups[i] = wire.Lookup{Image: image, Pod: pod}
	}
	return lookups
}

// passwords are the distinct passwords among answers.
func passwords(answers []wire.Answer) []string {
	var all []string
	for _, answer := range answers {
		for _, credential := range answer.Credentials {
			all = append(all, credential.Password)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
