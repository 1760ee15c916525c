package icr

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

const (
	iamBody     = `{"access_token":"iam-token","refresh_token":"not_supported","token_type":"Bearer","expires_in":3600,"expiration":4000000000,"scope":"ibm openid"}`
	machineBody = `{"access_token":"machine-token","created_at":"2026-11-06T10:00:00.000Z","expires_at":"2096-11-06T10:05:00.000Z","expires_in":300}`
	linkedBody  = `{"access_token":"iam-token","created_at":"2026-11-06T10:00:00.000Z","expires_at":"2096-11-06T11:00:00.000Z","expires_in":3600}`
)

func TestIAM(t *testing.T) {
	key := write(t, "key", "\n\t the-key \r\n\n")
	for name, tc := range map[string]struct {
		source func(*endpoints) credential.TokenSource
		want   map[string]string
	}{
		"an API key": {func(e *endpoints) credential.TokenSource { return &keyToken{key, e} }, map[string]string{"grant_type": "urn:ibm:params:oauth:grant-type:apikey", "apikey": "the-key"}},
		"a pod": {func(e *endpoints) credential.TokenSource {
			return &podToken{pod: testPod(t), profile: one, endpoints: e}
		}, map[string]string{"grant_type": "urn:ibm:params:oauth:grant-type:cr-token", "cr_token": testPod(t).Reveal(), "profile_id": one}},
	} {
		f := says(t, answer{200, iamBody, nil})
		c, err := credential.Login(tokenUser, tc.source(f.endpoints())).Fetch(t.Context(), getter{})
		if err != nil || c.Password.Reveal() != "iam-token" || c.Username != "iambearer" || (time.Until(c.Expires)-time.Hour).Abs() > 5*time.Second {
			t.Fatalf("%s: got %+v, %v", name, c, err)
		}
		r := f.asked[0]
		if r.Method != http.MethodPost || r.URL.String() != "https://iam.cloud.ibm.com/identity/token" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" ||
			r.Header.Get("Accept") != "application/json" || r.Header.Get("Authorization") != "" {
			t.Errorf("%s: asked %s %s with %v", name, r.Method, r.URL, r.Header)
		}
		plugintest.WantForm(t, r.form, tc.want)
	}
}

func TestAssumedProfiles(t *testing.T) {
	by := plugintest.JWT(`{"iam_id":"iam-ServiceId-1","account":{"bss":"home"}}`)
	assumed := plugintest.JWT(`{"iam_id":"iam-Profile-2","account":{"bss":"partner"}}`)
	f := says(t, answer{200, `{"access_token":"` + by + `","expires_in":3600}`, nil}, answer{200, `{"access_token":"` + assumed + `","expires_in":1200}`, nil})
	e := f.endpoints()
	token, err := (&assumedToken{two, &keyToken{write(t, "key", "k"), e}, e}).Fetch(t.Context(), getter{})
	if err != nil || token.Value.Reveal() != assumed || token.Caller != "iam-Profile-2 of account partner" {
		t.Fatalf("got %+v, %v", token, err)
	}
	wantLife(t, token, 20*time.Minute)
	plugintest.WantForm(t, f.asked[1].form, map[string]string{"grant_type": "urn:ibm:params:oauth:grant-type:assume", "access_token": by, "profile_id": two})
}

// renewing is a Getter with a token that is old, and what comes of asking for
// another.
type renewing struct{ refused []string }

func (r *renewing) Token(context.Context, credential.TokenSource) (credential.Token, error) {
	return credential.Token{Value: credential.NewSecret("old"), Caller: "iam-ServiceId-1"}, nil
}

func (r *renewing) Renew(_ context.Context, _ credential.TokenSource, refused credential.Token) (credential.Token, error) {
	r.refused = append(r.refused, refused.Value.Reveal())
	return credential.Token{Value: credential.NewSecret("new")}, nil
}

// The token that a profile is assumed with is asked for again where it is what
// IAM refuses, and not where IAM refuses the profile.
func TestATokenThatIsRefusedIsRenewedOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		refusal answer
		renewed bool
	}{
		"the token":   {answer{400, `{"errorCode":"BXNIM0407E","errorMessage":"Provided token is invalid."}`, nil}, true},
		"by status":   {answer{401, `{"errorCode":"BXNIM0408E","errorMessage":"x"}`, nil}, true},
		"the profile": {answer{400, `{"errorCode":"BXNIM0398E","errorMessage":"Selected trusted profile not eligible."}`, nil}, false},
	} {
		f := says(t, tc.refusal, answer{200, iamBody, nil})
		e, g := f.endpoints(), &renewing{}
		_, err := (&assumedToken{two, &keyToken{"/k", e}, e}).Fetch(t.Context(), g)
		if (err == nil) != tc.renewed || (len(g.refused) == 1) != tc.renewed {
			t.Errorf("%s: %v after %q was refused", name, err, g.refused)
		}
		if tc.renewed && f.asked[1].form.Get("access_token") != "new" {
			t.Errorf("%s: sent %q", name, f.asked[1].form)
		}
	}
}

