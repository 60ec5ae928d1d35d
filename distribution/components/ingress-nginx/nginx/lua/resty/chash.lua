-- Consistent hashing: every node owns points of a ring, a key belongs to the first point at or after its own hash.
-- One node more or less moves only the keys of its own points.

local bit = require("bit")

local setmetatable, pairs, sort, byte, tostring = setmetatable, pairs, table.sort, string.byte, tostring
local bor, lshift, tobit = bit.bor, bit.lshift, bit.tobit
local md5_bin = ngx.md5_bin

local POINTS = 160
local POINTS_OF_ONE_HASH = 4

local _M = {}
local mt = { __index = _M }

-- The 32 bits at `offset` (0 to 3, in words) of a hash, as a number from 0 on.
local function word(hash, offset)
  local a, b, c, d = byte(hash, offset * 4 + 1, offset * 4 + 4)
  return tobit(bor(lshift(d, 24), lshift(c, 16), lshift(b, 8), a)) % 0x100000000
end

local function fill(self, nodes)
  local ring = {}
  for id, weight in pairs(nodes) do
    for i = 1, POINTS * weight / POINTS_OF_ONE_HASH do
      local hash = md5_bin(id .. "-" .. i)
      for offset = 0, POINTS_OF_ONE_HASH - 1 do
        ring[#ring + 1] = { at = word(hash, offset), id = id }
      end
    end
  end
  -- Points that coincide are ordered by node, so that all workers and all hosts decide alike.
  sort(ring, function(x, y) return x.at < y.at or (x.at == y.at and x.id < y.id) end)
  self.nodes, self.ring = nodes, ring
end

function _M.new(_, nodes)
  local self = setmetatable({}, mt)
  fill(self, nodes)
  return self
end

function _M.reinit(self, nodes)
  fill(self, nodes)
end

function _M.find(self, key)
  local ring = self.ring
  if #ring == 0 then
    return nil, "no nodes"
  end
  local at = word(md5_bin(tostring(key)), 0)
  local low, high = 1, #ring + 1
  while low < high do
    local middle = math.floor((low + high) / 2)
    if ring[middle].at < at then
      low = middle + 1
    else
      high = middle
    end
  end
  local index = low > #ring and 1 or low
  return ring[index].id, index
end

return _M
