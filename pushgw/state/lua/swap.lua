-- Put one sealed credential in another's place, where that is still the one. Nothing is the empty string.
--
-- KEYS[1]: the hash of sealed credentials. ARGV: certificate id, what must be there, what shall be there.
-- 1: it is there, also when it was already (a repeat); 0: something else was there, and is.
local call = redis.call
local id, old, new = ARGV[1], ARGV[2], ARGV[3]
local found = call('HGET', KEYS[1], id) or ''

if found == new then
  return 1
end
if found ~= old then
  return 0
end
if new == '' then
  call('HDEL', KEYS[1], id)
else
  call('HSET', KEYS[1], id, new)
end
call('HINCRBY', KEYS[1], 'version', 1)
return 1
