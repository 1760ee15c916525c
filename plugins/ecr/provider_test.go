package ecr

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"regcred/plugins/plugintest"
	"regcred/shared/credential"
	"regcred/shared/plugin"
	"regcred/shared/serviceaccount"
)

const (
	pullRole  = "arn:aws:iam::123456789012:role/pull"
	teamRole  = "arn:aws:iam::123456789012:role/team/pull"
	otherRole = "arn:aws:iam::999999999999:role/regcred"
)

func newProvider(t testing.TB, edit func(*Settings), env ...string) credential.Provider {
	t.Helper()
	s := Plugin().New().(*Settings)
	s.SetDefaults(plugintest.Getenv())
	if edit != nil {
		edit(s)
	}
	p, err := s.Provider(plugin.Run{Getenv: plugintest.Getenv(env...)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func ask(t testing.TB, p credential.Provider, host string, pod *serviceaccount.Token, annotations map[string]string) (credential.Source, error) {
	t.Helper()
	got, err := p.Answer(plugintest.Request(t, host+"/app", pod, annotations))
	if got.PerImage || got.Anonymous != "" || err != nil && got.Source != nil {
		t.Errorf("got %+v, %v", got, err)
	}
	return got.Source, err
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
		"or has its profile": {
			edit: func(s *Settings) { s.Accounts = map[string]Account{"123456789012": {Profile: "global"}} },
			want: "the node's profile global",
		},
		"or a role with that": {
			edit: func(s *Settings) {
				s.Accounts = map[string]Account{"123456789012": {Profile: "global", RoleARN: otherRole}}
			},
			want: "the node's profile global as " + otherRole,
		},
		"a partition is for all accounts in it": {
			edit: func(s *Settings) { s.Accounts = map[string]Account{"aws": {Profile: "global"}} },
			want: "the node's profile global",
		},
		"an account is more than its partition": {
			edit: func(s *Settings) {
				s.Accounts = map[string]Account{"aws": {Profile: "global"}, "123456789012": {RoleARN: otherRole}}
			},
			want: "the node as " + otherRole,
		},
		"other partitions have nothing to do with it": {
			edit: func(s *Settings) { s.Accounts = map[string]Account{"aws-cn": {Profile: "global"}} },
			want: "the node's identity",
		},
		"the public registry is in a partition": {
			host: "public.ecr.aws", edit: func(s *Settings) { s.Accounts = map[string]Account{"aws": {Profile: "global"}} },
			want: "the node's profile global",
		},
		"and has a name of its own": {
			host: "public.ecr.aws",
			edit: func(s *Settings) {
				s.Accounts = map[string]Account{"aws": {Profile: "global"}, "public": {Profile: "anybody"}}
			},
			want: "the node's profile anybody",
		},
		"other accounts have nothing to do with it": {
			edit: func(s *Settings) { s.Accounts = map[string]Account{"210987654321": {RoleARN: otherRole}} },
			want: "the node's identity",
		},
		"an account's role of another partition": {
			edit: func(s *Settings) {
				s.Accounts = map[string]Account{"123456789012": {RoleARN: "arn:aws-cn:iam::123456789012:role/a"}}
			},
			wantErr: `accounts["123456789012"].roleARN: role of partition aws-cn, while registry 123456789012 in us-east-1 is in aws`,
		},
		"a pod assumes the annotated role":        {pod: true, annotations: annotated, want: "service account prod/sa as " + teamRole},
		"a pod assumes the configured role":       {pod: true, edit: func(s *Settings) { s.RoleARN = pullRole }, want: "service account prod/sa as " + pullRole},
		"an annotation beats the configuration":   {pod: true, edit: func(s *Settings) { s.RoleARN = pullRole }, annotations: annotated, want: "service account prod/sa as " + teamRole},
		"other annotations count if listed":       {pod: true, edit: func(s *Settings) { s.RoleAnnotations = []string{"none", "example.com/role"} }, annotations: annotated, want: "service account prod/sa as " + pullRole},
		"other annotations do not count":          {pod: true, annotations: map[string]string{"example.com/role": pullRole}, wantErr: "names no identity"},
		"a pod never falls back to the node":      {pod: true, wantErr: "service account prod/sa names no identity to pull with: annotate it with eks.amazonaws.com/ecr-role-arn"},
		"unless that is allowed":                  {pod: true, edit: func(s *Settings) { s.NodeFallback = credential.FallbackAll() }, want: "the node's identity"},
		"fallback does not hide a bad annotation": {pod: true, edit: func(s *Settings) { s.NodeFallback = credential.FallbackAll() }, annotations: map[string]string{roleAnnotation: "x"}, wantErr: "service account prod/sa: annotation eks.amazonaws.com/ecr-role-arn: not the ARN"},
		"a role of another partition": {
			pod: true, host: "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", annotations: annotated,
			wantErr: "role of partition aws, while registry 123456789012 in cn-north-1 is in aws-cn",
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
			got, err := ask(t, newProvider(t, tc.edit), host, token, tc.annotations)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Errorf("got %v, want %q", err, tc.wantErr)
				}
				return
			}
			where := "registry 123456789012 in us-east-1"
			if tc.host == "public.ecr.aws" {
				where = "the public registry"
			}
			if want := "ECR for " + where + " as " + tc.want; err != nil || got.String() != want {
				t.Errorf("got %v, %v; want %s", got, err, want)
			}
		})
	}
}

