-- Rate limits that several hosts share through memcached are not in this image. The chart refuses the setting that
-- would switch them on (`global-rate-limit-memcached-host`); nothing else reaches this module.

local _M = {}

function _M.new()
  return nil, "global rate limits are not supported by this build of ingress-nginx"
end

return _M
