package aws

import (
	"fmt"
	"net/http"

	"regcred/e2e/cloud"
)

// Throttled is how ECR and ECR Public refuse a caller that asks too often.
func Throttled() cloud.Refusal { return refusal("ThrottlingException", "Rate exceeded") }

// ServerError is how ECR and ECR Public say that something broke.
func ServerError() cloud.Refusal {
	return cloud.Refusal{
		Status:  http.StatusInternalServerError,
		Code:    "ServerException",
		Message: "These errors are usually caused by a server-side issue.",
	}
}

// Denied is how ECR and ECR Public refuse a principal without permission.
func Denied(arn string, action Action) cloud.Refusal {
	return refusal("AccessDeniedException", fmt.Sprintf(
		"User: %s is not authorized to perform: %s on resource: * because no identity-based policy allows the %s action",
		arn, action, action))
}

// refusal has the status that JSON services give to every client's error.
func refusal(code, message string) cloud.Refusal {
	return cloud.Refusal{Status: http.StatusBadRequest, Code: code, Message: message}
}

// formRefusal is one that no correct program meets.
func formRefusal(code, message string) cloud.Refusal {
	refused := refusal(code, message)
	refused.Form = true
	return refused
}
