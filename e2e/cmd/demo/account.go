package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"regcred/e2e/cloud"
	"regcred/e2e/cloud/aws"
	"regcred/e2e/cmd/internal/scene"
)

// play does an act and tells what came of it.
func play(stage *scene.Scene, plugin string, number int, act act) error {
	earlier := len(stage.Cloud.Calls.All())
	begin := time.Now()
	answers, err := ask(plugin, act.requests)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	if number > 1 {
		fmt.Println()
	}
	fmt.Printf("%d. %s (%d ms)\n", number, act.title, took.Milliseconds())
	fmt.Printf("   kubelet asked    %s\n", asked(act.requests))
	fmt.Printf("   cloud was asked  %s\n", called(stage.Cloud.Calls.All()[earlier:]))
	fmt.Printf("   plugin answered  %s\n", answered(stage.AWS, answers))
	return nil
}

func asked(requests []scene.Request) string {
	first := requests[0].Image
	if requests[0].ServiceAccountToken != "" {
		first += ", with the token of a service account"
	}
	if len(requests) > 1 {
		return fmt.Sprintf("%s … and %d more", first, len(requests)-1)
	}
	return first
}

func called(calls []cloud.Call) string {
	if len(calls) == 0 {
		return "nothing"
	}
	var names []string
	for _, call := range calls {
		names = append(names, call.Service+" "+call.Operation)
	}
	return strings.Join(names, ", ")
}

// answered tells the answers as one, which they are when there are no
// differences between them.
func answered(fake *aws.Fake, answers []response) string {
	var different []string
	for _, answer := range answers {
		if text := describe(fake, answer); !slices.Contains(different, text) {
			different = append(different, text)
		}
	}
	return strings.Join(different, "; ")
}

// describe tells whose credential an answer holds, and of the password only
// how long it is.
func describe(fake *aws.Fake, answer response) string {
	for host, credential := range answer.Auth {
		owner := "nobody the cloud knows"
		if token, ok := fake.Token(credential.Password); ok {
			owner = token.Principal.Role[strings.LastIndex(token.Principal.Role, "role/"):]
		}
		return fmt.Sprintf("%s:[%d characters] of %s for %s, to keep for %s",
			credential.Username, len(credential.Password), owner, host, answer.CacheDuration)
	}
	return "no credential"
}
