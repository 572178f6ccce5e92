/** What each fault does to the model, and the end of all faults. */
import { counterpartOf, type MachineName, redisMachines } from "../../../recovery/topology.ts";
import type { HaProxy } from "../proxy.ts";
import type { RedisServer } from "../redis-server.ts";
import type { Simulation } from "../simulation.ts";
import { type Instance, isOneOf, type World } from "../world.ts";
import { describeFault, type Fault, type FaultOf, type RedisTarget, type Target } from "./fault.ts";

type Injectors = { [Name in Fault["fault"]]: (simulation: Simulation, fault: FaultOf<Name>) => void };

/** Lets the fault happen now. */
export function inject(simulation: Simulation, fault: Fault): void {
  simulation.world.say(() => `FAULT: ${describeFault(fault)}`);
  (injectors[fault.fault] as (simulation: Simulation, fault: Fault) => void)(simulation, fault);
}

const injectors: Injectors = {
  crash({ world }, { machine, shard, forMs }) {
    for (const process of processesOf(currentOf(world, machine), shard)) {
      if (!process.running) continue;
      process.crash();
      if (forMs !== undefined) world.scheduler.in(forMs, () => process.start());
    }
  },
  hang({ world }, { machine, shard, forMs }) {
    for (const process of processesOf(currentOf(world, machine), shard)) {
      process.hung = true;
      world.scheduler.in(forMs, () => world.goOn(process));
    }
  },
  vanish({ world }, { machine, forMs }) {
    const instance = currentOf(world, machine);
    instance.vanished = true;
    world.scheduler.in(forMs, () => {
      if (instance.vanished) world.say(() => `${instance.id} is back on the network`);
      instance.vanished = false;
    });
  },
  "power off"({ world }, { machine, forMs }) {
    const instance = currentOf(world, machine);
    if (!instance.on) return;
    // A machine that comes back by itself has never left the cloud's list.
    world.cutPower(instance, forMs === undefined ? "stopped" : "running");
    if (forMs !== undefined) world.scheduler.in(forMs, () => world.boot(instance));
  },
  terminate({ world }, { machine }) {
    const instance = currentOf(world, machine);
    world.terminate(instance, "fault", world.random.int(2, 600));
  },
  cut({ world }, { from, to, direction, forMs }) {
    const ends = to.flatMap((other) => [
      cut(world, from, other),
      ...(direction === "both" ? [cut(world, other, from)] : []),
    ]);
    world.scheduler.in(forMs, () => {
      for (const end of ends) end();
    });
  },
  cloud({ world, cloud }, { mood, forMs }) {
    cloud.mood.api = mood;
    world.scheduler.in(forMs, () => {
      cloud.mood.api = "well";
    });
  },
  "late cloud"({ world }, { lagMs }) {
    world.cloudLagMs = lagMs;
  },
  engine({ world, cloud }, { mood, forMs }) {
    cloud.mood.engine = mood;
    world.scheduler.in(forMs, () => {
      cloud.mood.engine = "well";
    });
  },
  "no capacity"({ world, cloud }, { forMs }) {
    cloud.mood.isFull = true;
    world.scheduler.in(forMs, () => {
      cloud.mood.isFull = false;
    });
  },
  "no names"({ world }, { forMs }) {
    world.isDnsDown = true;
    world.scheduler.in(forMs, () => {
      world.isDnsDown = false;
    });
  },
  "kill the monitor"(simulation, { forMs, afterSteps }) {
    if (afterSteps === undefined) simulation.killMonitor(forMs);
    else simulation.dying = { afterSteps, forMs };
  },
  "stop the monitor"({ world, monitor }, { forMs }) {
    monitor?.stop();
    world.scheduler.in(forMs, () => monitor?.goOn());
  },
  "lose the memory"(simulation, { how, forMs }) {
    simulation.killMonitor(forMs);
    const disk = simulation.diskOf(simulation.world.current("monit"));
    if (how === "gone") disk.clear();
    else disk.damage(how === "cut off" ? cutOff : otherValues);
    simulation.world.checks.memoryLost();
  },
  "lose monit"(simulation, { forMs }) {
    simulation.loseMonit(forMs);
  },
  "second monitor"(simulation, { forMs }) {
    simulation.startSecond(forMs);
  },
  "monit's disk is full"(simulation, { forMs }) {
    const disk = simulation.diskOf(simulation.world.current("monit"));
    disk.isFull = true;
    simulation.world.scheduler.in(forMs, () => {
      disk.isFull = false;
    });
  },
  "other program"({ world, cloud }, { forMs }) {
    cloud.mood.differs = "the last up ran another program";
    world.scheduler.in(forMs, () => {
      cloud.mood.differs = undefined;
    });
  },
  "lose probes"({ world }, { share, forMs }) {
    world.probeLoss = share;
    world.scheduler.in(forMs, () => {
      world.probeLoss = 0;
    });
  },
  "slow replication"({ world }, { machine, forMs }) {
    const { id } = currentOf(world, machine);
    world.slow.add(id);
    world.scheduler.in(forMs, () => world.slow.delete(id));
  },
  "backlog overflow"({ world }, { shard }) {
    const master = world.checks.promotedOf(shard);
    if (!master) return;
    master.overflow();
    for (const { servers } of world.instances) servers[shard - 1]?.breakLink();
  },
  "redis disk is full"({ world }, { machine, forMs }) {
    for (const server of currentOf(world, machine).servers) {
      server.isDiskFull = true;
      world.scheduler.in(forMs, () => {
        server.isDiskFull = false;
      });
    }
  },
  "refuses recovery"({ world }, { machine, why, forMs }) {
    for (const server of currentOf(world, machine).servers) {
      server.refuses = why;
      world.scheduler.in(forMs, () => {
        server.refuses = undefined;
      });
    }
  },
  "hang in a batch"({ world }, { machine, forMs }) {
    for (const process of processesOf(currentOf(world, machine))) process.hangsInBatchMs = forMs;
  },
  "late packets"({ world }, { machine, upToMs, forMs }) {
    const { id } = currentOf(world, machine);
    world.lagMs.set(id, upToMs);
    world.scheduler.in(forMs, () => world.lagMs.delete(id));
  },
  "late connections"({ world }, { share, upToMs, forMs }) {
    world.lateConnections = { share, upToMs };
    world.scheduler.in(forMs, () => {
      world.lateConnections = { share: 0, upToMs: 0 };
    });
  },
  "frontend shut"({ world }, { proxy, shard, state }) {
    const { proxy: process } = world.current(proxy);
    if (process?.serves) process.closed.set(shard === undefined ? "health" : `shard${shard}`, state);
  },
  "clock jump"({ world }, { minutes }) {
    world.scheduler.wallOffsetMs += minutes * 60_000;
  },
  "order failover"({ world, monitor }, { machine }) {
    world.hasOrders = true;
    monitor?.order(nameOf(world, machine));
  },
  "order switchover"({ world, monitor }, { shard, to }) {
    world.hasOrders = true;
    monitor?.orderSwitch(shard, redisNameOf(world, to, shard));
  },
  "pause recovery"(simulation, { forMs }) {
    simulation.pause(forMs);
  },
  "REPLICAOF by hand"({ world }, { machine, shard, master }) {
    world.isCareless = true;
    const name = redisNameOf(world, machine, shard);
    const server = world.current(name).servers[shard - 1];
    if (!server?.serves || server.loading) return;
    if (master === "nobody") server.promote("a person");
    else if (master === "a stranger") server.follow("10.42.99.99", 6_379, "a person");
    else server.follow(world.current(counterpartOf(name)).address, world.redisPort(shard), "a person");
  },
  "proxy changed by hand"({ world }, { proxy, shard, machine, state }) {
    world.isCareless = true;
    const name = redisNameOf(world, machine, shard);
    const { proxy: process } = world.current(proxy);
    if (process?.serves) process.changeByHand(shard, name, state);
  },
  "proxy unregistered by hand"({ world }, { proxy }) {
    const { proxy: process } = world.current(proxy);
    if (process?.serves) process.registered = false;
  },
};

