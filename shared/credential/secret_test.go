package credential_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"regcred/shared/credential"
)

func TestSecretNeverPrints(t *testing.T) {
	const value = "hunter2-hunter2"
	secret := credential.NewSecret(value)
	nested := struct {
		Exported   credential.Secret
		unexported credential.Secret
		pointer    *credential.Secret
	}{secret, secret, &secret}
	c := credential.Credential{Username: "user", Password: secret}

	var printed strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%T", "%10.3s"} {
		for _, v := range []any{secret, &secret, nested, c, []credential.Secret{secret}, map[string]credential.Secret{"k": secret}} {
			_, _ = fmt.Fprintf(&printed, verb+"\n", v)
		}
	}
	data, err := json.Marshal([]any{secret, nested, c})
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(data)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "secret", secret, "credential", c, "nested", nested)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "secret", secret, "credential", c, "nested", nested)
	printed.Write(log.Bytes())

	hex := fmt.Sprintf("%x", value)
	for _, leak := range []string{value, hex, strings.ToUpper(hex)} {
		if strings.Contains(printed.String(), leak) {
			t.Errorf("%s is printed in\n%s", leak, printed.String())
		}
	}
	if !strings.Contains(printed.String(), "[redacted]") {
		t.Error("nothing was printed at all")
	}
}

func TestSecret(t *testing.T) {
	if s := credential.NewSecret("x"); s.Reveal() != "x" || s.Empty() {
		t.Error("a secret loses its value")
	}
	for _, s := range []credential.Secret{{}, credential.NewSecret("")} {
		if s.Reveal() != "" || !s.Empty() {
			t.Error("the zero secret is not empty")
		}
	}
}

func TestEverySecretIsKnown(t *testing.T) {
	var made sync.WaitGroup
	for i := range 100 {
		made.Go(func() {
			credential.NewSecret(fmt.Sprintf("known-secret-%d", i%50))
			credential.Known()
		})
	}
	made.Wait()
	credential.NewSecret("1234567")
	credential.NewSecret("12345678")
	known := credential.Known()
	count := make(map[string]int)
	for _, value := range known {
		count[value]++
	}
	for i := range 50 {
		if value := fmt.Sprintf("known-secret-%d", i); count[value] != 1 {
			t.Errorf("%s is known %d times", value, count[value])
		}
	}
	if count["1234567"] != 0 || count["12345678"] != 1 || count[""] != 0 {
		t.Errorf("known are %q", known)
	}
	// What is returned is the caller's own.
	clear(known)
	if slices.Contains(credential.Known(), "") {
		t.Error("the set has changed")
	}
}

// A hit in the cache makes one Secret and prints nothing.
func BenchmarkNewSecret(b *testing.B) {
	value := strings.Repeat("s", 2000)
	for b.Loop() {
		credential.NewSecret(value)
	}
}
