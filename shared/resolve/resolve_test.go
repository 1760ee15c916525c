package resolve_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"regcred/shared/credential"
	"regcred/shared/plugin"
	"regcred/shared/protocol"
	"regcred/shared/resolve"
	"regcred/shared/settings"
)

// cloud answers for registry.cloud, and says for which it was asked.
type cloud struct{ settings.Common }

func (c *cloud) Flags(fs *pflag.FlagSet)                          { c.Common.Flags(fs) }
func (c *cloud) Provider(plugin.Run) (credential.Provider, error) { return provider{}, nil }

type provider struct{}

func (provider) Answer(r credential.Request) (credential.Answer, error) {
	if r.Registry.Host() != "registry.cloud" {
		return credential.Answer{}, nil
	}
	return credential.Answer{Source: source(r.Image.Registry.String() + " by " + r.Registry.String())}, nil
}

type source string

func (s source) String() string      { return string(s) }
func (s source) Key() credential.Key { return credential.Key{string(s)} }
func (s source) Fetch(context.Context, credential.Getter) (credential.Credential, error) {
	return credential.Credential{}, errors.New("nobody is asked")
}

// token is a service account token, of a pod or not.
func token(podUID string) credential.Secret {
	claims := fmt.Sprintf(`{"iss":"i","sub":"system:serviceaccount:prod:app","kubernetes.io":{"namespace":"prod","serviceaccount":{"name":"app","uid":"u"},"pod":{"name":"p","uid":%q}}}`, podUID)
	return credential.NewSecret("e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln")
}

func TestAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		wire    protocol.Request
		args    []string
		want    string
		wantErr string
	}{
		"the cloud's registry":    {protocol.Request{Image: "registry.cloud/app"}, nil, "registry.cloud by registry.cloud", ""},
		"another's":               {protocol.Request{Image: "registry.cloud.evil.com/app"}, nil, "", ""},
		"an alias":                {protocol.Request{Image: "mirror.test/app"}, []string{"--alias=mirror.test=registry.cloud"}, "mirror.test by registry.cloud", ""},
		"an alias of another's":   {protocol.Request{Image: "mirror.test/app"}, []string{"--alias=mirror.test=evil.com"}, "", "alias of evil.com, which is not a registry of this cloud"},
		"no image":                {protocol.Request{Image: "https://registry.cloud"}, nil, "", "image reference"},
		"no token":                {protocol.Request{Image: "registry.cloud/app", ServiceAccountToken: credential.NewSecret("opaque-token")}, nil, "", "registry.cloud: service account token: not a JWT"},
		"a pod":                   {protocol.Request{Image: "registry.cloud/app", ServiceAccountToken: token("7")}, []string{"--identity-scope=pod"}, "registry.cloud by registry.cloud", ""},
		"a token that names none": {protocol.Request{Image: "registry.cloud/app", ServiceAccountToken: token("")}, []string{"--identity-scope=pod"}, "", "service account prod/app: the token names no pod"},
		"for which nobody asks":   {protocol.Request{Image: "other.test/app", ServiceAccountToken: token("")}, []string{"--identity-scope=pod"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			described := plugin.Plugin{Name: "cloud", New: func() plugin.Settings { return new(cloud) }}
			loaded, _, err := described.Load(tc.args, func(string) string { return "" })
			if err != nil {
				t.Fatal(err)
			}
			request, err := resolve.Request(tc.wire)
			var answer credential.Answer
			if err == nil {
				answer, err = resolve.Answer(loaded, request)
			}
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("got %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil || (answer.Source != nil) != (tc.want != "") || answer.Source != nil && answer.Source.String() != tc.want {
				t.Errorf("got %v, %v, want %q", answer.Source, err, tc.want)
			}
		})
	}
}
