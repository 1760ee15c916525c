package redact_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"regcred/shared/redact"
)

const secret = "hunter2hunter2"

func TestLine(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"plain":    {"sts: AccessDenied", "sts: AccessDenied"},
		"one line": {"a\nb\r\nc\x00d\u2028e", "a b c d e"},
		"a path":   {"no such file: /etc/legacy.password, see --help", "no such file: /etc/legacy.password, see --help"},
		"a file that cannot be read": {
			"open /etc/passwd: permission denied, open /x/registry-password: no such file or directory; /y/clientSecret: is a directory: /z/passphrase: owned by user 7; want root",
			"open /etc/passwd: permission denied, open /x/registry-password: no such file or directory; /y/clientSecret: is a directory: /z/passphrase: owned by user 7; want root",
		},
		"turned around": {"a\u202eb\u0085c\u200bd", "a b c d"},
		"a long path":   {"/run/kubelet/image-credential-providers/regcred/cache-of-node/with/many/parts/and/more/parts/until/it/is/long", "/run/kubelet/image-credential-providers/regcred/cache-of-node/with/many/parts/and/more/parts/until/it/is/long"},
		"flags": {
			"add --image-credential-provider-bin-dir=/usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec/long --image-credential-provider-config=/etc/kubernetes/regcred/credential-providers.yaml",
			"add --image-credential-provider-bin-dir=/usr/libexec/kubernetes/kubelet-plugins/credential-provider/exec/long --image-credential-provider-config=/etc/kubernetes/regcred/credential-providers.yaml",
		},
		"a flag with a token": {"--key=" + strings.Repeat("Ab1/", 40) + "= --other=x", "--key=[redacted] --other=x"},
		"request ID":          {"request 6b1c8a0e-2f4d-4c7b-9d55-0a4f3b8e21c7", "request 6b1c8a0e-2f4d-4c7b-9d55-0a4f3b8e21c7"},
		"role ARN":            {"arn:aws:iam::123456789012:role/" + strings.Repeat("r", 64), "arn:aws:iam::123456789012:role/" + strings.Repeat("r", 64)},
		"digest":              {"sha256:" + strings.Repeat("0a", 32) + " of sha256:" + strings.Repeat("1b", 32), "sha256:" + strings.Repeat("0a", 32) + " of sha256:" + strings.Repeat("1b", 32)},
		"endpoint":            {"https://api.ecr.us-east-1.amazonaws.com/", "https://api.ecr.us-east-1.amazonaws.com/"},
		"challenge":           {`Bearer realm="https://r.azurecr.io/oauth2/token",service="r.azurecr.io"`, `Bearer realm="https://r.azurecr.io/oauth2/token",service="r.azurecr.io"`},
		"empty":               {"", ""},
		"invalid encoding":    {"a\xffb", "a\xffb"},
		"addresses":           {"http://bot@r.test:5000/a:b@c, https://r.test:5000 (a@b), https://:@x, https://[::1]:80/@", "http://bot@r.test:5000/a:b@c, https://r.test:5000 (a@b), https://:@x, https://[::1]:80/@"},
		"redacted before":     {"token [redacted] refused, password=[redacted]", "token [redacted] refused, password=[redacted]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := redact.Line(tc.text, secret, "", "AccessD"); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestKnownSecrets(t *testing.T) {
	const (
		strange = "p+/\"\\<&é \u2028%41=z"
		lines   = "first\r\nsecond\nthird"
	)
	for name, tc := range map[string]struct{ text, want string }{
		"as it is":                   {"token hunter2hunter2 refused", "token [redacted] refused"},
		"within a word":              {"xhunter2hunter2y", "x[redacted]y"},
		"twice":                      {"hunter2hunter2, hunter2hunter2", "[redacted], [redacted]"},
		"overlapping itself":         {"hunter2hunter2hunter2!", "[redacted]!"},
		"with a mark inside":         {"a secret password=x of words", "[redacted]"},
		"in base64":                  {"got aHVudGVyMmh1bnRlcjI= back", "got [redacted] back"},
		"in base64 behind a user":    {"Basic dTpodW50ZXIyaHVudGVyMg== refused", "Basic [redacted] refused"},
		"in base64 behind a name":    {"Basic dXM6aHVudGVyMmh1bnRlcjI= refused", "Basic [redacted] refused"},
		"in base64 of base64url":     {"got " + base64.URLEncoding.EncodeToString([]byte("u:"+strange)) + " back", "got [redacted] back"},
		"of several lines":           {"got first\nsecond\n\nthird!", "got [redacted]!"},
		"of several lines, JSON":     {`got first\r\nsecond\nthird!`, "got [redacted]!"},
		"of several lines, URL":      {"got first%0d%0asecond%0Athird!", "got [redacted]!"},
		"as Go writes JSON":          {`{"p":"p+/\"\\\u003c\u0026é \u2028%41=z"}`, `{"p":"[redacted]"}`},
		"as C# writes JSON":          {`{"p":"p\u002B/\u0022\\\u003C\u0026\u00E9 \u2028%41=z"}`, `{"p":"[redacted]"}`},
		"as PHP writes JSON":         {`{"p":"p+\/\"\\<&\u00e9 \u2028%41=z"}`, `{"p":"[redacted]"}`},
		"as JSON in JSON":            {`{"m":"{\"p\":\"p+/\\\"\\\\\\u003c\\u0026é \\u2028%41=z\"}"}`, `{"m":"{\"p\":\"[redacted]\"}"}`},
		"in a query":                 {"https://x/?p=" + url.QueryEscape(strange) + "&q=1", "https://x/?p=[redacted]&q=1"},
		"in a path":                  {"https://x/" + url.PathEscape(strange) + "/q", "https://x/[redacted]/q"},
		"in a query in a query":      {"https://x/?u=" + url.QueryEscape("https://y/?p="+url.QueryEscape(strange)+"#f"), "https://x/?u=https%3A%2F%2Fy%2F%3Fp%3D[redacted]%23f"},
		"in a quoted query":          {fmt.Sprintf("Get %q: EOF", "https://x/?p="+url.QueryEscape(strange)), `Get "https://x/?p=[redacted]": EOF`},
		"in a quoted message":        {fmt.Sprintf("%q", strange), `"[redacted]"`},
		"cut off":                    {"token a secret with many w... refused", "token [redacted]... refused"},
		"cut off in base64":          {"Basic dTphIHNlY3JldCB3aXRoIG1hbn... refused", "Basic [redacted]... refused"},
		"its first words, no secret": {"a secret with a", "a secret with a"},
	} {
		t.Run(name, func(t *testing.T) {
			secrets := []string{secret, strange, lines, "a secret with many words", "a secret password=x of words"}
			if got := redact.Line(tc.text, secrets...); got != tc.want {
				t.Errorf("%s\n got %s\nwant %s", tc.text, got, tc.want)
			}
		})
	}
}

func TestWhatLooksLikeASecret(t *testing.T) {
	es256 := "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0." + strings.Repeat("s", 86)
	line := strings.Repeat("Ab+/", 16)
	for name, tc := range map[string]struct{ text, want string }{
		"short JWT":          {"got " + es256 + " here", "got [redacted] here"},
		"JWT ends a text":    {"got " + es256 + ".", "got [redacted]."},
		"long base64":        {"token=" + strings.Repeat("Ab+/", 40) + "==", "[redacted]"},
		"wrapped base64":     {"got\n" + line + "\n" + line + "\nAbc=\n.", "got [redacted] ."},
		"wrapped by escapes": {`"got` + "-" + line + `\n` + line + `\nAbc="`, `"[redacted]"`},
		"named secrets": {
			`output: {"AccessKeyId":"AKIAX","SecretAccessKey":"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY","Expiration":"x"}`,
			`output: {"AccessKeyId":"AKIAX","SecretAccessKey":"[redacted]","Expiration":"x"}`,
		},
		"named in a file":       {"aws_secret_access_key = wJalrXUtnFEMI region = x", "aws_secret_access_key = [redacted] region = x"},
		"named in a query":      {"client_secret=a.b~c&grant_type=x", "client_secret=[redacted]&grant_type=x"},
		"named, with spaces":    {`{"password": "two words", "x": 1}`, `{"password": "[redacted]", "x": 1}`},
		"named, with a quote":   {`{"password": "two \"words", "x": 1}`, `{"password": "[redacted]", "x": 1}`},
		"named in JSON in JSON": {`{"m":"{\"password\":\"two \\\"words\",\"x\":1}"}`, `{"m":"{\"password\":\"[redacted]\",\"x\":1}"}`},
		"named and cut off":     {`{"password":"two wor`, `{"password":"[redacted]`},
		"named and empty":       {`{"password":"","x":1}`, `{"password":"","x":1}`},
		"a name alone":          {"has an empty user name or password", "has an empty user name or password"},
		"after a path":          {"helper /usr/bin/print-password: hunter1", "helper /usr/bin/print-password: [redacted]"},
		"much like a cause":     {"password: permission, passwd: permission denied!, password: is, secretKey: no such files", "password: [redacted], passwd: [redacted] denied!, password: [redacted], secretKey: [redacted] such files"},
		"people's tokens":       {"bad login ghp_abcdefghijklmnop0123 or dckr_pat_AbCdEfGhIjKl-mn, glpat-short", "bad login [redacted] or [redacted], glpat-short"},
		"authorization":         {"> Authorization: Bearer ya29.c.b0Aa\r\n> Accept: */*", "> Authorization: Bearer [redacted] > Accept: */*"},
		"a proxy's password":    {"proxy http://u%40x:p,w@d:1@proxy.test:3128/ refused", "proxy http://u%40x:[redacted]@proxy.test:3128/ refused"},
		"authorization in JSON": {`{"authorization":"basic dTpw","x":1}`, `{"authorization":"basic [redacted]","x":1}`},
		"AWS's signature": {
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIAX/20260101/us-east-1/ecr/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0a", 32) + " Host: x",
			"Authorization: AWS4-HMAC-SHA256 Credential=AKIAX/20260101/us-east-1/ecr/aws4_request, SignedHeaders=host;x-amz-date, Signature=[redacted] Host: x",
		},
		"AWS's signature in a query": {"https://sts/?X-Amz-Expires=60&X-Amz-Signature=" + strings.Repeat("0a", 32) + "&x=1", "https://sts/?X-Amz-Expires=60&X-Amz-Signature=[redacted]&x=1"},
		"Oracle's signature": {
			`Authorization: Signature version="1",keyId="a/b/c",signature="c2ln+/=="`,
			`Authorization: Signature version="1",keyId="a/b/c",signature="[redacted]"`,
		},
		"a signature, in words":   {"the request signature we calculated does not match the signature you provided", "the request signature we calculated does not match the signature you provided"},
		"authorization, in words": {"authorization: the role has no rights", "authorization: the role has no rights"},
		"PEM":                     {"got -----BEGIN PRIVATE KEY-----\nMIIE\nAbc=\n-----END PRIVATE KEY-----\nthere", "got [redacted] there"},
		"PEM on a line":           {`{"private_key":"-----BEGIN PRIVATE KEY-----\nMIIE\nAbc=\n-----END PRIVATE KEY-----\n","x":1}`, `{"private_key":"[redacted]\n","x":1}`},
		"PEM in a query":          {"k=-----BEGIN+PRIVATE+KEY-----%0AMIIE%2F%3D%0A-----END+PRIVATE+KEY-----&x=1", "k=[redacted]&x=1"},
		"two of PEM":              {"-----BEGIN A-----\nx\n-----END A-----, -----BEGIN B-----\ny\n-----END B-----.", "[redacted], [redacted]."},
		"PEM without its end":     {`parse "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,12\n\nMIIE\nAbc": too short`, `parse "[redacted]": too short`},
		"PEM without its start":   {`got: "MIIE\nAbc=\n-----END RSA PRIVATE KEY-----": too short`, `got: "[redacted]": too short`},
		"PEM cut off in its end":  {"-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIV", "[redacted]"},
		"PEM cut off in its name": {"x: -----BEGIN PRIV", "x: [redacted]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := redact.Line(tc.text); got != tc.want {
				t.Errorf("%s\n got %s\nwant %s", tc.text, got, tc.want)
			}
		})
	}
}

