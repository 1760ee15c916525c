package icr

import (
	"errors"
	"strings"

	"regcred/shared/credential"
	"regcred/shared/jwt"
	"regcred/shared/settings"
)

// profile is the id of a trusted profile, "Profile-" and a UUID. Profiles are
// not named by their names: the same name is another profile in another account.
type profile string

// noProfile means that none is named.
const noProfile profile = ""

const profilePrefix = "Profile-"

func (p profile) String() string {
	if p == noProfile {
		return "the machine's default trusted profile"
	}
	return "trusted profile " + string(p)
}

var errProfile = errors.New("neither the id of a trusted profile, " + profilePrefix + "00000000-0000-0000-0000-000000000000, nor its CRN")

// parseProfile reads the id or the CRN of a trusted profile, which has the id at
// its end: crn:v1:bluemix:public:iam-identity::a/ACCOUNT::profile:ID.
func parseProfile(text string) (profile, error) {
	id := text
	if strings.HasPrefix(text, "crn:") {
		parts := strings.Split(text, ":")
		if len(parts) != 10 || parts[1] != "v1" || parts[4] != "iam-identity" || !strings.HasPrefix(parts[6], "a/") || parts[8] != "profile" || !settings.IsFrom(text, ":/-") {
			return noProfile, errProfile
		}
		id = parts[9]
	}
	if !isProfileID(id) {
		return noProfile, errProfile
	}
	return profile(id), nil
}

// isProfileID reports whether s is the id of a trusted profile.
func isProfileID(s string) bool {
	const form = "00000000-0000-0000-0000-000000000000"
	id, found := strings.CutPrefix(s, profilePrefix)
	if !found || len(id) != len(form) {
		return false
	}
	for i := range len(id) {
		if (form[i] == '-') != (id[i] == '-') {
			return false
		}
	}
	return strings.Trim(id, "0123456789abcdefABCDEF-") == ""
}

// callerOf returns whom an IAM token is of, as it says itself.
func callerOf(token credential.Token) string {
	var claims struct {
		ID      string `json:"iam_id"`
		Account struct {
			ID string `json:"bss"`
		} `json:"account"`
	}
	if jwt.Claims(token.Value.Reveal(), &claims) != nil || !isID(claims.ID) {
		return ""
	}
	if isID(claims.Account.ID) {
		return claims.ID + " of account " + claims.Account.ID
	}
	return claims.ID
}

// isID reports whether s can be an id that IAM has for somebody.
func isID(s string) bool { return s != "" && len(s) <= 100 && settings.IsFrom(s, "-_.@") }
