/**
 * Real haproxy and redis in a network namespace of their own: few local ports, lost packets, slow readers, more clients than there is
 * room for. The settings of the kernel are those of the image (network.conf).
 */
import { type ChildProcess, execFileSync } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { clientProxyConfig } from "../../infra/roles/app/role.ts";
import {
  connectionValues,
  kernelPorts,
  networkFile,
  proxyConfig,
  sourcePorts,
} from "../../infra/roles/haproxy/role.ts";
import {
  cutScript,
  detection,
  end,
  keepScript,
  passwords,
  runtimeApi,
  stats,
  until,
  Workbench,
} from "./servers.ts";

const bench = new Workbench();
const space = `barton-connections-${process.pid}`;
const redis = "127.0.1.1";
const proxy = "127.0.1.2";
/** One with room for few clients. */
const small = "127.0.1.5";
const ports = { redis: 9001, proxy: 8001, client: 7001, runtime: 8999, health: 8900 };
/** Instead of 20 000. */
const roomFor = 40;

const isPossible = process.getuid?.() === 0 && canHaveNamespaces();

function canHaveNamespaces(): boolean {
  try {
    execFileSync("ip", ["netns", "add", space], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const inside = (...command: string[]) =>
  execFileSync("ip", ["netns", "exec", space, ...command], { encoding: "utf8", maxBuffer: 1 << 26 });
const start = (...command: string[]) => bench.start("ip", ["netns", "exec", space, ...command]);
const socketOf = (address: string) => `${bench.folder}/${address}.sock`;
const scur = async (name: string, address = proxy) => Number((await stats(socketOf(address)))(name).scur);

/** A client program inside, which prints one line of JSON when it is done. */
function client(script: string): { process: ChildProcess; done: Promise<unknown> } {
  const child = start(process.execPath, "-e", `const {connect}=require("node:net");${script}`);
  let said = "";
  child.stdout?.on("data", (text) => {
    said += text;
  });
  return { process: child, done: once(child, "exit").then(() => JSON.parse(said)) };
}

const login = `AUTH client ${passwords.clientPassword}\\r\\n`;

/** `count` connections that stay idle until the process gets SIGTERM; then it prints how many of them have ended. */
const standing = (count: number, host = proxy) =>
  client(`let gone=0;for(let i=0;i<${count};i++)connect(${ports.proxy},"${host}",function(){this.write("${login}")})
    .on("data",()=>{}).on("error",()=>{}).on("close",()=>gone++);
    process.on("SIGTERM",()=>{console.log(gone);process.exit(0)});setInterval(()=>{},1000)`);

/** A proxy whose master is the redis server, registered. */
async function startProxy(address: string, change: (config: string) => string): Promise<void> {
  const adminSocket = socketOf(address);
  const config = proxyConfig({
    shards: [{ index: 1, proxyPort: ports.proxy }],
    detection,
    adminSocket,
    runtimeBind: `${address}:${ports.runtime}`,
    healthBind: `${address}:${ports.health}`,
    proxyBind: address,
    keepScript,
    keptIn: "/nonexistent",
  });
  start("haproxy", "-db", "-f", bench.write(`${address}.cfg`, change(config)));
  await until(
    "haproxy",
    () => runtimeApi(adminSocket, "show info"),
    (text) => text.includes("Uptime"),
  );
  await runtimeApi(adminSocket, `set server shard1/redis1 addr ${redis} port ${ports.redis}`);
  await runtimeApi(adminSocket, "set server shard1/redis1 state ready");
  await runtimeApi(adminSocket, "set server registered/self state ready");
}

beforeAll(async () => {
  if (!isPossible) return;
  inside("ip", "link", "set", "lo", "up");
  for (const [, name = "", value = ""] of networkFile.content.matchAll(/^-?(net\S+) = (.*)$/gm))
    inside("sysctl", "-q", "-w", `${name}=${value}`);
  await end(bench.startRedis("redis", redis, ports.redis));
  start("redis-server", `${bench.folder}/redis.conf`, "--replicaof", "no", "one");
  await startProxy(proxy, (config) => config);
  const app = clientProxyConfig({
    shards: [{ index: 1, clientPort: ports.client, proxyPort: ports.proxy, redisPort: ports.redis }],
    detection,
    adminSocket: `${bench.folder}/app.sock`,
    runtimeBind: `127.0.1.3:${ports.runtime}`,
    clientBind: "127.0.0.1",
    resolver: "127.0.0.1:53",
    haproxy1: proxy,
    haproxy2: "127.0.1.4",
    healthPort: ports.health,
    cutScript,
  })
    .replaceAll("init-addr none", "init-addr libc")
    .replaceAll(" resolvers vpc resolve-prefer ipv4", "");
  start("haproxy", "-db", "-f", bench.write("app.cfg", app));
}, 30_000);
afterAll(async () => {
  await bench.close();
  if (isPossible) execFileSync("ip", ["netns", "del", space]);
});

test.skipIf(!isPossible)(
  "five times more short connections than the kernel has local ports: no error, standing sessions go on",
  async () => {
    inside("sysctl", "-q", "-w", "net.ipv4.ip_local_port_range=40000 40400");
    const idle = standing(20);
    await until(
      "20 sessions",
      () => scur("shard1/redis1"),
      (count) => count === 20,
    );
    // Eight lanes of 250 connections each. The clients name their ports, so that they do not lack any themselves.
    const short = client(`let errors=0,ok=0,left=8;
      const run=(lane,n)=>{if(n===250){if(--left===0)console.log(JSON.stringify({ok,errors}));return}
        let got="";const s=connect({port:${ports.client},host:"127.0.0.1",localPort:45000+lane*250+n});
        s.on("data",d=>{got+=d;if(got.includes("PONG")){ok++;s.end()}}).on("error",()=>errors++)
         .on("close",()=>{if(!got.includes("PONG"))errors++;run(lane,n+1)});
        s.write("${login}PING\\r\\n")};
      for(let lane=0;lane<8;lane++)run(lane,0)`);
    const account = await short.done;
    inside("sysctl", "-q", "-w", `net.ipv4.ip_local_port_range=${kernelPorts.first} ${kernelPorts.last}`);
    expect(account).toEqual({ ok: 2000, errors: 0 });
    idle.process.kill("SIGTERM");
    expect(await idle.done).toBe(0);
  },
  60_000,
);

test.skipIf(!isPossible)(
  "a proxy that is full: those inside are undisturbed, the health page answers, and who comes waits until somebody leaves",
  async () => {
    await startProxy(small, (config) => config.replace(/^ {2}maxconn 20000$/m, `  maxconn ${roomFor}`));
    const first = standing(roomFor, small);
    await until(
      "a full shard",
      () => scur("shard1/FRONTEND", small),
      (count) => count === roomFor,
    );
    const waiting = client(`let got="";const s=connect(${ports.proxy},"${small}");
      s.on("data",d=>{got+=d;if(got.includes("PONG")){console.log('"served"');process.exit(0)}}).on("error",e=>console.log(JSON.stringify(e.code)));
      s.write("${login}PING\\r\\n")`);
    let served = false;
    waiting.done.then(() => {
      served = true;
    });
    for (let i = 0; i < 10; i += 1) {
      expect(inside("curl", "-sS", "-m", "1", `http://${small}:${ports.health}/`)).toBe("registered\n");
      await new Promise((next) => setTimeout(next, 100));
    }
    expect(served).toBe(false);
    first.process.kill("SIGTERM");
    expect(await first.done).toBe(0);
    expect(await waiting.done).toBe("served");
  },
  30_000,
);

test.skipIf(!isPossible)(
  "all shards together are below the limit of the process, and there are more local ports than connections",
  () => {
    for (const shards of [1, 2, 10, 100]) {
      const { connectionsMax, processConnectionsMax } = connectionValues(shards);
      expect(processConnectionsMax - shards * connectionsMax).toBe(1000);
      expect(2 * processConnectionsMax).toBeLessThan(1_048_576);
      expect(sourcePorts.last - sourcePorts.first).toBeGreaterThan(connectionsMax);
    }
    expect(sourcePorts.last).toBeLessThan(kernelPorts.first);
  },
);

test.skipIf(!isPossible)(
  "a hundred forgotten sessions of the runtime API leave room for recovery, and end by themselves",
  async () => {
    const open =
      client(`let gone=0,n=0;const s=[];for(let i=0;i<100;i++)s.push(connect(${ports.runtime},"${proxy}",()=>n++)
    .on("error",()=>{}).on("data",()=>{}).on("close",()=>{if(++gone===100)console.log(JSON.stringify({n,gone}))}));`);
    const ask = () =>
      client(`let got="";const s=connect(${ports.runtime},"${proxy}");setTimeout(()=>s.destroy(),1000);
      s.on("data",d=>got+=d).on("error",()=>{}).on("close",()=>console.log(JSON.stringify(got)));s.write("show info\\n")`)
        .done;
    for (let i = 0; i < 10; i += 1) {
      expect(await ask()).toContain("Uptime");
      await new Promise((next) => setTimeout(next, 50));
    }
    expect(await open.done).toEqual({ n: 100, gone: 100 });
  },
  30_000,
);

test.skipIf(!isPossible)("a client on ::1 is served", async () => {
  const served = client(`let got="";const s=connect(${ports.client},"::1");
    s.on("data",d=>{got+=d;if(got.includes("PONG")){console.log('"served"');process.exit(0)}}).on("error",e=>console.log(JSON.stringify(e.code)));
    s.write("${login}PING\\r\\n")`);
  expect(await served.done).toBe("served");
});

test.skipIf(!isPossible)(
  "with one packet of ten lost idle sessions stay; a client that reads with pauses of 15 s gets all; a dead peer goes within 16 s",
  async () => {
    inside(
      "redis-cli",
      "-h",
      redis,
      "-p",
      `${ports.redis}`,
      "--user",
      "client",
      "-a",
      passwords.clientPassword,
      "--no-auth-warning",
      "setrange",
      "large",
      "30000000",
      "x",
    );
    const idle = standing(200);
    await until(
      "200 sessions",
      () => scur("shard1/redis1"),
      (count) => count === 200,
      20_000,
    );
    const slow = client(`let bytes=0;const s=connect(${ports.proxy},"${proxy}");let pauses=0;
      s.on("data",d=>{bytes+=d.length;if(pauses<2&&bytes>1e7*(pauses+0.1)){pauses++;s.pause();setTimeout(()=>s.resume(),15000)}
        if(bytes>=30000001){console.log(bytes>=30000001);process.exit(0)}})
       .on("error",()=>{}).on("close",()=>{console.log(bytes);process.exit(0)});
      s.write("${login}GET large\\r\\n")`);
    inside("nft", "add table inet loss");
    inside("nft", "add chain inet loss in { type filter hook input priority 0; }");
    inside(
      "nft",
      "add rule inet loss in ip saddr 127.0.1.0/24 tcp sport { 8001, 9001 } numgen random mod 100 < 10 drop",
    );
    inside("nft", "add rule inet loss in tcp dport { 8001, 9001 } numgen random mod 100 < 10 drop");
    expect(await slow.done).toBe(true);
    inside("nft", "flush table inet loss");
    // The slow client's own session may still be on its way to its end.
    await until(
      "the end of the slow client's session",
      () => scur("shard1/redis1"),
      (count) => count <= 200,
    );
    expect(await scur("shard1/redis1")).toBe(200);
    // Now nobody is heard any more at the clients' door.
    inside("nft", `add rule inet loss in tcp dport ${ports.proxy} drop`);
    inside("nft", `add rule inet loss in tcp sport ${ports.proxy} drop`);
    const silentMs = Date.now();
    await until(
      "the end of dead sessions",
      () => scur("shard1/redis1"),
      (count) => count === 0,
      25_000,
    );
    expect(Date.now() - silentMs).toBeLessThan(17_000);
    inside("nft", "delete table inet loss");
    idle.process.kill("SIGTERM");
    await idle.done;
  },
  150_000,
);
