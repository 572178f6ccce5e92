-- A proxy process that restarts continues where its predecessor was, also while monit is away (docs/decisions/014).
--
-- Each change by recovery ends with the command `keep servers`. It writes the servers to a file. Its answer is empty only if that
-- succeeded, or if no older file is left. So a process that restarts never uses a server that recovery has fenced, whenever its
-- predecessor died. A process that starts reads the file and uses a server again only if that server says that it is a master.
--
-- The folder (`setenv` in haproxy.cfg, as seen from the chroot) is in /run. A machine that boots knows nothing and serves nobody
-- until recovery sets its servers. Without the folder nothing is stored, and nothing is restored.

local folder = os.getenv("BARTON_KEPT")
local kept = folder .. "/servers"
-- Has the id of the process that started last. After a reload the old process still answers for a moment and must not confirm.
local latest = folder .. "/process"

local retryMs = 200
local answerSeconds = 1

local me
-- True after the first command of recovery to this process. From then on the file is not used any more.
local told = false

local function read(path)
  local file = io.open(path, "r")
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text
end

local function write(path, text)
  local part = path .. ".part"
  local file = io.open(part, "w")
  if not file then return false end
  local written = file:write(text) and true or false
  -- A full disk shows at the latest when the file is closed.
  written = file:close() and written
  return written and os.rename(part, path) and true or false
end

-- Removes the file. True if a later process can certainly not restore from it.
local function forget()
  os.remove(kept)
  return io.open(kept, "r") == nil
end

local function server(backend, name)
  local found = core.backends[backend]
  return found and found.servers[name]
end

-- A proxy that leaves (`registered/self` drains) is not to come back.
local function isReady(one)
  local status = one:get_stats().status
  return not (string.match(status, "^MAINT") or string.match(status, "^DRAIN"))
end

-- One line for each server: backend, name, address, state.
local function snapshot()
  local lines = {}
  for name, backend in pairs(core.backends) do
    if string.match(name, "^shard%d+$") or name == "registered" then
      for serverName, one in pairs(backend.servers) do
        if serverName ~= "hold" then
          local state = isReady(one) and "ready" or "out"
          lines[#lines + 1] = table.concat({ name, serverName, one:get_addr(), state }, " ")
        end
      end
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

core.register_cli({ "keep", "servers" }, "keep servers : write down where traffic goes", function(applet)
  told = true
  if not write(kept, snapshot()) then
    if not forget() then applet:send("what was kept can be neither replaced nor removed\n") end
  elseif read(latest) ~= me then
    applet:send("another process has taken over\n")
  end
end)

-- The generation of each shard's lines, which every fence ends (recovery/act/haproxy.ts). A process that hung carries out what it was
-- sent when it goes on, also when its sender has stopped waiting, and other commands have come on another connection meanwhile. So a
-- command that lets traffic go to a server names the generation in which it was sent, and is refused when that has ended: whatever
-- comes late, a server that was fenced is not used again. The first generation differs with every process. There is no pause between
-- question and answer: Lua runs one command after the other.
local generations = {}

local function generation(backend)
  generations[backend] = generations[backend] or core.now().sec * 1000
  return generations[backend]
end

core.register_cli({ "generation", "now" }, "generation now : the generation of each shard's servers", function(applet)
  for name in pairs(core.backends) do
    if string.match(name, "^shard%d+$") then applet:send(name .. " " .. generation(name) .. "\n") end
  end
end)

core.register_cli({ "generation", "next" }, "generation next BACKEND : ends it", function(applet, ...)
  local name = select(-1, ...)
  if not core.backends[name] then return applet:send("no such backend\n") end
  generations[name] = generation(name) + 1
  applet:send(name .. " " .. generations[name] .. "\n")
end)

core.register_cli({ "use", "server" }, "use server GENERATION BACKEND/SERVER [ADDRESS PORT] : sends traffic there",
  function(applet, _, _, wanted, name, address, port)
    local backend, own = string.match(name or "", "^(shard%d+)/(%w+)$")
    local one = backend and server(backend, own)
    if not one then return applet:send("no such server\n") end
    local present = generation(backend)
    if tonumber(wanted) ~= present then
      return applet:send("the generation is " .. present .. ", not " .. wanted .. "\n")
    end
    if address then
      one:set_maint()
      one:set_addr(address, tonumber(port))
    end
    -- Whatever somebody did to it: `set_ready` alone leaves a weight of 0 and a health that was set by hand.
    one:set_weight("100%")
    one:check_force_up()
    one:set_ready()
  end)

-- Every redis server tells anybody its role (the user `witness` in users.acl), and nothing else.
local function isMaster(address, port)
  local socket = core.tcp()
  socket:settimeout(answerSeconds)
  local role
  if socket:connect(address, port) and socket:send("AUTH witness witness\r\nROLE\r\n") then
    -- +OK, *3, $6, master
    for _ = 1, 4 do role = socket:receive("*l") end
  end
  socket:close()
  return role == "master"
end

-- Uses one server as before. There is no pause between the check of `told` and the change.
local function restore(line)
  if not isMaster(line.address, line.port) or told then return false end
  local one = server(line.backend, line.name)
  if not one then return false end
  one:set_addr(line.address, line.port)
  one:set_ready()
  return true
end

local function linesOf(text)
  local waiting, wasRegistered = {}, false
  for backend, name, address, port, state in string.gmatch(text, "(%S+) (%S+) ([%d.]+):(%d+) (%a+)\n") do
    if state == "ready" and backend == "registered" then
      wasRegistered = true
    elseif state == "ready" then
      waiting[#waiting + 1] = { backend = backend, name = name, address = address, port = tonumber(port) }
    end
  end
  return waiting, wasRegistered
end

core.register_task(function()
  local now = core.now()
  me = string.format("%s %d.%06d", core.get_info()["Pid"], now.sec, now.usec)
  -- Announce first, then read: the former process confirms nothing that it stores after this.
  if not write(latest, me) then return end
  local waiting, wasRegistered = linesOf(read(kept) or "")
  while not told and #waiting > 0 do
    for i = #waiting, 1, -1 do
      if restore(waiting[i]) then table.remove(waiting, i) end
    end
    if #waiting > 0 then core.msleep(retryMs) end
  end
  -- When all servers are in use as before, app may use the proxy again.
  local own = server("registered", "self")
  if wasRegistered and not told and own then own:set_ready() end
end)
