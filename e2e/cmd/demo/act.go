package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	credentialprovider "k8s.io/kubelet/pkg/apis/credentialprovider/v1"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/fake"
)

// act is one thing that happens on a node: questions that the kubelet asks at
// the same moment.
type act struct {
	title     string
	questions []fake.Question
}

// burst is how many images are pulled at once.
const burst = 30

func actsOn(node *fake.Node) ([]act, error) {
	pod, err := node.PodQuestion(node.Image(0), fake.Shop, node.Workload(fake.Shop))
	if err != nil {
		return nil, err
	}
	storm := make([]fake.Question, burst)
	for i := range storm {
		storm[i] = node.Question(fmt.Sprintf("%s-%d", node.Image(1), i+1))
	}
	return []act{
		{"first image", []fake.Question{node.Question(node.Image(0))}},
		{"the next one", []fake.Question{node.Question(node.Image(0) + "/sidecar")}},
		{fmt.Sprintf("%d at once of another registry", burst), storm},
		{"a look-alike", []fake.Question{node.Question(node.LookAlike + "/app")}},
		{"a pod with its own identity", []fake.Question{pod}},
	}, nil
}

// play runs the plugin once for each question, all at the same time, and tells
// what came of it.
func (a act) play(ctx context.Context, node *fake.Node, plugin string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute) // the kubelet's
	defer cancel()
	earlier := len(node.Cloud.Calls.All())
	answers, failures := make([]string, len(a.questions)), make([]error, len(a.questions))
	begin := time.Now()
	var running sync.WaitGroup
	for i, question := range a.questions {
		running.Go(func() { answers[i], failures[i] = ask(ctx, node, plugin, question) })
	}
	running.Wait()
	took := time.Since(begin)
	for _, failure := range failures {
		if failure != nil {
			return failure
		}
	}
	slices.Sort(answers)
	fmt.Printf("  %-31s %4d ms  asked %-15s -> %s\n", a.title, took.Milliseconds(),
		called(node.Cloud.Calls.All()[earlier:]), strings.Join(slices.Compact(answers), "; "))
	return nil
}

// ask runs the plugin and describes its answer.
func ask(ctx context.Context, node *fake.Node, plugin string, question fake.Question) (string, error) {
	command := question.Command(ctx, plugin)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, stderr.String())
	}
	var answer credentialprovider.CredentialProviderResponse
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		return "", err
	}
	return describe(node.Whose, question.Image, answer), nil
}

// called says how often each service was asked.
func called(calls []cloud.Call) string {
	var services []string
	counts := map[string]int{}
	for _, call := range calls {
		if counts[call.Service]++; counts[call.Service] == 1 {
			services = append(services, call.Service)
		}
	}
	if len(services) == 0 {
		return "nobody"
	}
	for i, service := range services {
		if counts[service] > 1 {
			services[i] = fmt.Sprintf("%s %dx", service, counts[service])
		}
	}
	return strings.Join(services, ", ")
}

// describe tells whose credential an answer holds, and of the password only
// how long it is.
func describe(whose func(image, username, password string) (string, error), image string, answer credentialprovider.CredentialProviderResponse) string {
	for _, login := range answer.Auth {
		owner, err := whose(image, login.Username, login.Password)
		if err != nil {
			owner = err.Error()
		}
		return fmt.Sprintf("%s, [%d bytes] of %s", shorten(login.Username, 6), len(login.Password), shorten(owner, 52))
	}
	return "no credential for " + image
}

// shorten keeps the end of a text, which is where names differ.
func shorten(text string, most int) string {
	if len(text) <= most+1 {
		return text
	}
	return "…" + text[len(text)-most:]
}
