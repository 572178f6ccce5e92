-- A proxy that is given up: the sessions that stand with it are cut, those that are still connecting are spared.
--
-- A session that stands would hang until the kernel finds the other end dead (`tcp-ut`, keepalive), and a client that keeps
-- it while it is idle would notice with its next request only. One that is still connecting harms nobody: it moves to the
-- twin by itself (`option redispatch`), and its client sees no error. haproxy's own `on-marked-down shutdown-sessions` cuts
-- both.
--
-- haproxy tells the two apart only in the list of all its sessions, which is long, and which a script cannot read to its end
-- with certainty (a socket of 2.6 may stop where an answer is longer than its buffer). But who was connecting when the
-- proxy was given up has failed or stands after `timeout connect`, and nobody chooses that proxy meanwhile. So what it has
-- then stands.
--
-- A proxy that drains (NOLB) keeps its sessions. If this script ever failed, the kernel would end them, only later.

local lookMs = 50
-- From haproxy.cfg. The rest is for haproxy's own pace on a busy machine.
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

-- Is it given up for `connectingMs`? One that comes back meanwhile may keep what it has, and gets new sessions.
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
