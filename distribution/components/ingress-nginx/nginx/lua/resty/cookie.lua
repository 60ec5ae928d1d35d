-- The cookies of a request, and setting one in the answer (RFC 6265).

local setmetatable, type, concat = setmetatable, type, table.concat
local find, sub, gmatch, match = string.find, string.sub, string.gmatch, string.match

local _M = {}
local mt = { __index = _M }

local ATTRIBUTES = {
  { "expires", "Expires" },
  { "max_age", "Max-Age" },
  { "domain", "Domain" },
  { "path", "Path" },
  { "samesite", "SameSite" },
}

function _M.new(_)
  return setmetatable({}, mt)
end

-- The value of a cookie; nil and the reason if the client sent none of this name. The first one counts.
function _M.get(_, name)
  local header = ngx.var.http_cookie
  if not header then
    return nil, "no cookie found in the current request"
  end
  for pair in gmatch(header, "[^;]+") do
    local equals = find(pair, "=", 1, true)
    if equals and match(sub(pair, 1, equals - 1), "^%s*(.-)%s*$") == name then
      local value = match(sub(pair, equals + 1), "^%s*(.-)%s*$")
      return match(value, '^"(.*)"$') or value
    end
  end
  return nil, "no such cookie"
end

local function unsafe(text)
  return find(text, "[%c;]") ~= nil
end

-- `cookie`: key, value, path, domain, expires, max_age, samesite, secure, httponly.
function _M.set(_, cookie)
  if type(cookie) ~= "table" or not cookie.key or not cookie.value then
    return nil, 'missing field "key" or "value"'
  end
  local parts = { cookie.key .. "=" .. cookie.value }
  for _, attribute in ipairs(ATTRIBUTES) do
    local value = cookie[attribute[1]]
    if value then
      parts[#parts + 1] = attribute[2] .. "=" .. value
    end
  end
  for _, part in ipairs(parts) do
    if unsafe(part) then
      return nil, "control characters or semicolons in " .. part
    end
  end
  if cookie.secure then parts[#parts + 1] = "Secure" end
  if cookie.httponly then parts[#parts + 1] = "HttpOnly" end

  local line, present = concat(parts, "; "), ngx.header["Set-Cookie"]
  if present == nil then
    ngx.header["Set-Cookie"] = line
  else
    local all = type(present) == "table" and { unpack(present) } or { present }
    all[#all + 1] = line
    ngx.header["Set-Cookie"] = all
  end
  return true
end

return _M
