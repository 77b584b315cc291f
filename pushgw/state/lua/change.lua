-- Users, their options and token owners of one shard, written if nobody changed them since they were read; else nothing is.
--
-- KEYS: users, then tokens.
-- ARGV[1], msgpack: for each user what was read (or false), the new document (or false: as it was), the badge (or false),
-- options as name, option, time; for each token what was read (or false), the new owner, its life in s (or false).
-- Answers 1, or 0 where another was faster.
local call = redis.call
local users, tokens = unpack(cmsgpack.unpack(ARGV[1]))

for n, user in ipairs(users) do
  if user[2] and call('HGET', KEYS[n], 'd') ~= user[1] then return 0 end
end
for n, token in ipairs(tokens) do
  if call('GET', KEYS[#users + n]) ~= token[1] then return 0 end
end

for n, user in ipairs(users) do
  local key = KEYS[n]
  if user[2] then call('HSET', key, 'd', user[2]) end
  if user[3] then call('HSET', key, 'b', user[3]) end
  for _, option in ipairs(user[4]) do
    local known = call('HGET', key, option[1])
    if not known or option[3] >= tonumber(string.match(known, ' (%-?%d+)$')) then
      call('HSET', key, option[1], string.format('%d %.0f', option[2], option[3]))
    end
  end
end
for n, token in ipairs(tokens) do
  if token[3] then
    call('SET', KEYS[#users + n], token[2], 'EX', token[3])
  else
    call('SET', KEYS[#users + n], token[2])
  end
end
return 1