// A text is cut where it gets too long, never in the middle of a secret.
func TestLineIsBounded(t *testing.T) {
	long := strings.Repeat("~hunter2hunter2~!", 50)
	for _, words := range []string{"word ", "a", "password=x;", ":", "eyJhbGciOiJFUzI1NiJ9.x ", "é ", "%41", `\n`} {
		for _, before := range []int{2000, 2040, 2048, 32 << 10, 34 << 10, 36<<10 - 5, 40 << 10} {
			text := strings.Repeat(words, before/len(words)) + "~" + long + "~" + strings.Repeat("word ", 20_000)
			got := redact.Line(text, long)
			if len(got) > 2048+len("...") || !strings.HasSuffix(got, "...") || !utf8.ValidString(got) {
				t.Errorf("%d bytes of %q: got %d bytes, %q", before, words, len(got), got[max(0, len(got)-40):])
			}
			if strings.Contains(got, "hunter") {
				t.Errorf("%d bytes of %q: half of a secret in %q", before, words, got[max(0, len(got)-900):])
			}
		}
	}
}

var hostile = []string{
	":", "=", "a", "eyJ", "eyJ.", "eyJhbGciOiJFUzI1NiJ9.", "password=", `password="`, "password: '", `\`, `\"`, "%", "%25", "%5C", "\n", "\u202e", "\xff",
	"-----BEGIN ", `-----BEGIN"`, "-----END ", `-----END-----"`, "-----", strings.Repeat("a", 60) + " ", strings.Repeat("a", 60) + `\n`, "authorization: basic ", " ", "'", "/",
}

