package kubelet_test

import (
	"context"
	"fmt"
	"log"

	"regcred/shared/kubelet"
)

// Which providers are asked for an image, and why the others are not.
func Example() {
	config, err := kubelet.Parse("config.yaml", []byte(`
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
- name: ecr-credential-provider
  matchImages: ["*.dkr.ecr.*.amazonaws.com"]
  defaultCacheDuration: 0s
  apiVersion: credentialprovider.kubelet.k8s.io/v1
- name: acr-credential-provider
  matchImages: ["*.azurecr.io/*"]
  defaultCacheDuration: 0s
  apiVersion: credentialprovider.kubelet.k8s.io/v1
`))
	if err != nil {
		log.Fatal(err) // The kubelet would not start.
	}
	for _, problem := range config.Problems {
		fmt.Println(problem.Level, problem.Code)
	}
	name, err := kubelet.ImageName("contoso.azurecr.io/app:v1")
	if err != nil {
		log.Fatal(err)
	}
	for _, match := range config.Match(name) {
		fmt.Println(match.Provider.Name, match.Matched, match.Pattern)
	}
	// Output:
	// warning pattern-path-glob
	// ecr-credential-provider false *.dkr.ecr.*.amazonaws.com
	// acr-credential-provider false *.azurecr.io/*
}

// With what an image is pulled, in the order in which the kubelet tries it.
func ExampleKeyring() {
	config, err := kubelet.Load("/etc/kubernetes/credential-provider-config.yaml")
	if err != nil {
		log.Fatal(err)
	}
	name, err := kubelet.ImageName("registry.example.com/team/app")
	if err != nil {
		log.Fatal(err)
	}
	runner := kubelet.Runner{BinDir: "/usr/local/bin", Environ: []string{"PATH=/usr/bin:/bin"}, Dir: "/"}
	var keyring kubelet.Keyring
	keyring.AddFile(kubelet.NodeFiles{}.Read())
	for _, match := range config.Match(name) {
		if !match.Matched {
			continue
		}
		outcome := runner.Ask(context.Background(), match.Provider, name, kubelet.Pod{})
		if outcome.Err != nil {
			log.Print(outcome.Err)
		}
		keyring.AddOutcome(outcome)
	}
	for i, candidate := range keyring.Candidates(name) {
		fmt.Println(i+1, candidate.Origin, candidate.Key, candidate.Username)
	}
}
