-- A lock between worker processes: a key that only one of them can add to a shared dictionary.

local setmetatable, min = setmetatable, math.min
local shared, sleep, now = ngx.shared, ngx.sleep, ngx.now

local FIRST_WAIT, LONGEST_WAIT = 0.001, 0.5

local _M = {}
local mt = { __index = _M }

-- Options, in seconds: `exptime`, after which a lock that was not given back falls; `timeout`, how long to wait.
function _M.new(_, dict_name, options)
  local dict = shared[dict_name]
  if not dict then
    return nil, "dictionary not found"
  end
  options = options or {}
  return setmetatable({ dict = dict, exptime = options.exptime or 30, timeout = options.timeout or 5 }, mt)
end

-- Returns the seconds it took, or nil and "timeout" (or the dictionary's error).
function _M.lock(self, key)
  local begin, wait = now(), FIRST_WAIT
  while true do
    local added, err = self.dict:add(key, true, self.exptime)
    if added then
      self.key = key
      return now() - begin
    end
    if err ~= "exists" then
      return nil, err
    end
    local left = self.timeout - (now() - begin)
    if left <= 0 then
      return nil, "timeout"
    end
    sleep(min(wait, left))
    wait = min(wait * 2, LONGEST_WAIT)
  end
end

function _M.unlock(self)
  local key = self.key
  if not key then
    return nil, "unlocked"
  end
  self.key = nil
  self.dict:delete(key)
  return 1
end

return _M
