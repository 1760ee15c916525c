package serviceaccount_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"regcred/shared/serviceaccount"
)

const claims = `{"aud":["sts.amazonaws.com"],"exp":1767229200,"iat":1767225600,"iss":"https://issuer.example.com","jti":"x",
"kubernetes.io":{"namespace":"prod","node":{"name":"n","uid":"nu"},"pod":{"name":"app-1","uid":"pod-uid"},
"serviceaccount":{"name":"app","uid":"sa-uid"}},"nbf":1767225600,"sub":"system:serviceaccount:prod:app"}`

func token(claims string) string {
	return "eyJhbGciOiJSUzI1NiJ9." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2lnbmF0dXJl"
}

func TestParse(t *testing.T) {
	got, err := serviceaccount.Parse(token(claims))
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != "https://issuer.example.com" || got.Subject != "system:serviceaccount:prod:app" || got.Namespace != "prod" ||
		got.Name != "app" || got.UID != "sa-uid" || got.PodName != "app-1" || got.PodUID != "pod-uid" {
		t.Errorf("got %+v", *got)
	}
	if !got.Expires.Equal(time.Unix(1767229200, 0)) {
		t.Errorf("expires at %s", got.Expires)
	}
	if !slices.Equal(got.Audiences, []string{"sts.amazonaws.com"}) {
		t.Errorf("for %q", got.Audiences)
	}
	one := strings.Replace(claims, `["sts.amazonaws.com"]`, `"sts.amazonaws.com"`, 1)
	if got, err := serviceaccount.Parse(token(one)); err != nil || !slices.Equal(got.Audiences, []string{"sts.amazonaws.com"}) {
		t.Errorf("one audience: got %v, %v", got, err)
	}
	if got.Reveal() != token(claims) {
		t.Error("the token itself is lost")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if printed := fmt.Sprintf(verb, got); strings.Contains(printed, "eyJ") || !strings.Contains(printed, "service account prod/app") {
			t.Errorf("%s prints %s", verb, printed)
		}
	}
}

func TestIdentity(t *testing.T) {
	parse := func(claims string) *serviceaccount.Token {
		got, err := serviceaccount.Parse(token(claims))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	a := parse(claims)
	otherPod := parse(strings.ReplaceAll(claims, "pod-uid", "other-uid"))
	if !slices.Equal(a.Identity(serviceaccount.ScopeServiceAccount), otherPod.Identity(serviceaccount.ScopeServiceAccount)) {
		t.Error("pods of a service account have different identities")
	}
	if slices.Equal(a.Identity(serviceaccount.ScopePod), otherPod.Identity(serviceaccount.ScopePod)) {
		t.Error("in pod scope two pods have one identity")
	}
	for name, other := range map[string]*serviceaccount.Token{
		"a recreated service account": parse(strings.ReplaceAll(claims, "sa-uid", "new-uid")),
		"another cluster's":           parse(strings.ReplaceAll(claims, "issuer.example", "other.example")),
		"another namespace's":         parse(strings.ReplaceAll(claims, "prod", "test")),
	} {
		if slices.Equal(a.Identity(serviceaccount.ScopeServiceAccount), other.Identity(serviceaccount.ScopeServiceAccount)) {
			t.Errorf("%s has the same identity", name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	without := func(part string) string { return token(strings.Replace(claims, part, `"x":"y"`, 1)) }
	for name, raw := range map[string]string{
		"nothing":           "",
		"two parts":         "a.b",
		"no base64":         "a.!.c",
		"no JSON":           token("claims"),
		"wrong types":       token(`{"iss":7}`),
		"no issuer":         without(`"iss":"https://issuer.example.com"`),
		"no uid":            without(`"uid":"sa-uid"`),
		"another's subject": token(strings.ReplaceAll(claims, "prod:app", "prod:admin")),
		"too long":          strings.Repeat("a", 65<<10) + ".b.c",
	} {
		if got, err := serviceaccount.Parse(raw); err == nil {
			t.Errorf("%s: got %+v", name, got)
		} else if len(err.Error()) > 200 || raw != "" && strings.Contains(err.Error(), raw) {
			t.Errorf("%s: message %q", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(token(claims))
	f.Add("a.e30.b")
	f.Fuzz(func(t *testing.T, raw string) {
		got, err := serviceaccount.Parse(raw)
		if err != nil {
			return
		}
		if got.Issuer == "" || got.UID == "" || got.Subject != "system:serviceaccount:"+got.Namespace+":"+got.Name {
			t.Errorf("accepted %+v", *got)
		}
	})
}
