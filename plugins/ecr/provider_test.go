package ecr

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
	"regcred/shared/serviceaccount"
)

const (
	pullRole  = "arn:aws:iam::123456789012:role/pull"
	teamRole  = "arn:aws:iam::123456789012:role/team/pull"
	otherRole = "arn:aws:iam::999999999999:role/regcred"
)

func newProvider(edit func(*Settings), env ...string) credential.Provider {
	s := Plugin().New().(*Settings)
	s.IdentityScope = serviceaccount.ScopeServiceAccount
	if edit != nil {
		edit(s)
	}
	return s.Provider(plugintest.Getenv(env...))
}

func ask(t testing.TB, p credential.Provider, host string, pod *serviceaccount.Token, annotations map[string]string) (*source, error) {
	t.Helper()
	got, err := p.Source(plugintest.Request(t, host+"/app", pod, annotations))
	if got == nil || err != nil {
		return nil, err
	}
	return got.(*source), nil
}

func TestForeignHostsHaveNoSource(t *testing.T) {
	for _, host := range foreignHosts {
		if got, err := ask(t, newProvider(nil), host, plugintest.Pod(t, "sa", "u", "p"), nil); got != nil || err != nil {
			t.Errorf("%s: got %+v, %v", host, got, err)
		}
	}
}

func TestIdentity(t *testing.T) {
	annotated := map[string]string{roleAnnotation: teamRole, "example.com/role": pullRole}
	for name, tc := range map[string]struct {
		edit        func(*Settings)
		host        string
		pod         bool
		annotations map[string]string
		want        string
		wantErr     string
	}{
		"a node asks as itself": {want: "the node's identity"},
		"a node assumes the account's role": {
			edit: func(s *Settings) { s.Accounts = map[string]Account{"123456789012": {RoleARN: otherRole}} },
			want: "the node as " + otherRole,
		},
		"other accounts have nothing to do with it": {
			edit: func(s *Settings) { s.Accounts = map[string]Account{"210987654321": {RoleARN: otherRole}} },
			want: "the node's identity",
		},
		"an account's role of another partition": {
			edit: func(s *Settings) {
				s.Accounts = map[string]Account{"123456789012": {RoleARN: "arn:aws-cn:iam::123456789012:role/a"}}
			},
			wantErr: `accounts["123456789012"].roleARN: is a role of partition aws-cn, but`,
		},
		"a pod assumes the annotated role":        {pod: true, annotations: annotated, want: "service account prod/sa as " + teamRole},
		"a pod assumes the configured role":       {pod: true, edit: func(s *Settings) { s.RoleARN = pullRole }, want: "service account prod/sa as " + pullRole},
		"an annotation beats the configuration":   {pod: true, edit: func(s *Settings) { s.RoleARN = pullRole }, annotations: annotated, want: "service account prod/sa as " + teamRole},
		"other annotations count if listed":       {pod: true, edit: func(s *Settings) { s.RoleAnnotations = []string{"none", "example.com/role"} }, annotations: annotated, want: "service account prod/sa as " + pullRole},
		"other annotations do not count":          {pod: true, annotations: map[string]string{"example.com/role": pullRole}, wantErr: "names no role"},
		"a pod never falls back to the node":      {pod: true, wantErr: "service account prod/sa names no role to pull with: annotate it with eks.amazonaws.com/ecr-role-arn"},
		"unless that is allowed":                  {pod: true, edit: func(s *Settings) { s.NodeFallback = true }, want: "the node's identity"},
		"fallback does not hide a bad annotation": {pod: true, edit: func(s *Settings) { s.NodeFallback = true }, annotations: map[string]string{roleAnnotation: "x"}, wantErr: "annotation eks.amazonaws.com/ecr-role-arn: is not the ARN"},
		"a role of another partition": {
			pod: true, host: "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", annotations: annotated,
			wantErr: "is a role of partition aws, but registry 123456789012 in cn-north-1 is in aws-cn",
		},
		"the annotation of a request without token is not believed": {annotations: annotated, want: "the node's identity"},
	} {
		t.Run(name, func(t *testing.T) {
			host := tc.host
			if host == "" {
				host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
			}
			var token *serviceaccount.Token
			if tc.pod {
				token = plugintest.Pod(t, "sa", "uid-1", "pod-1")
			}
			got, err := ask(t, newProvider(tc.edit), host, token, tc.annotations)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("got %v, want %q", err, tc.wantErr)
				}
				return
			}
			if err != nil || got.identity.String() != tc.want {
				t.Errorf("got %v, %v; want %s", got, err, tc.want)
			}
		})
	}
}