/** Ends everything that goes on by itself: links, stopped processes and machines, the cloud's moods. */
export function healAll(simulation: Simulation): void {
  const { world, cloud } = simulation;
  world.say(() => "HEALED: all faults are over");
  world.blocked.clear();
  world.slow.clear();
  world.isDnsDown = false;
  world.cloudLagMs = 0;
  world.probeLoss = 0;
  world.lagMs.clear();
  world.lateConnections = { share: 0, upToMs: 0 };
  simulation.endAll();
  Object.assign(cloud.mood, { api: "well", engine: "well", isFull: false, differs: undefined });
  for (const instance of world.instances) {
    instance.vanished = false;
    // What the cloud was late with is overtaken.
    world.setState(instance, instance.state);
    const isOff = instance.state === "stopped" || (instance.state === "running" && !instance.on);
    if (isOff && instance === world.current(instance.machine)) world.boot(instance);
    for (const server of instance.servers) {
      server.isDiskFull = false;
      server.refuses = undefined;
    }
    for (const process of processesOf(instance)) {
      process.hangsInBatchMs = undefined;
      world.goOn(process);
      process.start();
    }
  }
  // The hour of the budget passes.
  world.scheduler.wallOffsetMs += 7_200_000;
  simulation.reviveMonitor();
}

/** As a file system does that loses what was not flushed. */
const cutOff = (text: string) => text.slice(0, text.length / 2);

/** Valid JSON, but not what was written. */
const otherValues = (text: string) =>
  text.replaceAll(/:\s*\d+/g, ': "abc"').replaceAll(/:\s*"i-[^"]*"/g, ": null");

function cut(world: World, from: Target, to: Target): () => void {
  const pair = `${currentOf(world, from).id}>${currentOf(world, to).id}`;
  world.blocked.add(pair);
  return () => world.blocked.delete(pair);
}

function currentOf(world: World, target: Target): Instance {
  return world.current(nameOf(world, target));
}

function nameOf(world: World, target: Target): MachineName {
  return target === "the master" || target === "the replica" ? redisNameOf(world, target, 1) : target;
}

function redisNameOf(world: World, target: RedisTarget, shard: number) {
  if (target !== "the master" && target !== "the replica") return target;
  const name = world.checks.promotedOf(shard)?.instance.machine ?? "redis1";
  const master = isOneOf(redisMachines, name) ? name : "redis1";
  return target === "the master" ? master : counterpartOf(master);
}

/** The processes of a machine, or its server of one shard alone. */
function processesOf({ servers, proxy }: Instance, shard?: number): (RedisServer | HaProxy)[] {
  if (proxy) return [proxy];
  return shard === undefined ? servers : servers.filter((server) => server.shard === shard);
}
