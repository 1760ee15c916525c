package ocir

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"sigs.k8s.io/json"

	"regcred/shared/settings"
)

// vendorVariables lets the variables of credential-provider-oke set what ours
// do. Its DEFAULT_USER has no effect there either.
func vendorVariables(fs *pflag.FlagSet) {
	settings.Env(fs, "auth-method", "OCIR_AUTH_METHOD")
	settings.Env(fs, "token-path", "REGISTRY_TOKEN_PATH")
	settings.Env(fs, "verify", "TOKEN_VALIDATION", "VERIFY_TOKEN_AUTH")
}

// checkProtocol refuses what would send a token in the clear.
func checkProtocol(protocol string) error {
	if protocol != "" && !strings.EqualFold(protocol, "https") {
		return fmt.Errorf("registry protocol (REGISTRY_PROTOCOL, registryProtocol): %.20q is not https, so tokens would travel in the clear", protocol)
	}
	return nil
}

// DecodeForeign reads the configuration file of credential-provider-oke, as
// JSON.
func (s *Settings) DecodeForeign(data []byte) error {
	vendors := struct {
		TokenPath  *string `json:"registryTokenPath"`
		User       string  `json:"defaultUser"` // without effect there either
		Protocol   string  `json:"registryProtocol"`
		AuthMethod *string `json:"ocirAuthMethod"`
		Validation string  `json:"tokenValidation"`
	}{TokenPath: &s.TokenPath, AuthMethod: &s.AuthMethod}
	strict, err := json.UnmarshalStrict(data, &vendors)
	strict = append(strict, err)
	for i, problem := range strict {
		strict[i] = settings.FieldError(problem)
	}
	if err := errors.Join(strict...); err != nil {
		return err
	}
	if vendors.Validation != "" {
		if err := (&toggle{&s.Verify}).Set(vendors.Validation); err != nil {
			return fmt.Errorf("tokenValidation: %w", err)
		}
	}
	return checkProtocol(vendors.Protocol)
}

// toggle is a switch that can also be enabled or disabled, as the vendor has it.
type toggle struct{ on *bool }

// Set reads a boolean, enabled or disabled, in any case.
func (t *toggle) Set(text string) error {
	switch state := strings.ToLower(text); state {
	case "enabled", "disabled":
		*t.on = state == "enabled"
		return nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return fmt.Errorf("%.40q is none of true, false, enabled, disabled", text)
	}
	*t.on = on
	return nil
}

// String is what Set reads.
func (t *toggle) String() string { return strconv.FormatBool(t.on != nil && *t.on) }

// Type names the value in a flag's usage.
func (t *toggle) Type() string { return "bool" }