// Only what does not answer is passed over, and only if the operator says so.
func TestThePublicEndpointIsAskedWhereThePrivateOneDoesNotAnswer(t *testing.T) {
	private, public := "private.iam.cloud.ibm.com", "iam.cloud.ibm.com"
	for name, tc := range map[string]struct {
		iam   []string
		first func(asked) (answer, error)
		want  []string // the hosts that are asked
		took  time.Duration
	}{
		"it answers":           {[]string{private, public}, func(asked) (answer, error) { return answer{200, iamBody, nil}, nil }, []string{private}, 0},
		"it refuses":           {[]string{private, public}, func(asked) (answer, error) { return answer{400, `{"errorCode":"BXNIM0415E"}`, nil}, nil }, []string{private}, 0},
		"it has a fault":       {[]string{private, public}, func(asked) (answer, error) { return answer{503, ``, nil}, nil }, []string{private}, 0},
		"it has no address":    {[]string{private, public}, func(asked) (answer, error) { return answer{}, &net.DNSError{IsNotFound: true} }, []string{private, public}, 0},
		"it cannot be reached": {[]string{private, public}, func(asked) (answer, error) { return answer{}, syscall.ECONNREFUSED }, []string{private, public}, 0},
		"it is silent": {[]string{private, public}, func(r asked) (answer, error) {
			<-r.Context().Done()
			return answer{}, r.Context().Err()
		}, []string{private, public}, fallbackAfter},
		"nobody said so": {[]string{private}, func(asked) (answer, error) { return answer{}, syscall.ECONNREFUSED }, []string{private}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &cloudFake{}
			f.answer = func(r asked) (answer, error) {
				if r.URL.Host == private {
					return tc.first(r)
				}
				return answer{200, iamBody, nil}, nil
			}
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
			defer cancel()
			begin := time.Now()
			reply := f.endpoints(tc.iam...).askIAM(ctx, stageKey, nil)
			var hosts []string
			for _, r := range f.asked {
				hosts = append(hosts, r.URL.Host)
			}
			if !slices.Equal(hosts, tc.want) || reply.Host != tc.want[len(tc.want)-1] || time.Since(begin) != tc.took {
				t.Errorf("%s: asked %v within %s, got %+v", name, hosts, time.Since(begin), reply)
			}
		})
	}
	// Whoever calls the run off calls off both.
	ctx, cancel := context.WithCancel(t.Context())
	f := &cloudFake{answer: func(asked) (answer, error) { cancel(); return answer{}, context.Canceled }}
	if f.endpoints(private, public).askIAM(ctx, stageKey, nil); len(f.asked) != 1 {
		t.Errorf("asked %v", f.urls())
	}
}

