package credential

import "context"

// Redeem gets a token from a source and uses it, and once more with another one
// where it is refused in spite of its life. Use reports with its error whether
// the token was what it failed for.
func Redeem(ctx context.Context, getter Getter, source Source, use func(token Secret) (c Credential, refused bool, err error)) (Credential, error) {
	token, err := getter.Get(ctx, source)
	if err != nil {
		return Credential{}, err
	}
	c, refused, err := use(token.Password)
	if !refused {
		return c, err
	}
	other, renewErr := getter.Renew(ctx, source, token)
	if renewErr != nil || other.Password.Reveal() == token.Password.Reveal() {
		return c, err
	}
	second, refused, secondErr := use(other.Password)
	if secondErr != nil && !refused {
		// What went wrong on the second way says less than the refusal.
		return c, err
	}
	return second, secondErr
}
