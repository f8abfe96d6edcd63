-- What Argo CD shows of a resource of Dockfleet: what kstatus makes of it, which Flux and `kubectl wait` go by, in Argo CD's words. Two things are told apart in addition: what is
-- suspended, and what engines refuse for now, which is tried again but may take somebody to end it.
local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready = conditions.Ready or {}

local function health(word, message)
  return { status = word, message = message or ready.message or "" }
end
local function holds(type)
  return conditions[type] ~= nil and conditions[type].status == "True"
end

if obj.metadata.deletionTimestamp ~= nil then
  return health("Progressing", "deleted; hosts are told to let go of it")
end
if status.observedGeneration ~= obj.metadata.generation then
  return health("Progressing", "not looked at yet")
end
if obj.spec.suspend or obj.spec.paused then
  return health("Suspended")
end
-- Of a host that is silent, what its agent said last is all that is known.
local reachable = conditions.Reachable
if reachable ~= nil and reachable.status ~= "True" then
  return health(reachable.status == "False" and "Degraded" or "Progressing", reachable.message)
end
if holds("Stalled") then
  return health("Degraded")
end
if ready.status == "False" then
  if ready.reason == "EngineBusy" or ready.reason == "JournalFailed" or not holds("Reconciling") then
    return health("Degraded")
  end
  return health("Progressing")
end
if ready.status == "True" and not holds("Reconciling") then
  return health("Healthy")
end
return health("Progressing")
