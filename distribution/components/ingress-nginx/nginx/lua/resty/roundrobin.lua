-- Weighted round robin: the smooth one, which spreads a node's turns over the round (5,1,1 gives a a b a c a a).
--
-- A node's id is "address:port". `nodes` (id -> weight) is compared by the caller to see whether anything changed.

local setmetatable, pairs, random = setmetatable, pairs, math.random

local _M = {}
local mt = { __index = _M }

local function fill(self, nodes)
  local turns = {}
  for id, weight in pairs(nodes) do
    turns[#turns + 1] = { id = id, weight = weight, credit = 0 }
  end
  self.nodes, self.turns = nodes, turns
  -- Every worker process has its own state: without a random start all would begin with the same node.
  for _ = 1, random(0, #turns) do
    self:find()
  end
end

function _M.new(_, nodes)
  local self = setmetatable({}, mt)
  fill(self, nodes)
  return self
end

function _M.reinit(self, nodes)
  fill(self, nodes)
end

function _M.find(self)
  local best, total = nil, 0
  for _, turn in pairs(self.turns) do
    turn.credit = turn.credit + turn.weight
    total = total + turn.weight
    if not best or turn.credit > best.credit then
      best = turn
    end
  end
  if not best then
    return nil, "no nodes"
  end
  best.credit = best.credit - total
  return best.id
end

return _M
