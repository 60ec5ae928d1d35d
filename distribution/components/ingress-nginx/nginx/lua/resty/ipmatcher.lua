-- Whether an address is in one of some networks, IPv4 and IPv6.

local bit = require("bit")

local setmetatable, tonumber, ipairs = setmetatable, tonumber, ipairs
local match, gmatch, format = string.match, string.gmatch, string.format

local _M = {}
local mt = { __index = _M }

-- The bytes of an address, or nil.
local function v4(text)
  local parts = { match(text, "^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$") }
  for i = 1, 4 do
    parts[i] = tonumber(parts[i])
    if not parts[i] or parts[i] > 255 then
      return nil
    end
  end
  return parts
end

local function groups(text)
  local bytes = {}
  if text == "" then
    return bytes
  end
  for group in gmatch(text .. ":", "([^:]*):") do
    local number = match(group, "^%x%x?%x?%x?$") and tonumber(group, 16)
    if not number then
      return nil
    end
    bytes[#bytes + 1] = math.floor(number / 256)
    bytes[#bytes + 1] = number % 256
  end
  return bytes
end

local function v6(text)
  local tail = match(text, ":(%d+%.%d+%.%d+%.%d+)$")
  if tail then
    local last = v4(tail)
    if not last then
      return nil
    end
    local as_groups = format("%x:%x", last[1] * 256 + last[2], last[3] * 256 + last[4])
    text = text:sub(1, #text - #tail) .. as_groups
  end
  local head, rest = match(text, "^(.-)::(.*)$")
  if not head then
    local bytes = groups(text)
    return bytes and #bytes == 16 and bytes or nil
  end
  local bytes, last = groups(head), groups(rest)
  if not bytes or not last or #bytes + #last > 14 then
    return nil
  end
  for _ = #bytes + #last + 1, 16 do
    bytes[#bytes + 1] = 0
  end
  for _, byte in ipairs(last) do
    bytes[#bytes + 1] = byte
  end
  return bytes
end

local function parse(text)
  return v4(text) or v6(text)
end

local function network(text)
  local address, length = match(text, "^(.-)/(%d+)$")
  local bytes = parse(address or text)
  length = tonumber(length) or (bytes and #bytes * 8)
  if not bytes or length > #bytes * 8 then
    return nil
  end
  return { bytes = bytes, length = length }
end

local function contains(net, bytes)
  if #bytes ~= #net.bytes then
    return false
  end
  local whole, rest = math.floor(net.length / 8), net.length % 8
  for i = 1, whole do
    if bytes[i] ~= net.bytes[i] then
      return false
    end
  end
  return rest == 0 or bit.rshift(bit.bxor(bytes[whole + 1], net.bytes[whole + 1]), 8 - rest) == 0
end

-- A matcher for addresses and networks in CIDR notation; nil and the reason if one of them is neither.
function _M.new(cidrs)
  local networks = {}
  for i, cidr in ipairs(cidrs) do
    networks[i] = network(cidr)
    if not networks[i] then
      return nil, "invalid ip address: " .. cidr
    end
  end
  return setmetatable({ networks = networks }, mt)
end

function _M.match(self, address)
  local bytes = parse(address)
  if not bytes then
    return false, "invalid ip address: " .. address
  end
  for _, net in ipairs(self.networks) do
    if contains(net, bytes) then
      return true
    end
  end
  return false
end

return _M
