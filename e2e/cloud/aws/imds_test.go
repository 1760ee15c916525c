package aws

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// askIMDS makes one request, with headers given as name and value in turn.
func (g rig) askIMDS(method, path string, headers ...string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, "http://169.254.169.254"+path, nil)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	return serve(g.IMDS(), request)
}

const (
	tokenPath = "/latest/api/token"
	ttlHeader = "X-Aws-Ec2-Metadata-Token-Ttl-Seconds"
)

// getIMDS asks with a live token.
func (g rig) getIMDS(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	token := g.askIMDS(http.MethodPut, tokenPath, ttlHeader, "60")
	if token.Code != 200 {
		t.Fatalf("token: %d", token.Code)
	}
	return g.askIMDS(http.MethodGet, path, "X-Aws-Ec2-Metadata-Token", token.Body.String())
}

// instanceRig has an instance with the node's role.
func instanceRig() rig {
	g := newRig()
	g.Configure(func(s *Settings) { s.Instance.Role = nodeRole })
	return g
}

func TestIMDSTokens(t *testing.T) {
	tests := []struct {
		name    string
		method  string
		headers []string
		status  int
	}{
		{"shortest", http.MethodPut, []string{ttlHeader, "1"}, 200},
		{"longest", http.MethodPut, []string{ttlHeader, "21600"}, 200},
		{"no lifetime", http.MethodPut, nil, 400},
		{"zero", http.MethodPut, []string{ttlHeader, "0"}, 400},
		{"too long", http.MethodPut, []string{ttlHeader, "21601"}, 400},
		{"not a number", http.MethodPut, []string{ttlHeader, "5m"}, 400},
		{"through a proxy", http.MethodPut, []string{ttlHeader, "60", "X-Forwarded-For", "10.0.0.1"}, 403},
		{"GET", http.MethodGet, []string{ttlHeader, "60"}, 405},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newRig()
			answer := g.askIMDS(test.method, tokenPath, test.headers...)
			if answer.Code != test.status {
				t.Errorf("status %d, want %d", answer.Code, test.status)
			}
			if got := len(g.calls.Violations()) == 0; got != (test.status == 200) {
				t.Errorf("violations: %v", g.calls.Violations())
			}
			if answer.Code == 200 && answer.Header().Get(ttlHeader) != test.headers[1] {
				t.Errorf("header %q", answer.Header().Get(ttlHeader))
			}
		})
	}
}

func TestIMDSWithoutALiveTokenIsUnauthorized(t *testing.T) {
	g := instanceRig()
	if answer := g.askIMDS(http.MethodGet, rolesPath); answer.Code != 401 || len(g.calls.Violations()) != 1 {
		t.Errorf("version 1: %d, violations %v", answer.Code, g.calls.Violations())
	}
	if answer := g.askIMDS(http.MethodGet, rolesPath, "X-Aws-Ec2-Metadata-Token", "made up"); answer.Code != 401 {
		t.Errorf("made-up token: %d", answer.Code)
	}
	token := g.askIMDS(http.MethodPut, tokenPath, ttlHeader, "60").Body.String()
	g.Configure(func(s *Settings) { s.Clock = time.Minute })
	if answer := g.askIMDS(http.MethodGet, rolesPath, "X-Aws-Ec2-Metadata-Token", token); answer.Code != 401 {
		t.Errorf("expired token: %d", answer.Code)
	}
}

func TestIMDSAnswersTheRole(t *testing.T) {
	g := instanceRig()
	if name := g.getIMDS(t, rolesPath).Body.String(); name != "node" {
		t.Errorf("role %q", name)
	}
	var first, second roleDocument
	for _, document := range []*roleDocument{&first, &second} {
		if err := json.Unmarshal(g.getIMDS(t, rolesPath+"node").Body.Bytes(), document); err != nil {
			t.Fatal(err)
		}
	}
	if first.Code != "Success" || first.Type != "AWS-HMAC" || first.Token == "" || time.Until(first.Expiration) < 5*time.Hour {
		t.Errorf("document %+v", first)
	}
	if first != second {
		t.Error("two requests in a row got different credentials")
	}
	holder, ok := g.identities.holders.Find(first.AccessKeyID)
	if !ok || holder.Principal.Role != nodeRole || holder.SecretAccessKey != first.SecretAccessKey {
		t.Errorf("holder %+v", holder.Principal)
	}
	if answer := g.getIMDS(t, rolesPath+"other"); answer.Code != 404 {
		t.Errorf("another role: %d", answer.Code)
	}
}

