// An API that has no authentication of its own, for a pod: it answers with
// what it saw, after ?ms= milliseconds, and counts in /_count what came.
import { createServer } from 'node:http';

let count = 0;
const server = createServer((req, res) => {
  const url = new URL(req.url, 'http://127.0.0.1');
  if (url.pathname === '/_count') {
    res.end(String(count));
    return;
  }
  count += 1;
  setTimeout(() => {
    const header = Object.fromEntries(Object.entries(req.headersDistinct)
      .map(([name, values]) => [name.replace(/(^|-)[a-z]/g, (c) => c.toUpperCase()), values]));
    res.writeHead(200, { 'content-type': 'application/json' });
    res.end(JSON.stringify({ Method: req.method, Path: url.pathname, Header: header }));
  }, Number(url.searchParams.get('ms') ?? 0));
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  console.log(`listening http://127.0.0.1:${server.address().port}`);
});
