package credential

import "context"

// Redeem obtains a token from a source and uses it, and once more with another
// one where it is refused in spite of its life. Use reports with its error
// whether the token was what it failed for.
func Redeem[T any](ctx context.Context, getter Getter, source TokenSource, use func(Token) (result T, refused bool, err error)) (T, error) {
	var none T
	token, err := getter.Token(ctx, source)
	if err != nil {
		return none, err
	}
	result, refused, err := use(token)
	if !refused {
		return result, err
	}
	renewed, renewErr := getter.Renew(ctx, source, token)
	if renewErr != nil || renewed.Value.Reveal() == token.Value.Reveal() {
		return result, err
	}
	second, refused, secondErr := use(renewed)
	if secondErr != nil && !refused {
		// What went wrong on the second way says less than the refusal.
		return result, err
	}
	return second, secondErr
}
