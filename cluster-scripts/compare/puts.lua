-- For wrk: one put a request to the JSON gateway of etcd, a key of 8 bytes and a value of 64, spread over 10,000 keys.
-- "a2V5" is "key" in base64; four digits of base64 are three bytes of whatever they decode to, so each number is a key.
wrk.method = "POST"
wrk.path = "/v3/kv/put"
wrk.headers["Content-Type"] = "application/json"
local value = string.rep("QUFB", 21) .. "QQ=="
local sent = 0
function request()
  sent = sent + 1
  return wrk.format(nil, nil, nil, string.format('{"key":"a2V5%04d","value":"%s"}', sent * 7919 % 10000, value))
end
