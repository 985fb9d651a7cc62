-- Sends the header fields of a file in turn, one with each request:
-- wrk … -- FILE OFFSET THREADS
-- Each thread keeps only its share of the file, so that memory does not grow
-- with the number of threads. Requests are built once: nothing is allocated
-- while the clock runs. OFFSET makes each run start at another token, since
-- a short run may not get round the whole file.

local started = 0

function setup(thread)
  thread:set("share", started)
  started = started + 1
end

local ready, at = {}, 0

function init(args)
  local offset, threads = tonumber(args[2]), tonumber(args[3])
  local n = 0
  for line in io.lines(args[1]) do
    if n % threads == share then
      local name, value = line:match("^([^:]+): (.*)$")
      ready[#ready + 1] = wrk.format("GET", nil, {
        Host = wrk.headers["Host"],
        [name] = value,
      })
    end
    n = n + 1
  end
  if #ready == 0 then error("no field for this thread in " .. args[1]) end
  at = offset % #ready
end

function request()
  at = at % #ready + 1
  return ready[at]
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT requests=%d refused=%d broken=%d micros=%d p50=%d p99=%d\n",
    summary.requests, e.status, e.connect + e.read + e.write + e.timeout,
    summary.duration, latency:percentile(50), latency:percentile(99)))
end