func TestPublicWithoutARoleIsAnonymousForPods(t *testing.T) {
	got, err := ask(t, newProvider(t, nil), "public.ecr.aws", plugintest.Pod(t, "sa", "u", "p"), nil)
	if err != nil || got.String() != "the public registry without a credential" {
		t.Fatalf("got %v, %v", got, err)
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
	plain := newProvider(t, nil)
	byPod := newProvider(t, func(s *Settings) { s.IdentityScope = serviceaccount.ScopePod })
	sa := plugintest.Pod(t, "sa", "uid-1", "pod-1")

	for name, same := range map[string][2]credential.Key{
		"registries of other accounts": {key(plain, host, nil), key(plain, "210987654321.dkr.ecr.us-east-1.amazonaws.com", nil)},
		"pods of a service account":    {key(plain, host, sa), key(plain, host, plugintest.Pod(t, "sa", "uid-1", "pod-2"))},
		"root's home":                  {key(plain, host, nil), key(newProvider(t, nil, "HOME=/root"), host, nil)},
		"the node's profile, to a pod": {key(plain, host, sa), key(newProvider(t, nil, "AWS_PROFILE=ecr"), host, sa)},
		"the port":                     {key(plain, host, nil), key(plain, host+":443", nil)},
	} {
		if !slices.Equal(same[0], same[1]) {
			t.Errorf("%s: %q and %q differ", name, same[0], same[1])
		}
	}
	if k := fmt.Sprint(key(newProvider(t, nil, "AWS_ENDPOINT_URL_ECR=https://user:hunter2@vpce"), host, nil)); strings.Contains(k, "hunter2") {
		t.Errorf("a secret is in %s", k)
	}
	keys := map[string]string{}
	for name, k := range map[string]credential.Key{
		"node":           key(plain, host, nil),
		"another region": key(plain, "123456789012.dkr.ecr.eu-west-1.amazonaws.com", nil),
		"fips":           key(plain, "123456789012.dkr.ecr-fips.us-east-1.amazonaws.com", nil),
		"dual-stack":     key(plain, "123456789012.dkr-ecr.us-east-1.on.aws", nil),
		"public":         key(plain, "public.ecr.aws", nil),
		"account's role": key(newProvider(t, func(s *Settings) { s.Accounts = map[string]Account{"123456789012": {RoleARN: otherRole}} }), host, nil),
		"account's external ID": key(newProvider(t, func(s *Settings) {
			s.Accounts = map[string]Account{"123456789012": {RoleARN: otherRole, ExternalID: "id"}}
		}), host, nil),
		"account's profile":       key(newProvider(t, func(s *Settings) { s.Accounts = map[string]Account{"123456789012": {Profile: "a"}} }), host, nil),
		"another of its profiles": key(newProvider(t, func(s *Settings) { s.Accounts = map[string]Account{"123456789012": {Profile: "b"}} }), host, nil),
		"another key":             key(newProvider(t, nil, "AWS_ACCESS_KEY=AKIA"), host, nil),
		"another home":            key(newProvider(t, nil, "HOME=/home/kubelet"), host, nil),
		"container token":         key(newProvider(t, nil, "AWS_CONTAINER_AUTHORIZATION_TOKEN=one"), host, nil),
		"another container token": key(newProvider(t, nil, "AWS_CONTAINER_AUTHORIZATION_TOKEN=two"), host, nil),
		"another profile":         key(newProvider(t, nil, "AWS_PROFILE=ecr"), host, nil),
		"another endpoint":        key(newProvider(t, nil, "AWS_ENDPOINT_URL_ECR=https://vpce.example.com"), host, nil),
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
	for caller, want := range map[string]string{
		"prod.app":                 "regcred.prod.app",
		"prod.app:v1/x":            "regcred.prod.app-v1-x",
		"ip-10-0-0-1.ec2.internal": "regcred.ip-10-0-0-1.ec2.internal",
	} {
		if got := sessionName(caller); got != want {
			t.Errorf("%s: got %s, want %s", caller, got, want)
		}
	}
	long := strings.Repeat("n", 63) + "." + strings.Repeat("s", 253)
	a, b := sessionName(long), sessionName(long+"x")
	if len(a) != 64 || len(b) != 64 || a == b {
		t.Errorf("long names: %s and %s", a, b)
	}
}

func TestSettings(t *testing.T) {
	getenv := plugintest.Getenv("AWS_ECR_ROLE_ARN=" + pullRole)
	args := []string{
		"get-credentials", "--account", "123456789012=" + otherRole + "#an,id", "--account=210987654321=" + pullRole + " public=profile:a=b", "--v=2",
	}
	read, _, err := Plugin().Read(args, getenv)
	if err != nil {
		t.Fatal(err)
	}
	s := read.(*Settings)
	want := map[string]Account{
		"123456789012": {RoleARN: otherRole, ExternalID: "an,id"},
		"210987654321": {RoleARN: pullRole},
		"public":       {Profile: "a=b"},
	}
	if s.RoleARN != pullRole || !maps.Equal(s.Accounts, want) {
		t.Errorf("got %+v", s)
	}
	if _, _, err := Plugin().Load(args, getenv); err != nil {
		t.Error(err)
	}
	for want, args := range map[string][]string{
		`settings: roleARN: not the ARN`:                      {"--role-arn=x"},
		`accounts["1"]: neither an account number`:            {"--account=1=" + pullRole},
		`accounts["aws-mars"]: neither an account number`:     {"--account=aws-mars=profile:a"},
		`accounts["123456789012"].roleARN: not`:               {"--account=123456789012=x"},
		`accounts["123456789012"].externalID: a character`:    {"--account=123456789012=" + pullRole + "#a"},
		`accounts["123456789012"].externalID: no roleARN`:     {"--account=123456789012=#an-id"},
		`accounts["aws"]: neither a roleARN nor a profile`:    {"--account=aws=profile:"},
		`want ACCOUNT=ROLE_ARN[#EXTERNAL_ID]|profile:NAME`:    {"--account=x"},
		`"123456789012=" for "--account" flag: want`:          {"--account=123456789012="},
		`settings: roleAnnotations: empty annotation`:         {"--role-annotation=a,,b"},
		`command line: unknown flag: --no-such (see --he`:     {"--no-such"},
		`accounts["123456789012"].roleARN: not the ARN of an`: {"--account=123456789012=arn:aws:iam::123456789012:user/a"},
	} {
		if _, _, err := Plugin().Load(args, getenv); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", args, err, want)
		}
	}
}
