package caddyoauth_test

import (
	"html"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pages are the Markdown files that people read.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{"docs/*.md", "docs/*/*.md", "e2e/README.md", "bench/README.md", "testdata/verdicts/README.md"} {
		files, err := filepath.Glob(more)
		if err != nil || len(files) == 0 {
			t.Fatalf("no %s: %v", more, err)
		}
		found = append(found, files...)
	}
	return found
}

var (
	block    = regexp.MustCompile("(?ms)^[ \t]*```.*?^[ \t]*```[ \t]*$")
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notInIDs = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are those that a page's headings make on GitHub.
func anchors(text string) (ids []string) {
	for _, m := range heading.FindAllStringSubmatch(block.ReplaceAllString(text, ""), -1) {
		id := notInIDs.ReplaceAllString(strings.ToLower(m[1]), "")
		ids = append(ids, strings.ReplaceAll(id, " ", "-"))
	}
	return ids
}

func TestEveryLinkOfTheDocumentationLeadsSomewhere(t *testing.T) {
	links := 0
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(block.ReplaceAllString(read(t, page), ""), -1) {
			path, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			links++
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s is not there", page, m[1])
			} else if anchor != "" && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s: %s has no heading #%s", page, target, anchor)
			}
		}
	}
	if links < 50 {
		t.Errorf("found %d links only", links)
	}
}

// The book's first page leads to every other one.
func TestTheContentsNameEveryPage(t *testing.T) {
	contents := read(t, "docs/README.md")
	for _, page := range pages(t) {
		if name, inBook := strings.CutPrefix(page, "docs/"); inBook && name != "README.md" && !strings.Contains(contents, "]("+name) {
			t.Errorf("docs/README.md does not lead to %s", name)
		}
	}
}

var (
	proof    = regexp.MustCompile("`([^`]+)`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// tests are the names of all tests there are, in every module of the checkout.
func tests(t *testing.T) (names []string) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "node_modules" {
			return fs.SkipDir
		}
		if err == nil && strings.HasSuffix(path, "_test.go") {
			for _, m := range testFunc.FindAllStringSubmatch(read(t, path), -1) {
				names = append(names, m[1])
			}
		}
		return err
	})
	if err != nil || len(names) < 300 {
		t.Fatalf("%d tests found: %v", len(names), err)
	}
	return names
}

// The threat model says of each threat which test shows the defence. A row
// that names none, or one that is gone, is a claim.
func TestEachDefenceOfTheThreatModelNamesATestThatThereIs(t *testing.T) {
	known, rows := tests(t), 0
	_, text, _ := strings.Cut(read(t, "docs/security.md"), "\n## What it defends against")
	defended, _, found := strings.Cut(text, "\n## What it does not defend against")
	if !found {
		t.Fatal("docs/security.md does not say what is defended against and what is not")
	}
	for line := range strings.Lines(defended) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) != 3 || strings.HasPrefix(line, "| threat |") {
			continue
		}
		rows++
		named := proof.FindAllStringSubmatch(cells[2], -1)
		if len(named) == 0 {
			t.Errorf("no test is named: %s", line)
		}
		for _, m := range named {
			if strings.HasPrefix(m[1], "Test") || strings.HasPrefix(m[1], "Fuzz") {
				if !slices.ContainsFunc(known, func(name string) bool { return matches(m[1], name) }) {
					t.Errorf("there is no test %s", m[1])
				}
			} else if files, _ := filepath.Glob("testdata/verdicts/" + m[1] + ".txt"); len(files) == 0 {
				t.Errorf("there is no verdict file %s", m[1])
			}
		}
	}
	if rows < 25 {
		t.Errorf("found %d rows only", rows)
	}
}

// The table of servers says of each what was run against it. A cell that names no
// test, or one that is gone, would be a claim.
func TestEachCellOfTheTableOfServersNamesATestThatThereIsOrSaysNotRun(t *testing.T) {
	known, rows := tests(t), 0
	for line := range strings.Lines(read(t, "docs/issuers.md")) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| server |") {
			continue
		}
		rows++
		if len(cells) != 11 {
			t.Errorf("%s: %d cells, want 11", cells[0], len(cells))
			continue
		}
		for n, cell := range cells[1:10] {
			named := proof.FindAllStringSubmatch(cell, -1)
			if notRun := strings.TrimSpace(cell) == "not run"; notRun == (len(named) > 0) {
				t.Errorf("%s: cell %d names no test and does not say \"not run\", or both: %s", cells[0], n+2, cell)
			}
			for _, m := range named {
				if !strings.HasPrefix(m[1], "Test") || !slices.ContainsFunc(known, func(name string) bool { return matches(m[1], name) }) {
					t.Errorf("%s: there is no test %s", cells[0], m[1])
				}
			}
		}
	}
	if rows < 4 {
		t.Errorf("found %d servers only", rows)
	}
}

// matches reports whether a name is meant: whole, or with * at its end.
func matches(pattern, name string) bool {
	begin, open := strings.CutSuffix(pattern, "*")
	return name == pattern || open && strings.HasPrefix(name, begin)
}

// One without the other is worse than neither: a client chooses its address.
func TestWhereTrustedProxiesAreNamedSoIsTheWordThatMakesThemStrict(t *testing.T) {
	files := pages(t)
	examples, err := filepath.Glob("caddyfile/*.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, examples...) {
		for paragraph := range strings.SplitSeq(read(t, file), "\n\n") {
			if strings.Contains(strings.ReplaceAll(paragraph, "trusted_proxies_strict", ""), "trusted_proxies") && !strings.Contains(paragraph, "trusted_proxies_strict") {
				t.Errorf("%s: %s", file, paragraph)
			}
		}
	}
}

var label = regexp.MustCompile(`label="([^"]+)"`)

// A drawing that was not made anew shows another house than its text.
func TestEachDrawingShowsWhatItsTextSays(t *testing.T) {
	texts, _ := filepath.Glob("docs/pictures/*.dot")
	if len(texts) < 3 {
		t.Fatalf("%d drawings", len(texts))
	}
	for _, text := range texts {
		drawn := html.UnescapeString(read(t, strings.TrimSuffix(text, ".dot")+".svg"))
		for _, m := range label.FindAllStringSubmatch(read(t, text), -1) {
			for line := range strings.SplitSeq(m[1], `\n`) {
				if !strings.Contains(drawn, ">"+line+"<") {
					t.Errorf("%s: %q is not in its drawing: run make pictures", text, line)
				}
			}
		}
	}
}
