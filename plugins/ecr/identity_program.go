package ecr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"regcred/shared/program"
)

// credentialProcess is the program that a profile gets its credentials from.
// The SDK's own way to run it is by a shell, without an end to all that it
// starts, and with what it printed in the error.
type credentialProcess struct {
	ctx     context.Context //nolint:containedctx // The SDK's has no deadline.
	command program.Command
}

// program returns the credentials that a program prints.
func (a *attempt) program() aws.CredentialsProvider {
	// The SDK follows source_profile to its end.
	profile := &a.shared
	for profile.Source != nil {
		profile = profile.Source
	}
	return aws.NewCredentialsCache(credentialProcess{a.recorder.Context, program.Line(profile.CredentialProcess)})
}

// Retrieve runs the program and reads what it prints, which AWS documents as
// "Sourcing credentials with an external process".
func (p credentialProcess) Retrieve(context.Context) (aws.Credentials, error) {
	printed, err := p.command.Run(p.ctx)
	if err != nil {
		return aws.Credentials{}, p.failed(err)
	}
	var output struct {
		Version         int
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      *time.Time
	}
	switch {
	case json.Unmarshal(printed, &output) != nil:
		err = errNoCredentials
	case output.Version != 1:
		err = fmt.Errorf("%w of version 1, but of version %d", errNoCredentials, output.Version)
	case output.AccessKeyID == "":
		err = fmt.Errorf("%w, but no AccessKeyId", errNoCredentials)
	case output.SecretAccessKey == "":
		err = fmt.Errorf("%w, but no SecretAccessKey", errNoCredentials)
	case output.Expiration != nil && !output.Expiration.After(time.Now()):
		err = fmt.Errorf("credentials that expired at %s, from %s", output.Expiration.UTC().Format(time.RFC3339), p.command)
	}
	if err != nil {
		return aws.Credentials{}, p.failed(err)
	}
	return aws.Credentials{
		AccessKeyID:     output.AccessKeyID,
		SecretAccessKey: output.SecretAccessKey,
		SessionToken:    output.SessionToken,
		CanExpire:       output.Expiration != nil,
		Expires:         aws.ToTime(output.Expiration),
		Source:          serviceProgram,
	}, nil
}

var errNoCredentials = errors.New("the program printed no credentials")

// failed puts an error into the shape of the SDK's own, in which it is found.
func (p credentialProcess) failed(err error) error {
	return &smithy.OperationError{ServiceID: serviceProgram, Err: err}
}