// machineAt is a machine whose metadata service is there for a scheme and has
// some paths.
func machineAt(has ...string) *cloudFake {
	f := &cloudFake{}
	f.answer = func(r asked) (answer, error) {
		base := r.URL.Scheme + "://" + r.URL.Host
		if !slices.ContainsFunc(has, func(url string) bool { return strings.HasPrefix(url, base+"/") }) {
			return answer{}, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		switch {
		case !slices.Contains(has, base+r.URL.Path):
			return answer{404, `{"errors":[{"code":"not_found","message":"no"}],"trace":"t"}`, nil}, nil
		case r.Method == http.MethodPut:
			return answer{200, machineBody, nil}, nil
		default:
			return answer{200, linkedBody, nil}, nil
		}
	}
	return f
}

func TestTheMetadataServiceIsFound(t *testing.T) {
	const (
		plain, secure, power = "http://169.254.169.254", "https://api.metadata.cloud.ibm.com", "https://api.metadata.power-iaas.cloud.ibm.com"
		identity, iam        = "/identity/v1/token", "/identity/v1/iam_tokens"
		oldIdentity, oldIAM  = "/instance_identity/v1/token", "/instance_identity/v1/iam_token"
		current, old         = "?version=2025-08-26", "?version=2022-03-01"
	)
	for name, tc := range map[string]struct {
		has  []string
		kind *metadataService
		want []string
	}{
		"a virtual server":          {[]string{plain + identity, plain + iam, plain + oldIdentity, plain + oldIAM}, vpcMetadata, []string{"PUT " + plain + identity + current, "POST " + plain + iam + current}},
		"bare metal":                {[]string{plain + identity, plain + iam}, vpcMetadata, []string{"PUT " + plain + identity + current, "POST " + plain + iam + current}},
		"of before":                 {[]string{plain + oldIdentity, plain + oldIAM}, vpcMetadata, []string{"PUT " + plain + identity + current, "PUT " + plain + oldIdentity + old, "POST " + plain + oldIAM + old}},
		"with secure access":        {[]string{secure + identity, secure + iam}, vpcMetadata, []string{"PUT " + plain + identity + current, "PUT " + secure + identity + current, "POST " + secure + iam + current}},
		"with secure access before": {[]string{secure + oldIdentity, secure + oldIAM}, vpcMetadata, []string{"PUT " + plain + identity + current, "PUT " + secure + identity + current, "PUT " + secure + oldIdentity + old, "POST " + secure + oldIAM + old}},
		"of Power":                  {[]string{power + identity, power + iam}, powerVSMetadata, []string{"PUT " + power + identity, "POST " + power + iam}},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := machineAt(tc.has...)
			begin := time.Now()
			token, err := (&machineToken{tc.kind, one, f.endpoints()}).Fetch(t.Context(), getter{})
			if err != nil || token.Value.Reveal() != "iam-token" || token.Caller != "trusted profile "+one {
				t.Fatalf("%s: got %+v, %v", name, token, err)
			}
			wantLife(t, token, time.Hour)
			if got := f.urls(); !slices.Equal(got, tc.want) {
				t.Errorf("%s: asked %q, want %q", name, got, tc.want)
			}
			if took := time.Since(begin); took != 0 {
				t.Errorf("%s: took %s", name, took)
			}
			for _, r := range f.asked {
				if r.Header.Get("Metadata-Flavor") != "ibm" || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s: %s %s with %v", name, r.Method, r.URL, r.Header)
				}
				want, bearer := `{"expires_in":300}`, ""
				if r.Method == http.MethodPost {
					want, bearer = `{"trusted_profile":{"id":"`+one+`"}}`, "Bearer machine-token"
				}
				if r.body != want || r.Header.Get("Authorization") != bearer {
					t.Errorf("%s: %s with %s and %q", name, r.Method, r.body, r.Header.Get("Authorization"))
				}
			}
		})
	}
	// The default profile has no body.
	f := machineAt(plain+identity, plain+iam)
	if _, err := (&machineToken{vpcMetadata, noProfile, f.endpoints()}).Fetch(t.Context(), getter{}); err != nil {
		t.Fatal(err)
	}
	if r := f.asked[1]; r.body != "" || r.Header.Get("Content-Type") != "" || r.Method != http.MethodPost {
		t.Errorf("sent %s %q with %v", r.Method, r.body, r.Header)
	}
}

// A service that is turned off says nothing, and one that is slow something: the
// first is given up within seconds, and the second waited for.
func TestAServiceThatSaysNothing(t *testing.T) {
	silent := func(r asked) (answer, error) {
		<-r.Context().Done()
		return answer{}, &cloudhttp.SilenceError{Step: cloudhttp.Waiting, After: identifyFor}
	}
	slow := func(r asked) (answer, error) {
		if err := cloudhttp.Sleep(r.Context(), 9*time.Second); err != nil {
			return answer{}, err
		}
		return answer{200, machineBody, nil}, nil
	}
	refused := func(asked) (answer, error) {
		return answer{}, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	dropped := func(asked) (answer, error) {
		time.Sleep(1500 * time.Millisecond)
		return answer{}, &net.OpError{Op: "dial", Err: context.DeadlineExceeded}
	}
	noName := func(asked) (answer, error) {
		return answer{}, &net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}
	}
	for name, tc := range map[string]struct {
		plain, secure func(asked) (answer, error)
		want          string // of the failure; empty: there is none
		within        time.Duration
	}{
		"silent":                       {silent, refused, "VPC's metadata service accepted the connection and did not answer in time: enable the metadata service", identifyFor},
		"silent, with secure access":   {dropped, silent, "VPC's metadata service accepted the connection and did not answer in time: enable the metadata service", identifyFor},
		"dropped":                      {dropped, dropped, "there is nothing at 169.254.169.254, where VPC's metadata service would be: enable the metadata service", 2 * time.Second},
		"dropped, and there is no DNS": {dropped, noName, "there is nothing at 169.254.169.254, where VPC's metadata service would be: enable the metadata service", 1500 * time.Millisecond},
		"slow":                         {slow, refused, "", 9 * time.Second},
		"slow, with secure access":     {dropped, slow, "", headStart + 9*time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			f := &cloudFake{}
			f.answer = func(r asked) (answer, error) {
				switch {
				case r.Method == http.MethodPost:
					return answer{200, linkedBody, nil}, nil
				case r.URL.Scheme == "https":
					return tc.secure(r)
				default:
					return tc.plain(r)
				}
			}
			begin := time.Now()
			_, err := (&machineToken{vpcMetadata, noProfile, f.endpoints()}).Fetch(t.Context(), getter{})
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)) {
				t.Errorf("%s: got %v", name, err)
			}
			if took := time.Since(begin); took != tc.within {
				t.Errorf("%s: took %s, want %s", name, took, tc.within)
			}
			synctest.Wait()
		})
	}
}

