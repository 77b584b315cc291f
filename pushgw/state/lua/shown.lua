-- What devices show, of one shard. KEYS: messages that are shown. Answers for each a flat list: device, end, device, end, …
local found = {}
for n, key in ipairs(KEYS) do
  found[n] = redis.call('HGETALL', key)
end
return found