func BenchmarkLine(b *testing.B) {
	var secrets []string
	for i := range 10 {
		secrets = append(secrets, strings.Repeat(fmt.Sprintf("secret%d/+", i), 200))
	}
	message := "ecr 123456789012.dkr.ecr.eu-west-1.amazonaws.com: the role may not pull: grant it ecr:GetAuthorizationToken " +
		"[GetAuthorizationToken in eu-west-1: AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/node/i-0 is not authorized, request 6b1c8a0e-2f4d-4c7b-9d55-0a4f3b8e21c7]"
	b.Run("a message", func(b *testing.B) {
		for b.Loop() {
			redact.Line(message, secrets...)
		}
	})
	for _, unit := range hostile {
		text := strings.Repeat(unit, 900_000/len(unit))
		b.Run(fmt.Sprintf("900 KB of %.12q", unit), func(b *testing.B) {
			for b.Loop() {
				redact.Line(text, secrets...)
			}
		})
	}
}

// written are the ways in which services and libraries write a text.
var written = []struct {
	way   string
	write func(string) string
}{
	{"as it is", func(s string) string { return s }},
	{"JSON", inJSON},
	{"JSON twice", func(s string) string { return inJSON(inJSON(s)) }},
	{"JSON for HTML", func(s string) string {
		return strings.ReplaceAll(strings.ReplaceAll(inJSON(s), "<", `\u003c`), "+", `\u002B`)
	}},
	{"quoted", func(s string) string { return unquote(fmt.Sprintf("%q", s)) }},
	{"query", url.QueryEscape},
	{"query twice", func(s string) string { return url.QueryEscape(url.QueryEscape(s)) }},
	{"path", url.PathEscape},
	{"base64", func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }},
	{"base64url", func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }},
	{"basic of AWS", func(s string) string { return base64.StdEncoding.EncodeToString([]byte("AWS:" + s)) }},
	{"basic of user", func(s string) string { return base64.StdEncoding.EncodeToString([]byte("user:" + s)) }},
	{"basic of token", func(s string) string { return base64.StdEncoding.EncodeToString([]byte("token:" + s)) }},
	{"basic in a query", func(s string) string {
		return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte("AWS:" + s)))
	}},
}

