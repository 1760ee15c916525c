package redact_test

import (
	"strings"
	"testing"

	"regcred/shared/redact"
)

func TestLine(t *testing.T) {
	es256 := "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0." + strings.Repeat("s", 86)
	for name, tc := range map[string]struct{ text, want string }{
		"plain":           {"sts: AccessDenied", "sts: AccessDenied"},
		"one line":        {"a\nb\r\nc\x00d\u2028e", "a b c d e"},
		"known secret":    {"token hunter2hunter2 refused", "token [redacted] refused"},
		"short JWT":       {"got " + es256 + " here", "got [redacted] here"},
		"JWT ends a text": {"got " + es256 + ".", "got [redacted]."},
		"long base64":     {"token=" + strings.Repeat("Ab+/", 40) + "==", "[redacted]"},
		"named secrets": {
			`output: {"AccessKeyId":"AKIAX","SecretAccessKey":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY","Expiration":"x"}`,
			`output: {"AccessKeyId":"AKIAX","SecretAccessKey":"[redacted]","Expiration":"x"}`,
		},
		"named in a file":  {"aws_secret_access_key = wJalrXUtnFEMI region = x", "aws_secret_access_key = [redacted] region = x"},
		"a name alone":     {"has an empty user name or password", "has an empty user name or password"},
		"after a path":     {"helper /usr/bin/print-password: hunter1", "helper /usr/bin/print-password: [redacted]"},
		"before a path":    {"no such file: /etc/legacy.password, see --help", "no such file: /etc/legacy.password, see --help"},
		"turned around":    {"a\u202eb\u0085c\u200bd", "a b c d"},
		"a long path":      {"/run/kubelet/image-credential-providers/regcred/cache-of-node/with/many/parts/and/more/parts/until/it/is/long", "/run/kubelet/image-credential-providers/regcred/cache-of-node/with/many/parts/and/more/parts/until/it/is/long"},
		"request ID":       {"request 6b1c8a0e-2f4d-4c7b-9d55-0a4f3b8e21c7", "request 6b1c8a0e-2f4d-4c7b-9d55-0a4f3b8e21c7"},
		"role ARN":         {"arn:aws:iam::123456789012:role/" + strings.Repeat("r", 64), "arn:aws:iam::123456789012:role/" + strings.Repeat("r", 64)},
		"endpoint":         {"https://api.ecr.us-east-1.amazonaws.com/", "https://api.ecr.us-east-1.amazonaws.com/"},
		"empty":            {"", ""},
		"invalid encoding": {"a\xffb", "a\xffb"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := redact.Line(tc.text, "hunter2hunter2", ""); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestLineIsBounded(t *testing.T) {
	if got := redact.Line(strings.Repeat("word ", 10_000)); len(got) > 2100 {
		t.Errorf("%d bytes", len(got))
	}
}

func FuzzLine(f *testing.F) {
	f.Add("got eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.sig here", "secret-secret")
	f.Fuzz(func(t *testing.T, text, secret string) {
		got := redact.Line(text, secret)
		if strings.ContainsAny(got, "\n\r\x00") || len(got) > 2100 {
			t.Errorf("not a bounded line: %q", got)
		}
	})
}
