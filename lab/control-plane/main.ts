/**
 * The control plane of one lab: `node main.ts LAB`, inside the lab's network namespace (lab/control.ts starts it).
 * It may be killed at any moment. Machines run on, and the next control plane takes them over.
 */
import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import type { Server } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { labNamed, metadataAddress } from "../lab.ts";
import { AutoScaling } from "./autoscaling.ts";
import { enterCgroup } from "./cgroups.ts";
import { Cloud } from "./cloud.ts";
import { Faults } from "./faults.ts";
import { Lifecycle } from "./lifecycle.ts";
import { prepareNamespace } from "./network.ts";
import { Resources } from "./resources/index.ts";
import { createDoors } from "./server.ts";
import { World } from "./world.ts";

/** How often machines and resolvers are looked after, in milliseconds. */
const watchMs = 200;

const lab = labNamed(process.argv[2]);
const log = (line: string) => console.log(`${new Date().toISOString()} ${line}`);

process.on("unhandledRejection", (error) => log(`error: ${(error as Error)?.stack ?? error}`));

for (const folder of [lab.dir, lab.instancesDir, lab.imagesDir, lab.stateDir]) {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
}
enterCgroup(`${lab.cgroup}/control`, process.pid);
await prepareNamespace();

const cloud = new Cloud(lab, log);
const lifecycle = new Lifecycle(cloud);
const autoScaling = new AutoScaling(cloud, lifecycle);
const doors = createDoors({
  cloud,
  resources: new Resources(cloud, lifecycle),
  faults: new Faults(cloud, lifecycle),
  world: new World(cloud, lifecycle),
});

// Only one process can listen there: a second control plane ends here, before it has touched anything.
await listening(doors.machines, () => doors.machines.listen(80, metadataAddress)).catch((error: Error) => {
  log(`this control plane (pid ${process.pid}) ends: ${error.message}; is there another one?`);
  process.exit(1);
});
log(`control plane of lab ${lab.name} (pid ${process.pid})`);
await cloud.converge();
let resumed = false;
void lifecycle.resume().then(() => {
  resumed = true;
  log("ready");
});

rmSync(lab.socket, { force: true });
await listening(doors.host, () => doors.host.listen(lab.socket));
chmodSync(lab.socket, 0o600);
writeFileSync(lab.pidFile, `${process.pid}\n`);

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
  process.on(signal, () => {
    log(`${signal}: the control plane ends, machines run on`);
    rmSync(lab.socket, { force: true });
    process.exit(0);
  });
}

for (;;) {
  await delay(watchMs);
  lifecycle.watch();
  if (resumed) autoScaling.watch();
  if (!cloud.resolversRun) await cloud.converge().catch((error: Error) => log(`error: ${error.message}`));
}

function listening(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("listening", resolve);
    server.once("error", reject);
    listen();
  });
}
