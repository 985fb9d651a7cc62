package token

import "slices"

// Record notes the checks that one token meets, for people who ask why. With
// one the checks go on behind a refusal, where what they look at is still
// there; the first error is the verdict all the same. A nil Record notes
// nothing and lets the first error end the checking: so it is for requests.
type Record struct {
	err    error
	passed map[Check]bool
	errs   map[Check][]error
	odd    []string // members of a wrong type
	set    *KeySet  // the keys that were looked at last
}

// Err is the verdict: what Parse or Verify would have answered.
func (r *Record) Err() error { return r.err }

// Passed reports that the check was made, and held.
func (r *Record) Passed(check Check) bool { return r.passed[check] && len(r.errs[check]) == 0 }

// Errors are why a check failed: refusals, or a failure to judge.
func (r *Record) Errors(check Check) []error { return r.errs[check] }

// Missing is what stood in the way of a check that was not made.
func (r *Record) Missing(check Check) Check {
	for _, need := range ruleOf(check).needs {
		if !r.Passed(need) {
			return need
		}
	}
	if check == CheckSize || check == CheckForm {
		return ""
	}
	if !r.Passed(CheckForm) {
		return CheckForm
	}
	for _, name := range ruleOf(check).members {
		if slices.Contains(r.odd, name) {
			if name == "alg" || name == "kid" || name == "typ" {
				return CheckHeaderTypes
			}
			return CheckClaimTypes
		}
	}
	return ""
}

// note tells the record how a check went. The error that comes back ends the
// checking.
func (r *Record) note(check Check, err error) error {
	if r == nil {
		return err
	}
	return r.write(check, err)
}

func (r *Record) write(check Check, err error) error {
	if r.Missing(check) != "" {
		return nil // it looked at what is not there
	}
	if r.passed == nil {
		r.passed, r.errs = map[Check]bool{}, map[Check][]error{}
	}
	r.passed[check] = true
	if err == nil {
		return nil
	}
	if r.err == nil {
		r.err = err
	}
	r.errs[check] = append(r.errs[check], err)
	if ruleOf(check).ends {
		return err
	}
	return nil
}

// wrong is note for a member of a wrong type, which must not be read later.
func (r *Record) wrong(check Check, member string, err error) error {
	if r == nil {
		return err
	}
	err = r.write(check, err)
	r.odd = append(r.odd, member)
	return err
}

// proof notes how looking for the key went: it is one search, and the error
// tells how far it came.
func (r *Record) proof(err error) error {
	if r == nil {
		return err
	}
	steps := []Check{CheckKeys, CheckKey, CheckKeyAlgorithm, CheckSignature}
	failed := len(steps)
	switch reason := ReasonOf(err); {
	case reason == KeyUnknown:
		failed = 1
	case reason == KeyMismatch:
		failed = 2
	case reason == SignatureFailed:
		failed = 3
	case err != nil:
		failed = 0
	}
	for i, step := range steps {
		if i > failed {
			break
		}
		if i == failed {
			return r.write(step, err)
		}
		_ = r.write(step, nil)
	}
	return nil
}

// saw keeps the keys that were looked at, to tell what there was.
func (r *Record) saw(set *KeySet) {
	if r != nil {
		r.set = set
	}
}

// blocked reports that a check would look at what is not there.
func (r *Record) blocked(check Check) bool { return r != nil && r.Missing(check) != "" }

// Inspect is [Parse] with a record. What it returns is for [Profile.Explain]
// and for reading: where the record has an error, it is no token.
func Inspect(raw string) (*Unverified, *Record) {
	rec := &Record{}
	u, err := parse(raw, MaxSize, rec)
	if err != nil {
		u = &Unverified{}
	}
	return u, rec
}

// Refuse notes a refusal that is not of this package's making: that of the
// issuer, when none is configured.
func (r *Record) Refuse(check Check, err error) { _ = r.write(check, err) }
