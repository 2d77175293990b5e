-- what wrk found, as one line of JSON
function done(summary, latency)
	local errors = summary.errors
	io.write(string.format('{"rate": %.1f, "p50": %d, "p99": %d, "errors": %d}\n',
		summary.requests * 1e6 / summary.duration, latency:percentile(50), latency:percentile(99),
		errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
