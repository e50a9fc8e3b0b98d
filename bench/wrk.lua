-- A thousand sellers in turn, made once: formatting each request would cost wrk more than sending it.
local requests, nth = {}, 0

function init()
  for i = 1, 1000 do
    wrk.headers["X-Seller-Id"] = "seller_" .. i
    requests[i] = wrk.format("GET", "/")
  end
end

function request()
  nth = nth % #requests + 1
  return requests[nth]
end

function done(summary, latency)
  local failed = summary.errors
  io.write(string.format(
    'RESULT {"requests": %d, "microseconds": %d, "failed": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.duration,
    failed.connect + failed.read + failed.write + failed.status + failed.timeout,
    latency:percentile(50), latency:percentile(99)))
end
