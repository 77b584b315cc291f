-- Tombstones and what devices show, of one shard.
--
-- KEYS: tombstones to write, then messages that are shown.
-- ARGV[1], msgpack: end of the tombstones (s), their number, for each shown message the device, the end and the life of that.
local call = redis.call
local expires, ttl, buried, devices, ending, life = unpack(cmsgpack.unpack(ARGV[1]))
for n = 1, buried do
  call('SET', KEYS[n], expires, 'EX', ttl)
end
for n, device in ipairs(devices) do
  call('HSET', KEYS[buried + n], device, ending)
  call('EXPIRE', KEYS[buried + n], life)
end
return 1
