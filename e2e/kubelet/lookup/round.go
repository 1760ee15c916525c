package main

import (
	"sync"
	"time"

	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/plugin"
	"k8s.io/kubernetes/pkg/util/parsers"

	"regcred/e2e/kubelet/wire"
)

// lookupAll makes every lookup at once and returns when the last is answered.
// Kubelet has no limit here either: credentials are looked up by each pod's own
// worker, before the pull waits for its turn.
func lookupAll(lookups []wire.Lookup) []wire.Answer {
	answers := make([]wire.Answer, len(lookups))
	begin := make(chan struct{})
	var answered sync.WaitGroup
	for i, l := range lookups {
		answered.Go(func() {
			<-begin
			answers[i] = lookup(l)
			answers[i].Image = l.Image
		})
	}
	close(begin)
	answered.Wait()
	return answers
}

// lookup does what kubelet's image manager does before a pull: it cuts the tag
// and the digest off, makes the pod's keyring and asks it.
func lookup(l wire.Lookup) wire.Answer {
	repository, _, _, err := parsers.ParseImageName(l.Image)
	if err != nil {
		return wire.Answer{Error: err.Error()}
	}
	began := time.Now()
	keyring := keyringOf(l)
	credentials, found := keyring.Lookup(repository)
	answer := wire.Answer{Found: found, Elapsed: time.Since(began)}
	for _, c := range credentials {
		answer.Credentials = append(answer.Credentials, wire.Credential{
			Username:       c.Username,
			Password:       c.Password,
			ServiceAccount: owner(c.Source),
		})
	}
	return answer
}

// keyringOf is what kubelet asks. For docker configurations of the node it is
// kubelet's own, but for what that remembers for five minutes.
func keyringOf(l wire.Lookup) credentialprovider.DockerKeyring {
	if l.RootDir == "" {
		return plugin.NewExternalCredentialProviderDockerKeyring(l.Pod.Namespace, l.Pod.Name, l.Pod.UID, l.Pod.ServiceAccount)
	}
	credentialprovider.SetPreferredDockercfgPath(l.RootDir)
	keyring := &credentialprovider.BasicDockerKeyring{}
	if config, err := credentialprovider.ReadDockerConfigFile(); err == nil {
		keyring.Add(nil, config)
	}
	return keyring
}

func owner(source *credentialprovider.CredentialSource) string {
	if source == nil || source.ServiceAccount == nil {
		return ""
	}
	return source.ServiceAccount.Namespace + "/" + source.ServiceAccount.Name
}