func TestIMDSAnswersWhereTheInstanceIs(t *testing.T) {
	g := instanceRig()
	g.Configure(func(s *Settings) { s.Instance.Region = "eu-west-1" })
	if region := g.getIMDS(t, "/latest/meta-data/placement/region").Body.String(); region != "eu-west-1" {
		t.Errorf("region %q", region)
	}
	var document map[string]string
	if err := json.Unmarshal(g.getIMDS(t, "/latest/dynamic/instance-identity/document").Body.Bytes(), &document); err != nil {
		t.Fatal(err)
	}
	if document["region"] != "eu-west-1" || document["accountId"] != "123456789012" || document["availabilityZone"] != "eu-west-1a" {
		t.Errorf("document %v", document)
	}
	if answer := g.getIMDS(t, "/latest/meta-data/nothing"); answer.Code != 404 {
		t.Errorf("unknown path: %d", answer.Code)
	}
}

func TestIMDSOfAnInstanceInTrouble(t *testing.T) {
	t.Run("no role", func(t *testing.T) {
		if answer := newRig().getIMDS(t, rolesPath); answer.Code != 404 {
			t.Errorf("status %d", answer.Code)
		}
	})
	t.Run("role not ready", func(t *testing.T) {
		g := instanceRig()
		g.Configure(func(s *Settings) { s.Instance.EmptyLists = 2 })
		for _, want := range []string{"", "", "node"} {
			if answer := g.getIMDS(t, rolesPath); answer.Code != 200 || answer.Body.String() != want {
				t.Errorf("answer %d %q, want %q", answer.Code, answer.Body, want)
			}
		}
	})
	t.Run("disabled", func(t *testing.T) {
		g := instanceRig()
		g.Configure(func(s *Settings) { s.Instance.Disabled = true })
		if answer := g.askIMDS(http.MethodPut, tokenPath, ttlHeader, "60"); answer.Code != 403 {
			t.Errorf("status %d", answer.Code)
		}
	})
	t.Run("credentials not to be had", func(t *testing.T) {
		g := instanceRig()
		g.Configure(func(s *Settings) { s.Instance.CredentialsCode = "AssumeRoleUnauthorizedAccess" })
		var document map[string]string
		if err := json.Unmarshal(g.getIMDS(t, rolesPath+"node").Body.Bytes(), &document); err != nil {
			t.Fatal(err)
		}
		if len(document) != 3 || document["Code"] != "AssumeRoleUnauthorizedAccess" || document["Message"] == "" {
			t.Errorf("document %v", document)
		}
	})
	t.Run("hop limit exceeded", func(t *testing.T) {
		g := instanceRig()
		g.Configure(func(s *Settings) { s.Instance.HopLimited = true })
		server := httptest.NewServer(g.IMDS())
		defer server.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodPut, server.URL+tokenPath, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(ttlHeader, "60")
		if answer, err := http.DefaultClient.Do(request); err == nil {
			answer.Body.Close()
			t.Errorf("answered with %d", answer.StatusCode)
		}
		if got := g.calls.Count("imds", "PutToken"); got != 1 {
			t.Errorf("%d calls", got)
		}
	})
}

func TestContainerCredentials(t *testing.T) {
	tests := []struct {
		name, method, path, authorization string
		status                            int
	}{
		{"accepted", http.MethodGet, "/v1/credentials", "pod token", 200},
		{"no header", http.MethodGet, "/v1/credentials", "", 400},
		{"another token", http.MethodGet, "/v1/credentials", "other", 401},
		{"another path", http.MethodGet, "/v2/credentials", "pod token", 404},
		{"another method", http.MethodPost, "/v1/credentials", "pod token", 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := newRig()
			g.Configure(func(s *Settings) { s.Container = ContainerSettings{Role: nodeRole, Authorization: "pod token"} })
			request := httptest.NewRequest(test.method, "http://169.254.170.23"+test.path, nil)
			if test.authorization != "" {
				request.Header.Set("Authorization", test.authorization)
			}
			answer := serve(g.ContainerCredentials(), request)
			if answer.Code != test.status {
				t.Fatalf("status %d, want %d", answer.Code, test.status)
			}
			if test.status != 200 {
				return
			}
			var document map[string]string
			if err := json.Unmarshal(answer.Body.Bytes(), &document); err != nil {
				t.Fatal(err)
			}
			holder, ok := g.identities.holders.Find(document["AccessKeyId"])
			if !ok || holder.Principal.Role != nodeRole || document["Token"] != holder.SessionToken || document["AccountId"] != "123456789012" {
				t.Errorf("holder %+v, %t", holder.Principal, ok)
			}
		})
	}
}
