import { describe, expect, test } from "vitest";
import {
  clientViewOf,
  parseSessions,
  parseStat,
  proxyViewOf,
  silenceOf,
} from "../../../recovery/observe/proxy-stat.ts";

/** Of haproxy 2.6.12, shortened to the columns that matter and one that does not. */
const header =
  "# pxname,svname,scur,status,weight,check_status,last_chk,check_rise,check_fall,check_health,addr,";
const rows = [
  "shard1,FRONTEND,0,OPEN,,,,,,,,",
  "shard1,redis1,0,no check,1,,,,,,10.42.1.11:9001,",
  "shard1,redis2,0,MAINT,1,,,,,,10.42.2.12:9001,",
  "shard1,hold,0,no check,1,,,,,,127.0.0.1:1,",
  "probe1,redis1,0,UP,1,* L7OK,(tcp-check),2,3,4,10.42.1.11:9001,",
  "probe1,redis2,0,DOWN,1,L4CON,Connection refused at step 1 of tcp-check (connect),2,3,0,10.42.2.12:9001,",
  "registered,self,0,no check,1,,,,,,127.0.0.1:1,",
  "health,FRONTEND,0,OPEN,,,,,,,,",
];
const csv = (lines = rows) => [header, ...lines, ""].join("\n");
const viewOf = (lines = rows) =>
  proxyViewOf(parseStat(csv(lines)), [1], (_, failing) => (failing ? 42 : undefined));

describe("show stat", () => {
  test("becomes the proxy's view", () => {
    expect(viewOf()).toEqual({
      registered: true,
      frontends: { health: "open", shard1: "open" },
      holds: { 1: { address: "127.0.0.1", port: 1, ready: true, maintenance: false } },
      shards: {
        1: {
          redis1: {
            traffic: { address: "10.42.1.11", port: 9001, ready: true, maintenance: false },
            probe: {
              address: "10.42.1.11",
              port: 9001,
              ready: true,
              maintenance: false,
              look: { state: "up" },
            },
          },
          redis2: {
            traffic: { address: "10.42.2.12", port: 9001, ready: false, maintenance: true },
            probe: {
              address: "10.42.2.12",
              port: 9001,
              ready: true,
              maintenance: false,
              look: { state: "down", silence: "refused", sinceMs: 42 },
            },
          },
        },
      },
    });
  });

  test.each([
    ["UP 2/3", "L7TOUT", 3, { state: "failing", silence: "stalled", sinceMs: 42 }],
    ["DOWN", "L4TOUT", 0, { state: "down", silence: "silent", sinceMs: 42 }],
    ["DOWN 1/2", "L7OK", 1, { state: "failing", silence: undefined, sinceMs: undefined }],
    ["MAINT", "", 0, { state: "none" }],
  ])("a probe that is %s with %s", (status, check, health, look) => {
    const lines = rows.with(5, `probe1,redis2,0,${status},1,${check},,2,3,${health},10.42.2.12:9001,`);
    expect(viewOf(lines).shards[1]?.redis2.probe.look).toEqual(look);
  });

  // As haproxy 2.6.12 has it after `state maint`, `state drain`, `weight 0`, `health down`, and `weight 50` by hand.
  test.each([
    ["MAINT", 1, { ready: false, maintenance: true }],
    ["DRAIN", 1, { ready: false, maintenance: false }],
    ["no check", 0, { ready: false, maintenance: false }],
    ["DOWN", 1, { ready: false, maintenance: false }],
    ["no check", 50, { ready: true, maintenance: false }],
  ])("a line that is %s with a weight of %s", (status, weight, line) => {
    const cells = `0,${status},${weight},,,,,,127.0.0.1:1,`;
    const view = viewOf(
      rows
        .with(1, `shard1,redis1,${cells}`)
        .with(3, `shard1,hold,${cells}`)
        .with(6, `registered,self,${cells}`),
    );
    expect(view.shards[1]?.redis1.traffic).toMatchObject(line);
    expect(view.holds[1]).toMatchObject(line);
    expect(view.registered).toBe(line.ready);
  });

  test("a probe that drains still probes", () => {
    const drains = "probe1,redis1,0,DRAIN,1,* L7OK,(tcp-check),2,3,4,10.42.1.11:9001,";
    expect(viewOf(rows.with(4, drains)).shards[1]?.redis1.probe).toMatchObject({
      ready: true,
      look: { state: "up" },
    });
  });

  test.each([
    ["PAUSED", "paused"],
    ["STOP", "shut"],
  ])("a frontend that is %s is %s", (status, state) => {
    const { frontends } = viewOf(rows.with(0, `shard1,FRONTEND,0,${status},,,,,,,,`));
    expect(frontends).toEqual({ health: "open", shard1: state });
  });

  test("app uses no proxy that says that it leaves, although that answers", () => {
    const proxy = (name: string, status: string, check: string) =>
      `proxies,${name},0,${status},1,${check},,1,3,3,10.42.1.21:8900,`;
    const lines = [proxy("haproxy1", "NOLB", "L7OKC"), proxy("haproxy2", "UP", "L7OK")];
    const view = clientViewOf(parseStat(csv(lines)).servers, () => undefined);
    expect(view.haproxy1).toMatchObject({ look: { state: "up" }, usable: false });
    expect(view.haproxy2).toMatchObject({ look: { state: "up" }, usable: true });
  });

  test("a process that was reloaded is leaving", () => {
    expect(parseStat(csv()).leaving).toBe(false);
    const stopped = rows.map((row) => row.replace("OPEN", "STOP"));
    expect(parseStat(csv(stopped)).leaving).toBe(true);
    expect(parseStat(csv(stopped.with(7, "health,FRONTEND,0,OPEN,,,,,,,,"))).leaving).toBe(false);
  });

  test("a probe that the proxy could not even begin says nothing about the server", () => {
    const line = "probe1,redis2,0,DOWN,1,SOCKERR,Socket error,2,3,0,10.42.2.12:9001,";
    expect(viewOf(rows.toSpliced(5, 1, line)).shards[1]?.redis2.probe.look).toEqual({ state: "none" });
  });

  test("what is missing is named", () => {
    expect(() => viewOf(rows.toSpliced(6, 1))).toThrow('haproxy has no server "registered/self"');
    expect(() => viewOf(rows.toSpliced(7, 1))).toThrow('haproxy has no frontend "health"');
    expect(() => parseStat("# pxname,svname\nshard1,redis1\n")).toThrow('no column "addr"');
  });
});

