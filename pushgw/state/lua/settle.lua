-- Done marks and badges of one shard. What is repeated changes nothing: a badge remembers who raised it last.
--
-- KEYS: users whose badge rises, one for each raise, then spans of done marks.
-- ARGV[1], msgpack: shard's prefix, end of the marks (s), their life (s), sources that are settled as a whole, for each source
-- settled in part its lines, for each raise its source, for each raise false or the number to set.
local call, sub = redis.call, string.sub
local prefix, expires, ttl, whole, parts, sources, numbers = unpack(cmsgpack.unpack(ARGV[1]))
local MARK, REMEMBERED = 9, 32

for n, source in ipairs(sources) do
  local mark = sub(redis.sha1hex(source), 1, MARK - 1) .. ' '
  local found = call('HMGET', KEYS[n], 'b', 'r')
  local last = found[2] or ''
  if not string.find(last, mark, 1, true) then
    local badge = numbers[n] or tonumber(found[1] or 0) + 1
    call('HSET', KEYS[n], 'b', badge, 'r', sub(last .. mark, -MARK * REMEMBERED))
  end
end

local spans = {}
for _, source in ipairs(whole) do
  local key = prefix .. 's:' .. sub(source, 1, -3)
  local marks = spans[key]
  if not marks then
    marks = {}
    spans[key] = marks
  end
  marks[#marks + 1] = sub(source, -2)
  marks[#marks + 1] = expires
end
for key, marks in pairs(spans) do
  call('HSET', key, unpack(marks))
  call('EXPIRE', key, ttl)
end

for _, part in ipairs(parts) do
  local key, mark = prefix .. 's:' .. sub(part[1], 1, -3), sub(part[1], -2)
  local known = call('HGET', key, mark) or ''
  if tonumber(known) then known = '[' .. known .. ',"",""]\n' end -- of all of it: perhaps of an older record
  call('HSET', key, mark, known .. part[2])
  call('EXPIRE', key, ttl)
end
return 1
