-- Documents and badges of users, and owners of tokens, of one shard.
--
-- KEYS: users, then tokens. ARGV[1]: how many users.
local call = redis.call
local users = tonumber(ARGV[1])
local documents, badges, owners = {}, {}, {}
for n = 1, users do
  local found = call('HMGET', KEYS[n], 'd', 'b')
  documents[n] = found[1]
  badges[n] = tonumber(found[2] or 0)
end
for n = users + 1, #KEYS do
  owners[n - users] = call('GET', KEYS[n])
end
return {documents, badges, owners}
