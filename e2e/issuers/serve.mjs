// What the issuers have in common: a loopback listener, a count of the
// requests that a gateway causes, and a clean end on SIGTERM.
import { createServer } from 'node:http';

// serve listens on 127.0.0.1 (PORT, or the first argument; 0 chooses one), and
// prints the line that the tests wait for.
export async function serve(build, counted) {
  const { issuer, close } = await listen(build, counted, Number(process.argv[2] ?? process.env.PORT ?? 0));
  process.once('SIGTERM', () => close(() => process.exit(0)));
  console.log(`listening ${issuer}`);
}

// listen listens on 127.0.0.1, and lets build make the request handler once the
// issuer's URL is known. Only the paths of counted are counted.
export async function listen(build, counted, port) {
  const counts = Object.fromEntries(Object.keys(counted).map((name) => [name, 0]));
  let handler;
  const server = createServer((req, res) => {
    const path = new URL(req.url, 'http://127.0.0.1').pathname;
    if (path === '/_test/counts') {
      sendJSON(res, 200, counts);
      return;
    }
    for (const [name, paths] of Object.entries(counted)) {
      if (paths.includes(path)) {
        counts[name] += 1;
        // As a careful issuer does: without it each reader guesses its own interval.
        res.setHeader('cache-control', 'public, max-age=3600');
      }
    }
    handler(req, res);
  });
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const issuer = `http://127.0.0.1:${server.address().port}`;
  handler = await build(issuer);
  return {
    issuer,
    close: (ended) => {
      server.close(ended);
      server.closeAllConnections();
    },
  };
}

export function sendJSON(res, status, value) {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(value));
}
