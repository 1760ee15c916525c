package gcr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"regcred/shared/cloudhttp"
	"regcred/shared/credential"
	"regcred/shared/file"
	"regcred/shared/program"
)

// subjectProgram gets subject tokens from a program, which an external account
// names, as all of Google's libraries do. They are told apart by the version of
// what the program prints:
//
//	{"version": 1, "success": true, "token_type": "urn:ietf:params:oauth:token-type:jwt",
//	 "id_token": "…", "expiration_time": 1790000000}
//	{"version": 1, "success": false, "code": "401", "message": "…"}
//
// Google's own way to run one leaves behind what the program started, and
// repeats in errors what it printed.
type subjectProgram struct {
	config executableSource
	// audience and tokenType are what the token is for, and what it has to be.
	audience, tokenType string
	// email is who is impersonated with the token in the end, or empty.
	email string
	// allowed is GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES.
	allowed string
}

// programError is the error of a program, without what it printed on stdout.
type programError struct {
	err error
	// advice is what to do, if it is not to look at the program.
	advice string
}

func (e programError) Error() string { return e.err.Error() }
func (e programError) Unwrap() error { return e.err }

// subjectToken returns what is in the program's file of answers if that is
// still good, and else what the program prints.
func (p subjectProgram) subjectToken(ctx context.Context) (string, error) {
	command, err := p.command()
	if err != nil {
		return "", err
	}
	if kept := p.config.OutputFile; kept != "" {
		// One that is not there, or that others may write, counts for nothing.
		if text, err := file.Read(kept); err == nil {
			if token, err := p.read(text); err == nil {
				return token, nil
			}
		}
	}
	printed, err := command.Run(ctx)
	if err != nil {
		// Some say on stdout why they exit with another status than 0.
		_, said := p.read(printed)
		if _, told := errors.AsType[refusedByProgram](said); told {
			err = fmt.Errorf("%w: %w", said, err)
		}
		return "", programError{err: err}
	}
	token, err := p.read(printed)
	if err != nil {
		return "", programError{err: fmt.Errorf("%w, from %s", err, command)}
	}
	return token, nil
}

const (
	allowVariable = "GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES"

	shortestProgram, longestProgram = 5 * time.Second, 120 * time.Second
)

// command is the program with the environment that it is promised.
func (p subjectProgram) command() (program.Command, error) {
	words := strings.Fields(p.config.Command)
	limit := program.DefaultLimit
	if millis := p.config.TimeoutMillis; millis != nil {
		limit = time.Duration(*millis) * time.Millisecond
	}
	switch {
	case p.allowed != "1":
		return program.Command{}, programError{errors.New("the file names a program, and programs are not allowed"), "set " + allowVariable + "=1 in the provider's env"}
	case len(words) == 0:
		return program.Command{}, programError{err: errors.New("credential_source.executable without a command")}
	case limit < shortestProgram || limit > longestProgram:
		return program.Command{}, programError{err: errors.New("credential_source.executable.timeout_millis: not between 5000 and 120000")}
	}
	command := program.New(words[0], words[1:]...)
	command.Limit = min(limit, program.DefaultLimit) // of what the kubelet gives
	command.Env = append(os.Environ(),
		"GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE="+p.audience,
		"GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE="+p.tokenType,
		"GOOGLE_EXTERNAL_ACCOUNT_INTERACTIVE=0")
	if p.email != "" {
		command.Env = append(command.Env, "GOOGLE_EXTERNAL_ACCOUNT_IMPERSONATED_EMAIL="+p.email)
	}
	if p.config.OutputFile != "" {
		command.Env = append(command.Env, "GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE="+p.config.OutputFile)
	}
	return command, nil
}

// refusedByProgram is the error of a program that says itself why it has no
// token.
type refusedByProgram struct{ code, message string }

func (e refusedByProgram) Error() string {
	return fmt.Sprintf("no subject token (code %s): %s", cloudhttp.Bounded(e.code, 40), cloudhttp.Bounded(e.message, 200))
}

// read reads what a program printed. What that says is in no error, except for
// why there is no token.
func (p subjectProgram) read(printed []byte) (string, error) {
	var answer struct {
		Version        int    `json:"version"`
		Success        *bool  `json:"success"`
		TokenType      string `json:"token_type"`
		ExpirationTime int64  `json:"expiration_time"`
		IDToken        string `json:"id_token"`
		SAMLResponse   string `json:"saml_response"`
		Code           string `json:"code"`
		Message        string `json:"message"`
	}
	if json.Unmarshal(printed, &answer) != nil {
		return "", errors.New("not the JSON of a subject token")
	}
	token := answer.IDToken
	if answer.TokenType == "urn:ietf:params:oauth:token-type:saml2" {
		token = answer.SAMLResponse
	}
	switch {
	case answer.Success == nil || answer.Version != 1:
		return "", errors.New("not version 1 of the JSON of a subject token")
	case !*answer.Success:
		return "", refusedByProgram{answer.Code, answer.Message}
	case answer.ExpirationTime == 0 && p.config.OutputFile != "":
		return "", errors.New("a subject token without expiration_time, which output_file needs")
	case answer.ExpirationTime != 0 && answer.ExpirationTime < time.Now().Unix():
		return "", errors.New("a subject token that has expired")
	case token == "":
		return "", errors.New("no id_token or saml_response")
	}
	return token, nil
}

// explainProgram makes the failure of a program.
func (t *fileToken) explainProgram(e programError) *credential.Failure {
	advice := e.advice
	if advice == "" {
		advice = "check credential_source.executable in the file, and run it by hand as the kubelet's user"
	}
	return &credential.Failure{
		Problem:   e.Error(),
		Advice:    advice,
		Evidence:  stageSubject + "; as " + t.caller(),
		Err:       e,
		Permanent: e.advice != "",
	}
}
