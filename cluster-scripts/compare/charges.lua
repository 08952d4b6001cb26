-- For wrk: single charges, each under a new idempotency key. SELLERS names the file that `etebar load --prepare` writes,
-- RUN sets this run's keys apart from those of any other. The load of a thread begins at its number.
local keys = {}
for line in io.lines(os.getenv("SELLERS")) do
  keys[#keys + 1] = line:match('"key":%s*"([^"]+)"')
end

local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

local sent = 0
local headers = { ["Content-Type"] = "application/json" }
function request()
  sent = sent + 1
  headers["Authorization"] = "Bearer " .. keys[sent % #keys + 1]
  headers["Idempotency-Key"] = string.format("%s-%d-%d", os.getenv("RUN"), number, sent)
  return wrk.format("POST", "/v1/charges", headers, string.format('{"phone":"+98912%07d","amount":"1"}', sent * 7919 % 10000000))
end
