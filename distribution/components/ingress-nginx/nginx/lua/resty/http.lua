-- An HTTP/1.1 client for one request at a time: what fetching an OCSP response needs.

local setmetatable, tonumber, concat = setmetatable, tonumber, table.concat
local match, lower, format = string.match, string.lower, string.format
local tcp = ngx.socket.tcp

local LARGEST_BODY = 1024 * 1024

local _M = {}
local mt = { __index = _M }

function _M.new()
  return setmetatable({ timeouts = { 5000, 5000, 5000 } }, mt)
end

-- Milliseconds for connecting, sending, reading.
function _M.set_timeout(self, connect, send, read)
  self.timeouts = { connect, send or connect, read or connect }
end
_M.set_timeouts = _M.set_timeout

-- {scheme, host, port, path with query}
function _M.parse_uri(_, uri)
  local scheme, authority, path = match(uri, "^(https?)://([^/?#]+)([^#]*)")
  if not scheme then
    return nil, "bad uri: " .. tostring(uri)
  end
  local host, port = match(authority, "^(.-):(%d+)$")
  host = host or authority
  port = tonumber(port) or (scheme == "https" and 443 or 80)
  if path == "" or path:sub(1, 1) == "?" then
    path = "/" .. path
  end
  return { scheme, host, port, path }
end

local function connected(self, uri, options)
  local socket = tcp()
  socket:settimeouts(unpack(self.timeouts))
  local ok, err = socket:connect(uri[2]:gsub("^%[(.*)%]$", "%1"), uri[3])
  if ok and uri[1] == "https" then
    ok, err = socket:sslhandshake(nil, options.ssl_server_name or uri[2], options.ssl_verify ~= false)
  end
  if not ok then
    return nil, err
  end
  return socket
end

local function sent(socket, uri, options)
  local headers, body = { Host = uri[2], Connection = "close" }, options.body
  for name, value in pairs(options.headers or {}) do
    headers[name] = value
  end
  if body then
    headers["Content-Length"] = #body
  end
  local lines = { format("%s %s HTTP/1.1", options.method or "GET", uri[4]) }
  for name, value in pairs(headers) do
    lines[#lines + 1] = name .. ": " .. value
  end
  return socket:send({ concat(lines, "\r\n"), "\r\n\r\n", body or "" })
end

local function read_head(socket)
  local line, err = socket:receive("*l")
  if not line then
    return nil, err
  end
  local status = tonumber(match(line, "^HTTP/1%.%d (%d%d%d)"))
  if not status then
    return nil, "not HTTP/1: " .. line
  end
  local headers = {}
  while true do
    line, err = socket:receive("*l")
    if not line then
      return nil, err
    end
    if line == "" then
      return { status = status, headers = headers }
    end
    local name, value = match(line, "^([^:]+):%s*(.-)%s*$")
    if name then
      headers[lower(name)] = value
    end
  end
end

local function read_chunks(socket)
  local chunks, total = {}, 0
  while true do
    local line, err = socket:receive("*l")
    local size = line and tonumber(match(line, "^%x+"), 16)
    if not size then
      return nil, err or "bad chunk size"
    end
    total = total + size
    if total > LARGEST_BODY then
      return nil, "the answer is too large"
    end
    if size == 0 then
      return concat(chunks)
    end
    chunks[#chunks + 1], err = socket:receive(size)
    if err then
      return nil, err
    end
    socket:receive(2)
  end
end

local function read_body(socket, headers)
  if lower(headers["transfer-encoding"] or "") == "chunked" then
    return read_chunks(socket)
  end
  local length = tonumber(headers["content-length"])
  if length and length > LARGEST_BODY then
    return nil, "the answer is too large"
  end
  if length then
    return socket:receive(length)
  end
  -- Until the server ends the connection.
  local body, err, partial = socket:receive(LARGEST_BODY)
  return body == nil and err == "closed" and partial or nil, body and "the answer is too large" or err
end

-- `options`: method, headers, body, ssl_server_name, ssl_verify. Returns {status, headers, body}.
function _M.request_uri(self, uri, options)
  local parsed, err = self:parse_uri(uri)
  if not parsed then
    return nil, err
  end
  options = options or {}
  local socket
  socket, err = connected(self, parsed, options)
  if not socket then
    return nil, err
  end
  local answer
  local ok
  ok, err = sent(socket, parsed, options)
  if ok then
    answer, err = read_head(socket)
  end
  if answer then
    answer.body, err = read_body(socket, answer.headers)
    if not answer.body then
      answer = nil
    end
  end
  socket:close()
  return answer, err
end

return _M
