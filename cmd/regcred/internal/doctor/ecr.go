package doctor

import (
	"encoding/base64"
	"encoding/json"
	"time"
)

// ecrExpiry is when a password of ECR ends, which people save in docker
// configurations with "docker login": base64 of JSON that says so. It lasts half
// a day.
func ecrExpiry(password string) (time.Time, bool) {
	text, err := base64.StdEncoding.DecodeString(password)
	if err != nil {
		return time.Time{}, false
	}
	var token struct {
		Expiration int64 `json:"expiration"`
	}
	if json.Unmarshal(text, &token) != nil || token.Expiration <= 0 || token.Expiration > 1<<40 {
		return time.Time{}, false
	}
	return time.Unix(token.Expiration, 0), true
}
