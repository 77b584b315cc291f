-- What one shard knows of a batch, and the claims that the batch takes there: one call, all of it or nothing.
--
-- KEYS: spans of done marks, event keys, tombstones, users, dedup claims, in this order.
-- ARGV[1], msgpack: shard's prefix, now, end of new claims (s), their life (s), that of done marks (s), whether to look only,
-- sources, when those that are asked for done marks were made (ms), how many these are, how many spans, the source of each event (index), how many tombstones,
-- for each run of users their number and the names of their options, the source of each claim, claims with a window:
-- index -> time, window.
-- Claims of a source that is found settled, or whose EventId is another's, are not taken.
local call, match, sub, abs = redis.call, string.match, string.sub, math.abs
local prefix, now, expires, ttl, done_ttl, peek, sources, created, checked, spans, events, tombstones, runs, claims,
  timed = unpack(cmsgpack.unpack(ARGV[1]))
local CLOCKS_APART = 60
local at = spans
local blocked = {}

-- The same as is_believed in marks.py: a mark from before the record is another's.
local function believed(ending, made)
  if made <= 0 or made > (now + CLOCKS_APART) * 1000 then return true end
  return (ending - done_ttl + CLOCKS_APART) * 1000 >= made
end

local done = {}
if checked > 0 then
  local marks_of, members_of = {}, {}
  for i = 1, checked do
    local source = sources[i]
    local span = sub(source, 1, -3)
    local marks = marks_of[span]
    if not marks then
      marks = {}
      marks_of[span], members_of[span] = marks, {}
    end
    marks[#marks + 1] = sub(source, -2)
    table.insert(members_of[span], i)
  end
  for span, marks in pairs(marks_of) do
    local found = call('HMGET', prefix .. 's:' .. span, unpack(marks))
    for n, i in ipairs(members_of[span]) do
      local value = found[n]
      if value then
        local ending = tonumber(value) or tonumber(match(value, '^%[(%d+),"",""%]\n'))
        if ending and ending > now and believed(ending, created[i]) then
          blocked[i] = true
          done[#done + 1] = i - 1
          done[#done + 1] = ''
        elseif sub(value, 1, 1) == '[' then
          done[#done + 1] = i - 1
          done[#done + 1] = value
        end
      end
    end
  end
end

local looked = {}
local function take(key, source, time, window)
  local value = expires .. ' ' .. (time or '-') .. ' ' .. source
  local held
  if peek then
    held = looked[key] or call('GET', key)
  else
    held = call('SET', key, value, 'NX', 'GET', 'EX', ttl)
  end
  if held then
    local ending, first, owner = match(held, '^(%d+) (%S+) (.*)$')
    if tonumber(ending) > now then
      if owner == source then return nil end
      if not window or first == '-' or abs(time - first) < window then return owner end
    end
    if not peek then call('SET', key, value, 'EX', ttl) end
  end
  if peek then looked[key] = value end
  return nil
end

local redelivered = {}
for n, i in ipairs(events) do
  if not blocked[i] then
    local owner = take(KEYS[at + n], sources[i])
    if owner then
      blocked[i] = true
      redelivered[#redelivered + 1] = i - 1
      redelivered[#redelivered + 1] = owner
    end
  end
end
at = at + #events

local buried = {}
for first = 1, tombstones, 1000 do
  local last = math.min(first + 999, tombstones)
  for n, value in ipairs(call('MGET', unpack(KEYS, at + first, at + last))) do
    if value and tonumber(value) > now then buried[#buried + 1] = first + n - 2 end
  end
end
at = at + tombstones

local documents, badges, options = {}, {}, {}
local n = 0
for _, run in ipairs(runs) do
  local one, two = run[2], run[3]
  for _ = 1, run[1] do
    n = n + 1
    local found
    if two then
      found = call('HMGET', KEYS[at + n], 'd', 'b', one, two)
    else
      found = call('HMGET', KEYS[at + n], 'd', 'b', one)
    end
    documents[n] = found[1]
    badges[n] = tonumber(found[2] or 0)
    for k = 3, 4 do
      if found[k] then
        options[#options + 1] = n - 1
        options[#options + 1] = k - 3
        options[#options + 1] = tonumber(match(found[k], '^%d+'))
      end
    end
  end
end
at = at + n

local owners = {}
for c, i in ipairs(claims) do
  if not blocked[i] then
    local owner
    local window = timed[c]
    if window then
      owner = take(KEYS[at + c], sources[i], window[1], window[2])
    else
      owner = take(KEYS[at + c], sources[i])
    end
    if owner then
      owners[#owners + 1] = c - 1
      owners[#owners + 1] = owner
    end
  end
end

return {done, redelivered, buried, documents, badges, options, owners}
