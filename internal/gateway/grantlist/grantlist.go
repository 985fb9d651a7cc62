package grantlist

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddyoauth/caddyoauth/internal/gateway/admin"
	"github.com/caddyoauth/caddyoauth/internal/gateway/command"
)

// answerAtMost bounds one answer of the admin endpoint.
const answerAtMost = 256 << 20

// atOnce is how many grants one page has at most.
const atOnce = 1000

// ask asks the admin endpoint, and reads its answer.
func ask(endpoint, method, target string, into any) (http.Header, error) {
	res, err := caddycmd.AdminAPIRequest(endpoint, method, target, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("asking the admin endpoint: %w", err)
	}
	defer func() { _ = res.Body.Close() }() // it was only read
	if into == nil {
		return res.Header, nil
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, answerAtMost)).Decode(into); err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", endpoint, err)
	}
	return res.Header, nil
}

// list prints pages until there are enough.
func (w *wish) list(endpoint string, out, problems io.Writer) error {
	left := w.limit
	shown, unread := 0, 0
	b := newBar(problems, "looked at", func() int { return w.total(endpoint) })
	defer b.clear()
	for after := w.after; ; {
		most := atOnce
		if !w.all {
			most = min(most, left)
		}
		var page []admin.Grant
		header, err := ask(endpoint, http.MethodGet, w.target(after, most), &page)
		if err != nil {
			return err
		}
		b.clear()
		if err := w.print(out, page, shown == 0); err != nil {
			return err
		}
		shown += len(page)
		left -= len(page)
		n, _ := strconv.Atoi(header.Get(admin.Unread))
		unread += n
		after = nextOf(header.Get("Link"))
		if after == "" || !w.all && left <= 0 {
			return w.end(out, problems, shown, unread, after)
		}
		looked, _ := strconv.Atoi(header.Get(admin.LookedAt))
		b.add(looked)
	}
}

// end says what there is beside what was printed.
func (w *wish) end(out, problems io.Writer, shown, unread int, after string) error {
	if shown == 0 && !w.asJSON {
		_, _ = fmt.Fprintln(out, "No grant.")
	}
	if after != "" {
		_, _ = fmt.Fprintf(problems, "There are more: --after %s, or --all\n", after)
	}
	if unread > 0 {
		return fmt.Errorf("%d records cannot be read: the log of the gateway says why", unread)
	}
	return nil
}

func (w *wish) target(after string, most int) string {
	query := url.Values{"limit": {strconv.Itoa(most)}}
	for name, value := range map[string]string{"issuer": w.issuer, "subject": w.subject, "state": w.state, "store": w.store, "after": after} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return admin.GrantsPath + "?" + query.Encode()
}

// nextOf reads where the next page begins, "" where there is none.
func nextOf(link string) string {
	target, ok := strings.CutPrefix(link, "<")
	target, _, found := strings.Cut(target, `>; rel="next"`)
	if !ok || !found {
		return ""
	}
	next, err := url.Parse(target)
	if err != nil {
		return ""
	}
	return next.Query().Get("after")
}

// total is how many grants there are to be looked at; 0: it is not known.
func (w *wish) total(endpoint string) (n int) {
	var status admin.Status
	if _, err := ask(endpoint, http.MethodGet, admin.StatusPath, &status); err != nil {
		return 0
	}
	for _, store := range status.Stores {
		if w.store == "" || w.store == store.Store {
			n += store.Live + store.Renewing + store.Uncertain + store.Ended
		}
	}
	return n
}

func (w *wish) print(out io.Writer, page []admin.Grant, first bool) error {
	if w.asJSON {
		lines := json.NewEncoder(out)
		for _, one := range page {
			if err := lines.Encode(one); err != nil {
				return err
			}
		}
		return nil
	}
	const columns = "%-16s  %-9s  %-9s  %9s  %-20s  %-20s  %-20s  %s\n"
	if first && len(page) > 0 {
		if _, err := fmt.Fprintf(out, columns, "SREF", "STATE", "REASON", "REFRESHES", "CREATED", "LAST USED", "UNTIL", "STORE"); err != nil {
			return err
		}
	}
	spell := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	for _, one := range page {
		reason := one.Reason
		if reason == "" {
			reason = "-"
		}
		if _, err := fmt.Fprintf(out, columns, one.Sref, one.State, command.Printable(reason), strconv.FormatUint(one.Renewals, 10),
			spell(one.Created), spell(one.LastUsed), spell(one.Until), command.Printable(one.Store)); err != nil {
			return err
		}
	}
	return nil
}

func (w *wish) endSubject(endpoint string, out io.Writer) error {
	var answer struct{ Ended int }
	query := url.Values{"issuer": {w.issuer}, "subject": {w.subject}}
	if _, err := ask(endpoint, http.MethodDelete, admin.GrantsPath+"?"+query.Encode(), &answer); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%d ended\n", answer.Ended)
	return err
}

// endNamed ends one after the other. One that is not there keeps no other from
// ending.
func endNamed(endpoint string, srefs []string, out, problems io.Writer) error {
	b := newBar(problems, "asked for", func() int { return len(srefs) })
	ended := 0
	var failed []error
	for i, sref := range srefs {
		if _, err := ask(endpoint, http.MethodDelete, admin.GrantsPath+"/"+sref, nil); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", sref, err))
		} else {
			ended++
		}
		if i+1 < len(srefs) {
			b.add(1)
		}
	}
	b.clear()
	_, err := fmt.Fprintf(out, "%d ended\n", ended)
	return errors.Join(append(failed, err)...)
}
