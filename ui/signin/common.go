package signin

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"evenkeel/appliance"
)

// MinPassword is the shortest password in characters.
const MinPassword = 12

// CheckPassword applies the rules for a new password: at least twelve characters of any kind, at most MaxPassword bytes, and not one of those that are tried first: repeated
// patterns, runs of the keyboard or the alphabet, the account's own name, or one or two usual words with digits and signs around them. The error is invalid at field "new".
func CheckPassword(password, account string) error {
	const field = "new"
	switch n := utf8.RuneCountInString(password); {
	case n < MinPassword:
		return appliance.Refuse(field, "A password has at least %d characters; this one has %d.", MinPassword, n)
	case len(password) > MaxPassword:
		return tooLong(field)
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return appliance.Refuse(field, "A password is text.")
	}
	if len(password) > 128 {
		return nil // no list of guesses goes there
	}
	if why := guessable(password, account); why != "" {
		e := appliance.Refuse(field, "%s", why)
		e.Hint = "Four or more unrelated words make a good password."
		return e
	}
	return nil
}

func tooLong(field string) error {
	return appliance.Refuse(field, "A password has at most %d bytes.", MaxPassword)
}

func guessable(password, account string) string {
	plain := []rune(fold(password))
	if distinct(plain) < 5 || repeats(plain) {
		return "This password repeats a pattern; it would be guessed."
	}
	if account != "" && len(account) > 2 && len(plain)-len([]rune(strings.ReplaceAll(string(plain), fold(account), ""))) > len(plain)/2 {
		return "This password is made of the user name; it would be guessed."
	}
	for _, form := range [][]rune{plain, []rune(fold(unleet(password)))} {
		words, rest := dissect(form)
		if rest < 4 && words <= 2 {
			return "This password is a common one, with digits or signs around it; it would be guessed."
		}
	}
	return ""
}

func fold(s string) string { return strings.ToLower(s) }

var leet = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i", "€", "e", "|", "l")

// unleet undoes the usual replacements of letters, but leaves a tail of digits and signs alone.
func unleet(s string) string {
	body := strings.TrimRightFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	return leet.Replace(body) + s[len(body):]
}

func distinct(s []rune) int {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	return len(seen)
}

// repeats tells whether s is a unit of at most half its length again and again, whole or cut off.
func repeats(s []rune) bool {
	for unit := 1; unit <= len(s)/2; unit++ {
		same := true
		for i := unit; i < len(s) && same; i++ {
			same = s[i] == s[i-unit]
		}
		if same {
			return true
		}
	}
	return false
}

// dissect counts the usual words in s and the letters that belong to none; digits, signs, years and runs along keyboard or alphabet count as nothing.
func dissect(s []rune) (words, rest int) {
	for i := 0; i < len(s); {
		if n := longestWord(s[i:]); n >= 3 {
			words++
			i += n
			continue
		}
		if n := longestRun(s[i:]); n >= 3 {
			i += n
			continue
		}
		if unicode.IsLetter(s[i]) || s[i] > unicode.MaxLatin1 {
			rest++
		}
		i++
	}
	return words, rest
}

func longestWord(s []rune) int {
	list, longest := common()
	for n := min(longest, len(s)); n >= 3; n-- {
		if list[string(s[:n])] {
			return n
		}
	}
	return 0
}

const rows = "abcdefghijklmnopqrstuvwxyz qwertyuiop[] asdfghjkl;' zxcvbnm,./ qwertzuiopü asdfghjklöä yxcvbnm azertyuiop qsdfghjklm wxcvbn 01234567890 1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p qazwsxedcrfvtgbyhnujm qweasdzxc !@#$%^&*()"

// longestRun returns how far s follows a row of the keyboard or the alphabet, forwards or backwards, or stays on one key.
func longestRun(s []rune) int {
	same := 1
	for same < len(s) && s[same] == s[0] {
		same++
	}
	n := 1
	for n < len(s) && n < 40 && (strings.Contains(rows, string(s[:n+1])) || strings.Contains(rows, backwards(s[:n+1]))) {
		n++
	}
	return max(same, n)
}

func backwards(s []rune) string {
	out := make([]rune, len(s))
	for i, r := range s {
		out[len(s)-1-i] = r
	}
	return string(out)
}

//go:embed words.txt
var words string

// common returns the embedded words and the length of the longest.
var common = sync.OnceValues(func() (map[string]bool, int) {
	list, longest := map[string]bool{}, 0
	for w := range strings.FieldsSeq(words) {
		list[w] = true
		longest = max(longest, utf8.RuneCountInString(w))
	}
	return list, longest
})
