package token

import "math/big"

// smallPrimes are the odd primes under 168. Moduli of every size that the
// generator below makes show its pattern for each of them.
var smallPrimes = []int64{
	3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71,
	73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151,
	157, 163, 167,
}

// faultyGenerator recognizes the moduli of CVE-2017-15361 (ROCA): modulo each
// small prime they are a power of 65537. Attackers can compute the private keys
// of such moduli. Of other moduli, fewer than one in a hundred million look so.
func faultyGenerator(n *big.Int) bool {
	for _, p := range smallPrimes {
		rest := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		for power := int64(1); power != rest; {
			if power = power * 65537 % p; power == 1 {
				return false // back at the start: rest is no power
			}
		}
	}
	return true
}
