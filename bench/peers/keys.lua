-- Script for wrk: requests keys in an order that was drawn before, so that drawing does not cost time while it measures.
-- wrk ... -s keys.lua URL -- PREFIX SUFFIX KEYS DRAWS_FILE FIRST
-- DRAWS_FILE: numbers of keys below KEYS, 32 bits each in native byte order; the script starts at FIRST and wraps around.
local ffi = require('ffi')

local requests, draws, count, at = {}, nil, 0, 0

function init(args)
  local prefix, suffix, keys, path, first = args[1], args[2], tonumber(args[3]), args[4], tonumber(args[5])
  for number = 0, keys - 1 do
    requests[number] = wrk.format('GET', string.format('%skey:%012d%s', prefix, number, suffix))
  end
  local file = assert(io.open(path, 'rb'))
  local bytes = file:read('*a')
  file:close()
  count = #bytes / 4
  draws = ffi.new('uint32_t[?]', count)
  ffi.copy(draws, bytes, #bytes)
  at = first % count
end

function request()
  local number = draws[at]
  at = at + 1
  if at == count then at = 0 end
  return requests[number]
end
