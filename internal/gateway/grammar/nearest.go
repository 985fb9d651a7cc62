package grammar

import "strings"

// Nearest is the word that somebody who wrote another one most likely meant, or
// "" if none is near.
func Nearest(word string, known []string) (nearest string) {
	word = fold(word)
	least := max(2, len(word)/3) + 1 // so many letters at the most are wrong
	for _, one := range known {
		folded := fold(one)
		if d := distance(word, folded); d < least && d < max(len(word), len(folded))/2+1 {
			nearest, least = one, d
		}
	}
	if nearest != "" {
		return nearest
	}
	for _, one := range known { // one with more behind it, such as issuer_url
		if strings.HasPrefix(word, fold(one)) && len(one) > len(nearest) && len(one) > 3 {
			nearest = one
		}
	}
	return nearest
}

// fold leaves out what is written in one way here and in another there.
func fold(word string) string {
	return strings.ToLower(strings.NewReplacer("-", "_", ".", "_").Replace(word))
}

// distance counts the characters to change, add or take away (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, row[j]+1, corner+1)
		}
	}
	return row[len(b)]
}