func TestPublicWithoutARoleIsAnonymousForPods(t *testing.T) {
	got, err := ask(t, newProvider(nil), "public.ecr.aws", plugintest.Pod(t, "sa", "u", "p"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := got.Fetch(t.Context(), nil); err != nil || !c.IsAnonymous() {
		t.Errorf("got %+v, %v", c, err)
	}
}

// What a credential depends on is in its key, and nothing else is.
func TestKeys(t *testing.T) {
	const host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
	annotated := map[string]string{roleAnnotation: teamRole}
	key := func(p credential.Provider, host string, pod *serviceaccount.Token) credential.Key {
		s, err := ask(t, p, host, pod, annotated)
		if err != nil {
			t.Fatal(err)
		}
		return s.Key()
	}
	plain := newProvider(nil)
	byPod := newProvider(func(s *Settings) { s.IdentityScope = serviceaccount.ScopePod })
	sa := plugintest.Pod(t, "sa", "uid-1", "pod-1")

	for name, same := range map[string][2]credential.Key{
		"registries of other accounts": {key(plain, host, nil), key(plain, "210987654321.dkr.ecr.us-east-1.amazonaws.com", nil)},
		"pods of a service account":    {key(plain, host, sa), key(plain, host, plugintest.Pod(t, "sa", "uid-1", "pod-2"))},
		"root's home":                  {key(plain, host, nil), key(newProvider(nil, "HOME=/root"), host, nil)},
		"the node's profile, to a pod": {key(plain, host, sa), key(newProvider(nil, "AWS_PROFILE=ecr"), host, sa)},
		"the port":                     {key(plain, host, nil), key(plain, host+":443", nil)},
	} {
		if !slices.Equal(same[0], same[1]) {
			t.Errorf("%s: %q and %q differ", name, same[0], same[1])
		}
	}
	if k := fmt.Sprint(key(newProvider(nil, "AWS_ENDPOINT_URL_ECR=https://user:hunter2@vpce"), host, nil)); strings.Contains(k, "hunter2") {
		t.Errorf("a secret is in %s", k)
	}
	keys := map[string]string{}
	for name, k := range map[string]credential.Key{
		"node":                    key(plain, host, nil),
		"another region":          key(plain, "123456789012.dkr.ecr.eu-west-1.amazonaws.com", nil),
		"fips":                    key(plain, "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", nil),
		"dual-stack":              key(plain, "123456789012.dkr-ecr.us-east-1.on.aws", nil),
		"public":                  key(plain, "public.ecr.aws", nil),
		"account's role":          key(newProvider(func(s *Settings) { s.Accounts = map[string]Account{"123456789012": {RoleARN: otherRole}} }), host, nil),
		"account's external ID":   key(newProvider(func(s *Settings) { s.Accounts = map[string]Account{"123456789012": {otherRole, "id"}} }), host, nil),
		"another key":             key(newProvider(nil, "AWS_ACCESS_KEY=AKIA"), host, nil),
		"another home":            key(newProvider(nil, "HOME=/home/kubelet"), host, nil),
		"container token":         key(newProvider(nil, "AWS_CONTAINER_AUTHORIZATION_TOKEN=one"), host, nil),
		"another container token": key(newProvider(nil, "AWS_CONTAINER_AUTHORIZATION_TOKEN=two"), host, nil),
		"another profile":         key(newProvider(nil, "AWS_PROFILE=ecr"), host, nil),
		"another endpoint":        key(newProvider(nil, "AWS_ENDPOINT_URL_ECR=https://vpce.example.com"), host, nil),
		"service account":         key(plain, host, sa),
		"another service account": key(plain, host, plugintest.Pod(t, "sb", "uid-2", "pod-1")),
		"a recreated one":         key(plain, host, plugintest.Pod(t, "sa", "uid-9", "pod-1")),
		"pod":                     key(byPod, host, sa),
		"another pod":             key(byPod, host, plugintest.Pod(t, "sa", "uid-1", "pod-2")),
	} {
		id := fmt.Sprintf("%q", k)
		if other, ok := keys[id]; ok {
			t.Errorf("%s and %s share %s", name, other, id)
		}
		keys[id] = name
	}
}

func TestParseRole(t *testing.T) {
	for _, arn := range []string{pullRole, teamRole, "arn:aws-cn:iam::123456789012:role/a", "arn:aws-us-gov:iam::123456789012:role/A.b_c+=,@-9"} {
		if _, err := parseRole(arn); err != nil {
			t.Errorf("%s: %v", arn, err)
		}
	}
	for _, arn := range []string{
		"", "pull", "arn:aws:iam::123456789012:role/", "arn:aws:iam::123456789012:role/a/", "arn:aws:iam::12345678901:role/a",
		"arn:aws:iam::123456789012:user/a", "arn:aws:sts::123456789012:assumed-role/a/b", "arn:evil:iam::123456789012:role/a",
		"arn:aws:iam:us-east-1:123456789012:role/a", "arn:aws:iam::123456789012:role/a b", "arn:aws:iam::123456789012:role/a\nb",
		"arn:aws:iam::123456789012:role/" + strings.Repeat("a", 600),
	} {
		if got, err := parseRole(arn); err == nil {
			t.Errorf("%q: got %+v", arn, got)
		}
	}
}

func TestSessionName(t *testing.T) {
	for who, want := range map[string]string{
		"prod.app":                 "regcred.prod.app",
		"prod.app:v1/x":            "regcred.prod.app-v1-x",
		"ip-10-0-0-1.ec2.internal": "regcred.ip-10-0-0-1.ec2.internal",
	} {
		if got := sessionName(who); got != want {
			t.Errorf("%s: got %s, want %s", who, got, want)
		}
	}
	long := strings.Repeat("n", 63) + "." + strings.Repeat("s", 253)
	a, b := sessionName(long), sessionName(long+"x")
	if len(a) != 64 || len(b) != 64 || a == b {
		t.Errorf("long names: %s and %s", a, b)
	}
}

func TestSettings(t *testing.T) {
	plugin := Plugin()
	load := func(args ...string) (*Settings, error) {
		s, _, err := plugin.Load(args, func(name string) string { return map[string]string{"AWS_ECR_ROLE_ARN": pullRole}[name] })
		if err != nil {
			return nil, err
		}
		return s.(*Settings), nil
	}
	s, err := load("get-credentials", "--account", "123456789012="+otherRole+"#an,id", "--account=210987654321="+pullRole, "--v=2")
	if err != nil {
		t.Fatal(err)
	}
	if s.RoleARN != pullRole || s.Accounts["123456789012"] != (Account{otherRole, "an,id"}) || s.Accounts["210987654321"].RoleARN != pullRole {
		t.Errorf("got %+v", s)
	}
	for want, args := range map[string][]string{
		`roleARN: is not the ARN`:                         {"--role-arn=x"},
		`accounts["1"]: is not an account number`:         {"--account=1=" + pullRole},
		`accounts["123456789012"].roleARN: is not`:        {"--account=123456789012=x"},
		`accounts["123456789012"].externalID: has`:        {"--account=123456789012=" + pullRole + "#a"},
		`want ACCOUNT=ROLE_ARN[#EXTERNAL_ID]`:             {"--account=x"},
		`roleAnnotations: an annotation is empty`:         {"--role-annotation=a,,b"},
		`command line: unknown flag: --no-such (see --he`: {"--no-such"},
	} {
		if _, err := load(args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
}
