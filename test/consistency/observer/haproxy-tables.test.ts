import { expect, test } from "vitest";
import { enabledServers, usedProxies } from "./haproxy-tables.ts";

const csv = (...rows: string[]) => ["# pxname,svname,scur,status,addr", ...rows, "", ""].join("\n");
/** A session of `show sess`, whose server side is in this state: 8 is connected, 4 and 5 are trying. */
const session = (backend: string, server: string, state: number) =>
  `0x55aa: proto=tcpv4 src=127.0.0.1:5 fe=${backend} be=${backend} srv=${server} ts=00 epoch=0 age=2s calls=2 ` +
  `rate=0 cpu=0 lat=0 rq[f=848000h,i=0,an=00h,rx=,wx=,ax=] scf=[8,20h,fd=17] scb=[${state},118h,fd=18] exp= rc=0 c_exp=\n`;

test("the servers that a proxy lets traffic go to; `hold` and the probes are none", () => {
  expect(
    enabledServers(
      csv(
        "shard1,FRONTEND,3,OPEN,",
        "shard1,redis1,0,MAINT,127.0.0.1:1",
        "shard1,redis2,2,no check,10.0.0.2:9001",
        "shard1,hold,0,no check,127.0.0.1:1",
        "probe1,redis1,0,UP,10.0.0.1:9001",
        "shard2,redis1,0,MAINT,127.0.0.1:1",
        "shard2,redis2,0,MAINT,127.0.0.1:1",
      ),
    ),
  ).toEqual({ 1: ["redis2"], 2: [] });
});

test("a server that was taken out is reached as long as somebody is connected with it, not who tries in vain", () => {
  const lines = csv("shard1,redis1,1,MAINT,x", "shard1,redis2,0,no check,y");
  expect(enabledServers(lines + session("shard1", "redis1", 8))).toEqual({ 1: ["redis1", "redis2"] });
  expect(enabledServers(lines + session("shard1", "redis1", 5))).toEqual({ 1: ["redis2"] });
  expect(enabledServers(lines + session("shard2", "redis1", 8))).toEqual({ 1: ["redis2"] });
});

test("app uses the first proxy that is up, and any that still has its clients", () => {
  expect(usedProxies(csv("shard1,haproxy1,0,UP,x", "shard1,haproxy2,0,UP,y"))).toEqual({ 1: ["haproxy1"] });
  expect(usedProxies(csv("shard1,haproxy1,0,DOWN,x", "shard1,haproxy2,0,UP,y"))).toEqual({
    1: ["haproxy2"],
  });
  expect(
    usedProxies(
      csv("shard1,haproxy1,0,UP,x", "shard1,haproxy2,4,UP,y", "shard1,hold,0,no check,") +
        session("shard1", "haproxy2", 8),
    ),
  ).toEqual({ 1: ["haproxy1", "haproxy2"] });
});