test.each([
  ["L4CON", "Connection refused", "refused"],
  ["L4CON", "No route to host", "silent"],
  ["L4TOUT", "", "silent"],
  ["L7TOUT", "at step 3", "stalled"],
  ["L7RSP", "", "stalled"],
  ["L7OK", "", undefined],
  ["INI", "", undefined],
])("the kind of silence behind %s (%s) is %s", (check, detail, silence) => {
  expect(silenceOf(check, detail)).toBe(silence);
});

describe("show sess", () => {
  const line = (id: string, server: string, scb: string) =>
    `${id}: proto=tcpv4 src=127.0.0.1:1 fe=shard1 be=shard1 srv=${server} ts=00 epoch=0 age=1s rq[f=8h] rp[f=8h] scf=[8,0h,fd=13] ${scb}=[STATE,1h,fd=14] exp=1h`;

  test("tells the established sessions from those that still try", () => {
    const text = [
      line("0xa1", "redis1", "scb").replace("STATE", "8"),
      line("0xa2", "redis1", "scb").replace("STATE", "5"),
      line("0xa3", "hold", "s1").replace("STATE", "3"),
      "0xb1: proto=tcpv4 src=1.2.3.4:5 fe=GLOBAL be=<NONE> srv=<none> ts=00 scf=[8,0h,fd=16] scb=[8,1h,fd=-1] exp=",
      "",
    ].join("\n");
    expect(parseSessions(text)).toEqual([
      { id: "0xa1", backend: "shard1", server: "redis1", established: true },
      { id: "0xa2", backend: "shard1", server: "redis1", established: false },
      { id: "0xa3", backend: "shard1", server: "hold", established: false },
      { id: "0xb1", backend: "<NONE>", server: "<none>", established: true },
    ]);
  });
});
