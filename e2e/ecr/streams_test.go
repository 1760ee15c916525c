package ecr_test

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"regcred/e2e/cloud/cloudtest"
)

func TestARequestThatIsNoneIsOneLine(t *testing.T) {
	n := bootNode(t)
	good := string(cloudtest.Question(question{Image: registry + "/app"}).Request(t))
	for name, stdin := range map[string]string{
		"nothing":          "",
		"blanks":           " \n\t",
		"garbage":          "\x00\xff\xfe garbage",
		"cut short":        good[:len(good)/2],
		"two requests":     good + good,
		"a list":           "[" + good + "]",
		"null":             "null",
		"another kind":     strings.ReplaceAll(good, "CredentialProviderRequest", "Pod"),
		"no image":         strings.ReplaceAll(good, registry+"/app", ""),
		"2 MiB of garbage": strings.Repeat("x", 2<<20),
		"2 MiB of blanks":  strings.Repeat(" ", 2<<20),
		"2 MiB of request": strings.ReplaceAll(good, registry+"/app", registry+"/"+strings.Repeat("x", 2<<20)),
		"2 MiB of token":   string(cloudtest.Question(question{Image: registry + "/app", Token: strings.Repeat("x", 2<<20)}).Request(t)),
		"deep nesting":     strings.Repeat("[", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			n := n.in(t)
			a := n.write(question{}, []byte(stdin))
			a.wantFailure(1)
			a.WantWithin(5 * time.Second)
			n.wantCalls()
		})
	}
}

// A request that comes in pieces is one request; the plugin does not wait for
// more once its input has ended.
func TestARequestThatComesInPiecesIsOne(t *testing.T) {
	n := bootNode(t)
	q := question{Image: registry + "/app"}
	command := cloudtest.Question(q).Command(t.Context(), plugin)
	request := cloudtest.Question(q).Request(t)
	reader, writer := io.Pipe()
	command.Stdin = reader
	go func() {
		for _, piece := range request {
			_, _ = writer.Write([]byte{piece})
		}
		_ = writer.Close()
	}()
	n.start(command).answer().wantCredential(registry, nodeRole)
}

// An answer that nobody gets is a failure.
func TestAnAnswerThatCannotBeWrittenIsAFailure(t *testing.T) {
	reader, closed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	defer closed.Close()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for name, stdout := range map[string]*os.File{"reader gone": closed, "no room": full} {
		t.Run(name, func(t *testing.T) {
			bootNode(t)
			q := question{Image: registry + "/app"}
			command := cloudtest.Question(q).Command(t.Context(), plugin)
			command.Stdin = bytes.NewReader(cloudtest.Question(q).Request(t))
			var stderr bytes.Buffer
			command.Stdout, command.Stderr = stdout, &stderr
			if err := command.Run(); err == nil {
				t.Error("exit code 0")
			}
			if secret := cloudtest.Secret(stderr.String()); secret != "" {
				t.Errorf("%q on stderr may be a secret", secret)
			}
		})
	}
}
