package revoked

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// round is one pass over the head and the parts that differ. ErrChanged says that
// another node wrote meanwhile.
func (l *Ledger) round(ctx context.Context, docs Documents) error {
	var tags [parts]uint64
	var until time.Time
	text, version, err := docs.Read(ctx, Head)
	switch {
	case errors.Is(err, ErrNoDocument):
		version = ""
	case err != nil:
		return fmt.Errorf("reading the head: %w", err)
	default:
		if tags, until, err = decodeHead(text); err != nil {
			return err
		}
	}
	versions, err := l.readParts(ctx, docs, &tags)
	if err != nil {
		return err
	}
	stale, err := l.writeParts(ctx, docs, versions, &tags, &until)
	if err == nil && stale {
		_, err = docs.Write(ctx, Head, version, encodeHead(&tags, until), until)
		err = wrap("writing the head", err)
	}
	return err
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// readParts reads the parts whose writing is not the one that this node knows, and
// those that it has to write. It answers their versions.
func (l *Ledger) readParts(ctx context.Context, docs Documents, tags *[parts]uint64) (map[int]string, error) {
	versions := map[int]string{}
	var changed []what
	defer func() { // what was read counts, whatever becomes of the rest
		l.mu.Lock()
		l.apply(changed)
		l.mu.Unlock()
	}()
	for part := range parts {
		l.mu.Lock()
		// The head does not tell of a write that was not told as done.
		own := &l.parts[part]
		differs := own.tag != tags[part] || own.dirty || own.asked
		l.mu.Unlock()
		if !differs {
			continue
		}
		text, version, err := docs.Read(ctx, nameOf(part))
		var tag uint64
		var there map[what]record
		switch {
		case errors.Is(err, ErrNoDocument):
			version = ""
		case err != nil:
			return nil, fmt.Errorf("reading part %d: %w", part, err)
		default:
			if tag, there, err = decodePart(text); err != nil {
				return nil, err
			}
		}
		versions[part] = version
		changed = append(changed, l.met(part, tag, there)...)
	}
	return versions, nil
}

func nameOf(part int) string { return fmt.Sprintf("revoked/%02x", part) }

// met takes in what a part was found to hold, and answers what that changed.
func (l *Ledger) met(part int, tag uint64, there map[what]record) (changed []what) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	own := &l.parts[part]
	own.tag, own.dirty, own.asked = tag, false, false
	for name, r := range there {
		if over(&r, now) {
			continue
		}
		old, known := own.records[name]
		if known {
			r = merge(old, r)
		}
		if !known || !r.same(&old) {
			l.put(own, name, r)
			changed = append(changed, name)
		}
	}
	for name, r := range own.records {
		if in, has := there[name]; !has || !r.same(&in) {
			own.dirty = true // a write of ours that is to come, or one that the store has lost
		}
	}
	return changed
}

func over(r *record, now time.Time) bool { return now.After(r.Until) }

// writeParts writes those that hold what their last writing does not, and puts
// their tags into those of the head. stale: the head has to be written.
func (l *Ledger) writeParts(ctx context.Context, docs Documents, versions map[int]string, tags *[parts]uint64, until *time.Time) (stale bool, err error) {
	for part, version := range versions {
		tag, last, err := l.writePart(ctx, docs, part, version)
		if err != nil {
			return false, wrap(fmt.Sprintf("writing part %d", part), err)
		}
		if last.After(*until) {
			*until, stale = last, true
		}
		if tags[part] != tag {
			tags[part], stale = tag, true
		}
	}
	return stale, nil
}

// writePart answers the writing that counts now, and until when it is needed.
func (l *Ledger) writePart(ctx context.Context, docs Documents, part int, version string) (tag uint64, last time.Time, err error) {
	l.mu.Lock()
	own := &l.parts[part]
	for _, r := range own.records {
		if end := r.Until.Add(keepBeyond); end.After(last) {
			last = end
		}
	}
	if !own.dirty {
		defer l.mu.Unlock()
		return own.tag, last, nil
	}
	tag = l.drawn() | 1 // never none
	text, changes := encodePart(tag, own.records), own.changes
	l.mu.Unlock()
	if _, err := docs.Write(ctx, nameOf(part), version, text, last); err != nil {
		return 0, last, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	own.tag, own.dirty = tag, own.changes != changes
	return tag, last, nil
}

// expire forgets what has run out.
func (l *Ledger) expire() {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.nextExpiry) {
		return
	}
	l.nextExpiry = now.Add(expireEach)
	var gone []what
	for part := range l.parts {
		for name, r := range l.parts[part].records {
			if over(&r, now) {
				delete(l.parts[part].records, name)
				l.count--
				gone = append(gone, name)
			}
		}
	}
	l.apply(gone)
}