func inJSON(s string) string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(s); err != nil {
		panic(err)
	}
	return unquote(strings.TrimSpace(b.String()))
}

func unquote(s string) string { return s[1 : len(s)-1] }

// No secret that is known survives, whatever stands around it.
func FuzzLine(f *testing.F) {
	for way := range written {
		f.Add("got eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJ4In0.sig here", "secret-secret", "", uint8(way), uint16(0))
		f.Add(`C:\`, `\"%41 +/<>&`, "%2", uint8(way), uint16(2040))
		f.Add("-----BEGIN X", "-lines\r\nof it", "-----END", uint8(way), uint16(1900))
		f.Add("password='", "pass word's\u2028x", "'", uint8(way), uint16(1))
	}
	f.Fuzz(func(t *testing.T, before, secret, after string, n uint8, fill uint16) {
		w := written[int(n)%len(written)]
		form := w.write(secret)
		got := redact.Line(strings.Repeat("w", int(fill)%2100)+before+" "+form+" "+after, secret)
		if strings.ContainsAny(got, "\n\r\x00\u2028\u202e") || len(got) > 2048+len("...") {
			t.Fatalf("not a bounded line: %q", got)
		}
		mark := "[redacted]..."
		if len(redact.Line(secret)) < 8 || strings.Contains(mark, secret) || !utf8.ValidString(secret) {
			return // Too short as a line, a part of the mark, or not what an encoder of JSON keeps.
		}
		if strings.Contains(got, secret) || strings.Contains(got, form) {
			t.Errorf("%q is left, %s, in %q", secret, w.way, got)
		}
	})
}
