-- When a proxy is down, this script cuts the connected sessions with it and spares those that are still connecting
-- (docs/decisions/007).
--
-- A connected session would hang until the kernel finds the other end dead (keepalive, `tcp_retries2`). A client that keeps it idle
-- would notice only with its next request. A session that is still connecting does no harm: it moves to the twin by itself
-- (`option redispatch`), and its client sees no error. haproxy's own `on-marked-down shutdown-sessions` cuts both.
--
-- haproxy shows the difference only in the list of all its sessions. A script cannot read that list to its end with certainty (a
-- socket of 2.6 may stop where an answer is longer than its buffer). So the script waits for `timeout connect`: a session that was
-- connecting when the proxy went down has failed or is connected by then, and no new session chooses that proxy meanwhile. All
-- sessions that the proxy has then are connected.
--
-- A proxy that drains (NOLB) keeps its sessions. If this script fails, the kernel ends the sessions later.

local lookMs = 50
-- `timeout connect` of haproxy.cfg, and 50 ms for haproxy itself on a busy machine.
local connectingMs = tonumber(os.getenv("BARTON_CONNECT_TIMEOUT_MS")) + 50

local function isDown(name)
  local status = core.backends["proxies"].servers[name]:get_stats().status
  return string.match(status, "^DOWN") ~= nil or string.match(status, "^MAINT") ~= nil
end

local function cut(name)
  for backendName, backend in pairs(core.backends) do
    if string.match(backendName, "^shard%d+$") then backend.servers[name]:shut_sess() end
  end
end

-- True if the proxy stays down for `connectingMs`. A proxy that comes back meanwhile keeps its sessions and gets new ones.
local function staysDown(name)
  for _ = lookMs, connectingMs, lookMs do
    core.msleep(lookMs)
    if not isDown(name) then return false end
  end
  return true
end

-- A process that starts has nothing to cut, whatever it sees first.
local function watch(name)
  local wasDown = true
  while true do
    local down = isDown(name)
    if down and not wasDown and staysDown(name) then cut(name) end
    wasDown = down
    core.msleep(lookMs)
  end
end

for _, name in ipairs({ "haproxy1", "haproxy2" }) do
  core.register_task(function() watch(name) end)
end
