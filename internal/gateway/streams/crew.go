package streams

import "sync"

// crew does work with no more goroutines than most, and with none while there is
// nothing to do.
type crew struct {
	most int

	mu   sync.Mutex
	todo []func()
	busy int
}

func (c *crew) add(job func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.todo = append(c.todo, job)
	if c.busy < c.most {
		c.busy++
		go c.work()
	}
}

func (c *crew) work() {
	for {
		c.mu.Lock()
		if len(c.todo) == 0 {
			c.busy--
			c.todo = nil
			c.mu.Unlock()
			return
		}
		job := c.todo[0]
		c.todo = c.todo[1:]
		c.mu.Unlock()
		job()
	}
}
