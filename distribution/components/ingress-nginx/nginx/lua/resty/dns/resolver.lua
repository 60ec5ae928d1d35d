-- A DNS client (RFC 1035) for addresses: one question over UDP, once more over TCP if the answer was cut off.

local bit = require("bit")

local setmetatable, ipairs, random = setmetatable, ipairs, math.random
local byte, char, sub, gmatch, format = string.byte, string.char, string.sub, string.gmatch, string.format
local concat = table.concat
local udp, tcp = ngx.socket.udp, ngx.socket.tcp

local _M = { TYPE_A = 1, TYPE_CNAME = 5, TYPE_AAAA = 28, CLASS_IN = 1 }
local mt = { __index = _M }

local ERRORS = { "format error", "server failure", "name error", "not implemented", "refused" }
local TRUNCATED, RESPONSE = 0x0200, 0x8000
local HEADER = 12

-- `options`: nameservers (addresses, or {address, port}), retrans (tries), timeout (milliseconds of each).
function _M.new(_, options)
  if not options or not options.nameservers or #options.nameservers == 0 then
    return nil, "no nameservers specified"
  end
  return setmetatable({
    servers = options.nameservers,
    tries = options.retrans or 5,
    timeout = options.timeout or 2000,
  }, mt)
end

local function number16(text, at)
  local high, low = byte(text, at, at + 1)
  return low and high * 256 + low
end

local function question(id, name, qtype)
  local labels = {}
  for label in gmatch(name, "[^.]+") do
    if #label > 63 then
      return nil, "bad name: label too long"
    end
    labels[#labels + 1] = char(#label) .. label
  end
  local asked = concat(labels) .. char(0, 0, qtype, 0, _M.CLASS_IN)
  return char(math.floor(id / 256), id % 256, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0) .. asked
end

-- The position after a name, without reading it: addresses are taken whatever alias they belong to.
local function after_name(message, at)
  while true do
    local length = byte(message, at)
    if not length then
      return nil
    end
    if length >= 0xC0 then
      return at + 2
    end
    if length == 0 then
      return at + 1
    end
    at = at + 1 + length
  end
end

local function address(qtype, data)
  if qtype == _M.TYPE_A and #data == 4 then
    return format("%d.%d.%d.%d", byte(data, 1, 4))
  end
  if qtype == _M.TYPE_AAAA and #data == 16 then
    local groups = {}
    for i = 1, 15, 2 do
      groups[#groups + 1] = format("%x", number16(data, i))
    end
    return concat(groups, ":")
  end
end

local function read_answers(message)
  local at = HEADER + 1
  for _ = 1, number16(message, 5) do
    at = after_name(message, at)
    if not at then
      return nil, "truncated question"
    end
    at = at + 4
  end
  local answers = {}
  for _ = 1, number16(message, 7) do
    at = after_name(message, at)
    local size = at and number16(message, at + 8)
    if not size or #message < at + 9 + size then
      return nil, "truncated answer"
    end
    local qtype = number16(message, at)
    local ttl = number16(message, at + 4) * 65536 + number16(message, at + 6)
    local data = sub(message, at + 10, at + 9 + size)
    answers[#answers + 1] = { type = qtype, ttl = ttl, address = address(qtype, data) }
    at = at + 10 + size
  end
  return answers
end

-- The answers in `message`; nil and the reason if it is not one to `query`.
local function parsed(message, query)
  if #message < HEADER then
    return nil, "message too short"
  end
  local flags = number16(message, 3)
  if number16(message, 1) ~= number16(query, 1) then
    return nil, "id mismatch"
  end
  if bit.band(flags, RESPONSE) == 0 then
    return nil, "not a response"
  end
  if bit.band(flags, TRUNCATED) ~= 0 then
    return nil, "truncated"
  end
  local code = bit.band(flags, 15)
  if code ~= 0 then
    return { errcode = code, errstr = ERRORS[code] or "unknown" }
  end
  return read_answers(message)
end

local function over_udp(self, host, port, query)
  local socket = udp()
  socket:settimeout(self.timeout)
  local ok, err = socket:setpeername(host, port)
  if ok then
    ok, err = socket:send(query)
  end
  local answers
  while ok do
    local message
    message, err = socket:receive(4096)
    if not message then
      break
    end
    answers, err = parsed(message, query)
    -- A late answer to an earlier question is not this one's.
    if err ~= "id mismatch" then
      break
    end
  end
  socket:close()
  return answers, err
end

local function over_tcp(self, host, port, query)
  local socket = tcp()
  socket:settimeout(self.timeout)
  local message
  local ok, err = socket:connect(host, port)
  if ok then
    ok, err = socket:send({ char(math.floor(#query / 256), #query % 256), query })
  end
  if ok then
    local size
    size, err = socket:receive(2)
    if size then
      message, err = socket:receive(number16(size, 1))
    end
  end
  socket:close()
  if not message then
    return nil, err
  end
  return parsed(message, query)
end

-- The answers to the question for `name`: a list of {type, ttl, address}, or {errcode, errstr} as the server gave
-- it; nil and the reason if no server answered.
function _M.query(self, name, options)
  local qtype = options and options.qtype or _M.TYPE_A
  local err
  for try = 1, self.tries do
    local server = self.servers[(try - 1) % #self.servers + 1]
    local host, port = server, 53
    if type(server) == "table" then
      host, port = server[1], server[2] or 53
    end
    local query
    query, err = question(random(0, 65535), name, qtype)
    if not query then
      return nil, err
    end
    local answers
    answers, err = over_udp(self, host, port, query)
    if err == "truncated" then
      answers, err = over_tcp(self, host, port, query)
    end
    if answers then
      return answers
    end
  end
  return nil, err
end

return _M