func TestKeyFiles(t *testing.T) {
	for text, want := range map[string]string{
		"the-key":     "the-key",
		" the-key \n": "the-key",
		"\n\nthe-key": "the-key",
		`{"name":"pull","description":"","createdAt":"2026-11-06T10:00+0000","apikey":"the-key"}` + "\n": "the-key",
		"":                        "",
		" \n":                     "",
		"the key":                 "",
		"one\ntwo":                "",
		"the-key\x00":             "",
		`{"apikey":5}`:            "",
		`{"apiKey`:                "",
		`{"name":"pull"}`:         "",
		`{"apikey":"a b"}`:        "",
		strings.Repeat("k", 2000): "",
	} {
		path := write(t, "icr.apikey", text)
		key, err := readKey(path)
		if key.Reveal() != want || (err == nil) != (want != "") {
			t.Errorf("%q: got %q, %v", text, key.Reveal(), err)
		}
		if err != nil && (!errors.Is(err, errKey) || !strings.HasSuffix(err.Error(), path)) {
			t.Errorf("%q: got %v", text, err)
		}
	}
	_, err := (&keyToken{"/absent/key", says(t).endpoints()}).Fetch(t.Context(), getter{})
	plugintest.WantFailure(t, err, true, "the API key, which apiKeyFile names, cannot be read: no such file or directory: /absent/key", "", "credentials; as the owner of the API key in /absent/key")
}

// A token has its end from whatever says it, the earliest counts, and it is the
// registry's business alone that it takes one for longer.
func TestTheLifeOfAToken(t *testing.T) {
	now := time.Now()
	in := func(d time.Duration) int64 { return now.Add(d).Unix() }
	at := func(d time.Duration) string { return now.Add(d).UTC().Format(time.RFC3339) }
	jwt := func(d time.Duration) string { return plugintest.JWT(fmt.Sprintf(`{"exp":%d}`, in(d))) }
	for name, tc := range map[string]struct {
		body string
		date time.Time
		life time.Duration
	}{
		"both":                      {fmt.Sprintf(`{"access_token":"x","expires_in":3600,"expiration":%d}`, in(time.Hour)), now, time.Hour},
		"less than usual":           {fmt.Sprintf(`{"access_token":"x","expires_in":300,"expiration":%d}`, in(5*time.Minute)), now, 5 * time.Minute},
		"what is left of it":        {fmt.Sprintf(`{"access_token":"x","expires_in":3600,"expiration":%d}`, in(10*time.Minute)), now, 10 * time.Minute},
		"a duration alone":          {`{"access_token":"x","expires_in":3600}`, now, time.Hour},
		"an end alone":              {fmt.Sprintf(`{"access_token":"x","expiration":%d}`, in(time.Hour)), now, time.Hour},
		"as texts":                  {fmt.Sprintf(`{"access_token":"x","expires_in":"3600","expiration":"%d"}`, in(30*time.Minute)), now, 30 * time.Minute},
		"by a clock ahead":          {fmt.Sprintf(`{"access_token":"x","expiration":%d}`, in(2*time.Hour)), now.Add(time.Hour), time.Hour},
		"by a clock behind":         {fmt.Sprintf(`{"access_token":"x","expires_in":3600,"expiration":%d}`, in(-time.Hour)), now.Add(-2 * time.Hour), time.Hour},
		"a machine's":               {fmt.Sprintf(`{"access_token":"x","expires_in":3600,"expires_at":%q}`, at(time.Hour)), now, time.Hour},
		"a machine's end":           {fmt.Sprintf(`{"access_token":"x","expires_at":%q}`, at(time.Hour)), now, time.Hour},
		"a machine's clock ahead":   {fmt.Sprintf(`{"access_token":"x","expires_at":%q}`, at(3*time.Hour)), now.Add(2 * time.Hour), time.Hour},
		"a machine's with no sense": {`{"access_token":"x","expires_in":3600,"expires_at":"tomorrow"}`, now, time.Hour},
		"the token's own":           {`{"access_token":"` + jwt(40*time.Minute) + `"}`, now, 40 * time.Minute},
		"said and the token's own":  {`{"access_token":"` + jwt(40*time.Minute) + `","expires_in":1800}`, now, 30 * time.Minute},
	} {
		r := cloudhttp.Reply{Status: 200, Body: []byte(tc.body), Received: now, Header: http.Header{"Date": {tc.date.UTC().Format(http.TimeFormat)}}}
		token, err := readToken(r)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if left := token.Expires.Sub(now); (left - tc.life).Abs() > 2*time.Second {
			t.Errorf("%s: lives for %s, want %s", name, left, tc.life)
		}
	}
}

