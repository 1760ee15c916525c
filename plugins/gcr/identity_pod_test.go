package gcr

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"regcred/plugins/plugintest"
	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
)

func TestTheFormOfAnExchange(t *testing.T) {
	main, _ := providerAudience(mainProvider, googleCloud)
	pod := plugintest.Pod(t, "sa", "u", "p")
	got := exchange(stsURL, main.text, podTokenType, credential.NewSecret(pod.Reveal()), []string{everything})
	want := "audience=%2F%2Fiam.googleapis.com%2Fprojects%2F123456789012%2Flocations%2Fglobal%2FworkloadIdentityPools%2Fclusters%2Fproviders%2Fmain" +
		"&grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token" +
		"&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fcloud-platform&subject_token=" + pod.Reveal() + "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt"
	if got.Form.Encode() != want || got.URL != stsURL || !got.Bearer.Empty() {
		t.Errorf("got %s %s", got.URL, got.Form.Encode())
	}
	if got := newEndpoints(berlin, "", nil).sts(); got != "https://sts.apis-berlin-build0.goog/v1/token" {
		t.Errorf("got %s", got)
	}
}

// getter is a Getter that remembers what was obtained through it, and renews
// what is refused.
type getter struct {
	obtained []string
	renewed  int
}

func (g *getter) Token(ctx context.Context, s credential.TokenSource) (credential.Token, error) {
	g.obtained = append(g.obtained, s.String())
	return s.Fetch(ctx, g)
}

func (g *getter) Renew(ctx context.Context, s credential.TokenSource, _ credential.Token) (credential.Token, error) {
	g.renewed++
	return s.Fetch(ctx, g)
}

// A pod pulls as itself, or as an account; the token on the way is obtained
// through the Getter both times, so that it is shared.
func TestPodTokens(t *testing.T) {
	main, _ := providerAudience(mainProvider, googleCloud)
	gke, _ := clusterAudience("shop", cluster)
	account := reply{body: fmt.Sprintf(`{"accessToken":"ya29.account","expireTime":%q}`, time.Now().Add(30*time.Minute).UTC().Format(time.RFC3339))}
	for name, tc := range map[string]struct {
		audience       audience
		email          string
		password, want string
		life           time.Duration
	}{
		"as itself":           {main, "", "ya29.token", "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/clusters/subject/system:serviceaccount:prod:sa", time.Hour},
		"as itself, on GKE":   {gke, "", "ya29.token", "shop.svc.id.goog[prod/sa]", time.Hour},
		"as a Google account": {main, pullAccount, "ya29.account", pullAccount, 30 * time.Minute},
		"as one of GKE's":     {gke, pullAccount, "ya29.account", pullAccount, 30 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			fake := &exchanges{answers: map[string]reply{stsURL: {body: goodToken}, iamURL: account}}
			own := &federatedToken{endpoints: &endpoints{googleCloud, cloudhttp.Through(fake)}, pod: plugintest.Pod(t, "sa", "u", "p"), audience: tc.audience, scopes: []string{everything}}
			var token credential.TokenSource = own
			if tc.email != "" {
				token = &impersonatedToken{own: own, email: tc.email, scopes: []string{everything + ".read-only"}}
			}
			var through getter
			got, err := credential.Login(tokenUser, token).Fetch(t.Context(), &through)
			if err != nil || got.Username != "_token" || got.Password.Reveal() != tc.password || got.Caller != tc.want || (time.Until(got.Expires)-tc.life).Abs() > 5*time.Second {
				t.Errorf("got %+v, %v", got, err)
			}
			if last := len(through.obtained) - 1; last < 0 || through.obtained[last] != own.String() {
				t.Errorf("obtained through the Getter: %q", through.obtained)
			}
			if tc.email != "" && !strings.HasSuffix(fake.asked[1], `{"scope":["`+everything+`.read-only"],"lifetime":"3600s"}`) {
				t.Errorf("asked %q", fake.asked)
			}
		})
	}
}

// When the account's token ends is told by the server's clock.
func TestAnExpiryByAnotherClock(t *testing.T) {
	for _, skew := range []time.Duration{-20 * time.Minute, 0, 20 * time.Minute} {
		server := time.Now().Add(skew).UTC()
		answer := reply{
			body:   fmt.Sprintf(`{"accessToken":"t","expireTime":%q}`, server.Add(time.Hour).Format(time.RFC3339)),
			header: http.Header{"Date": {server.Format(http.TimeFormat)}},
		}
		e := &endpoints{googleCloud, cloudhttp.Through(&exchanges{answers: map[string]reply{iamURL: answer}})}
		token, _, err := e.accountToken(t.Context(), e.generateAccessToken(pullAccount), credential.Token{}, accountRequest{})
		if err != nil || (time.Until(token.Expires)-time.Hour).Abs() > 5*time.Second {
			t.Errorf("%s: got %s, %v", skew, time.Until(token.Expires), err)
		}
	}
}

// A token that IAM does not take in spite of its life is replaced, once.
func TestARefusedExchangeIsMadeAgain(t *testing.T) {
	main, _ := providerAudience(mainProvider, googleCloud)
	number := 0
	var bearers []string
	through := transport(func(request *http.Request) (*http.Response, error) {
		answers := map[string]reply{}
		if strings.HasPrefix(request.URL.Host, "sts.") {
			number++
			answers[stsURL] = reply{body: strings.Replace(goodToken, "ya29.token", fmt.Sprint("ya29.", number), 1)}
		} else {
			bearers = append(bearers, request.Header.Get("Authorization"))
			answers[iamURL] = api(401, "UNAUTHENTICATED", "no", "")
		}
		return (&exchanges{answers: answers}).RoundTrip(request)
	})
	own := &federatedToken{endpoints: &endpoints{googleCloud, cloudhttp.Through(through)}, pod: plugintest.Pod(t, "sa", "u", "p"), audience: main}
	var g getter
	_, err := (&impersonatedToken{own: own, email: pullAccount}).Fetch(t.Context(), &g)
	wantFailure(t, err, false, "IAM does not take the token that was exchanged")
	if want := "[Bearer ya29.1 Bearer ya29.2]"; fmt.Sprint(bearers) != want || g.renewed != 1 {
		t.Errorf("asked with %s, want %s", bearers, want)
	}
}
