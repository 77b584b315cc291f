-- Times by field in one hash: each stays, unless the new one is later.
-- KEYS[1] the hash; ARGV: field, time, field, time, ...
for n = 1, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[1], ARGV[n])
  if not known or tonumber(known) < tonumber(ARGV[n + 1]) then
    redis.call('HSET', KEYS[1], ARGV[n], ARGV[n + 1])
  end
end
return redis.status_reply('OK')