// An answer of no use is a failure, and what is in it is in no message.
func TestAnswersOfNoUse(t *testing.T) {
	for body, want := range map[string]string{
		``:                                   "the answer cannot be read",
		`{`:                                  "the answer cannot be read",
		`<html>hunter2hunter2</html>`:        "the answer cannot be read",
		`"hunter2hunter2"`:                   "the answer cannot be read",
		`{}`:                                 "the answer holds no token",
		`{"access_token":"","expires_in":9}`: "the answer holds no token",
		`{"access_token":"hunter2hunter2"}`:  "without an expiry",
		`{"access_token":"hunter2hunter2","expires_in":0,"expiration":0}`: "without an expiry",
		`{"access_token":"hunter2hunter2","expiration":12}`:               "already expired",
		`{"access_token":"hunter2 hunter2","expires_in":9}`:               "characters that no token has",
		`{"access_token":5,"expires_in":9}`:                               "the answer cannot be read",
		`{"errorCode":"BXNIM0415E","errorMessage":"hunter2hunter2"}`:      "the answer holds no token",
	} {
		f := says(t, answer{200, body, http.Header{"Transaction-Id": {"req-1"}}})
		_, err := (&podToken{pod: testPod(t), profile: one, endpoints: f.endpoints()}).Fetch(t.Context(), getter{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") ||
			!strings.HasSuffix(err.Error(), "[iam cr-token at iam.cloud.ibm.com; request id req-1; as service account prod/sa as trusted profile "+one+"]") {
			t.Errorf("%s: got %v", body, err)
		}
		f = says(t, answer{200, machineBody, nil}, answer{200, body, nil})
		_, err = (&machineToken{powerVSMetadata, one, f.endpoints()}).Fetch(t.Context(), getter{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", body, err)
		}
	}
}

// Who it was is what IAM's token says of itself, or else as whom it was asked.
func TestTheCaller(t *testing.T) {
	asked := "service account prod/sa as trusted profile " + one
	for claims, want := range map[string]string{
		`"iam_id":"iam-` + one + `","account":{"valid":true,"bss":"0123456789abcdef"}`: "iam-" + one + " of account 0123456789abcdef",
		`"iam_id":"iam-ServiceId-1"`:                    "iam-ServiceId-1",
		`"iam_id":"IBMid-50A","account":{"bss":"a\nb"}`: "IBMid-50A",
		`"iam_id":"x\ny"`:                               asked,
		`"iam_id":"` + strings.Repeat("a", 400) + `"`:   asked,
		`"iam_id":5`:          asked,
		`"sub":"ServiceId-1"`: asked,
	} {
		f := says(t, answer{200, `{"access_token":"` + plugintest.JWT("{"+claims+"}") + `","expires_in":3600}`, nil})
		token, err := (&podToken{pod: testPod(t), profile: one, endpoints: f.endpoints()}).Fetch(t.Context(), getter{})
		if err != nil || token.Caller != want {
			t.Errorf("%s: got %q, %v", claims, token.Caller, err)
		}
	}
}
