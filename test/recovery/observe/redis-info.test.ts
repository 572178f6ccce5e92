import { describe, expect, test } from "vitest";
import { idleSecondsByAddress, parseRedisInfo } from "../../../recovery/observe/redis-info.ts";

const info = (fields: Record<string, string | number>) =>
  ["# Server", ...Object.entries(fields).map(([name, value]) => `${name}:${value}`), ""].join("\r\n");

const master = {
  run_id: "abc",
  role: "master",
  loading: 0,
  async_loading: 0,
  aof_last_write_status: "ok",
  master_repl_offset: 1234,
};
const replica = {
  ...master,
  role: "slave",
  master_host: "10.42.1.11",
  master_port: 9001,
  master_link_status: "up",
  master_sync_in_progress: 0,
  slave_repl_offset: 1200,
};

describe("INFO", () => {
  test("of a master", () => {
    expect(parseRedisInfo(info(master))).toEqual({
      runId: "abc",
      role: "master",
      loading: false,
      offset: 1234,
      acknowledgedBy: [],
    });
  });

  test("of a master: who acknowledged lately", () => {
    const replicas = {
      slave0: "ip=10.42.1.12,port=9001,state=online,offset=1234,lag=1",
      slave1: "ip=10.42.1.13,port=9001,state=online,offset=1200,lag=2",
      slave2: "ip=10.42.1.14,port=9001,state=wait_bgsave,offset=0,lag=0",
    };
    expect(parseRedisInfo(info({ ...master, ...replicas }))).toMatchObject({
      acknowledgedBy: ["10.42.1.12"],
    });
  });

  test("of a replica: whom it follows, and what it has received", () => {
    expect(parseRedisInfo(info(replica))).toEqual({
      runId: "abc",
      role: "replica",
      loading: false,
      offset: 1200,
      follows: { host: "10.42.1.11", port: 9001, linkUp: true, syncing: false },
    });
  });

  test("of a replica that is receiving or loading its copy", () => {
    const text = info({ ...replica, master_link_status: "down", master_sync_in_progress: 1, loading: 1 });
    expect(parseRedisInfo(text)).toMatchObject({ loading: true, follows: { linkUp: false, syncing: true } });
  });

  test("of a server whose disk is full", () => {
    expect(parseRedisInfo(info({ ...master, aof_last_write_status: "err" }))).toMatchObject({
      refusesWrites: true,
    });
  });

  test("a missing field is named", () => {
    expect(() => parseRedisInfo(info({ role: "master" }))).toThrow('INFO lacks the field "loading"');
  });
});

test("CLIENT LIST tells how long ago the sessions of an address were last active", () => {
  const line = (address: string, idle: number) =>
    `id=3 addr=${address}:51 laddr=10.42.1.11:9001 fd=8 name= age=9 idle=${idle} flags=N`;
  const list = [line("10.42.1.21", 7), line("10.42.1.21", 2), line("10.42.2.22", 0), ""].join("\n");
  expect(idleSecondsByAddress(list, ["10.42.1.21", "10.42.9.9"])).toEqual({ "10.42.1.21": 2 });
});
