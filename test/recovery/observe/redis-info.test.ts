import { describe, expect, test } from "vitest";
import {
  idleSecondsByAddress,
  parseRedisInfo,
  refusalOf,
  sessionIdsFrom,
} from "../../../recovery/observe/redis-info.ts";

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

const sessions = [
  "id=3 addr=10.42.1.21:40000 laddr=10.42.1.11:9001 fd=8 name= age=5 idle=5 flags=b db=0 cmd=blpop user=client",
  "id=4 addr=10.42.1.210:40001 laddr=10.42.1.11:9001 fd=9 name= age=5 idle=5 flags=b db=0 cmd=blpop user=client",
  "id=5 addr=10.42.2.22:40002 laddr=10.42.1.11:9001 fd=9 name=addr=10.42.1.21:1 age=5 idle=5 flags=N db=0 cmd=get",
  "id=16 addr=10.42.1.21:40003 laddr=10.42.1.11:9001 fd=9 name= age=5 idle=0 flags=P db=0 cmd=subscribe",
  "",
].join("\n");

test("sessions are found by the whole address, whatever they do", () => {
  expect(sessionIdsFrom(sessions, "10.42.1.21")).toEqual(["3", "16"]);
  expect(sessionIdsFrom(sessions, "10.42.1.2")).toEqual([]);
});

test("a name that looks like another field is none", () => {
  const named =
    "id=7 addr=10.42.1.21:1 laddr=10.42.1.11:9001 name=idle=0 age=9 idle=8 flags=N lib-name=idle=1 lib-ver=";
  expect(idleSecondsByAddress(named, ["10.42.1.21"])).toEqual({ "10.42.1.21": 8 });
});

describe("why it is not well", () => {
  test("the progress of loading", () => {
    const loading = { loading: 1, loading_loaded_perc: "42.50", loading_eta_seconds: 7 };
    expect(parseRedisInfo(info({ ...replica, ...loading }))).toMatchObject({
      loading: true,
      loadingProgress: { percent: 42.5, secondsLeft: 7 },
    });
  });

  test("a link that is down, and since when", () => {
    const down = { ...replica, master_link_status: "down" };
    const linkOf = (fields: Record<string, string | number>) => parseRedisInfo(info({ ...down, ...fields }));
    expect(linkOf({ master_link_down_since_seconds: 12 }).follows).toMatchObject({ downSeconds: 12 });
    expect(linkOf({ master_link_down_since_seconds: -1 }).follows).not.toHaveProperty("downSeconds");
  });

  test("a full copy: what is left is not known of one without a file", () => {
    const copy = (left: number, total: number) => ({
      ...replica,
      master_sync_in_progress: 1,
      master_sync_total_bytes: total,
      master_sync_read_bytes: 300,
      master_sync_left_bytes: left,
      master_sync_last_io_seconds_ago: 4,
    });
    expect(parseRedisInfo(info(copy(700, 1000))).follows?.copy).toEqual({
      bytesReceived: 300,
      bytesLeft: 700,
      idleSeconds: 4,
    });
    expect(parseRedisInfo(info(copy(-300, 0))).follows?.copy).toEqual({ bytesReceived: 300, idleSeconds: 4 });
  });

  test("what a server counts", () => {
    const counted = {
      sync_full: 2,
      rejected_connections: 3,
      errorstat_WRONGPASS: "count=4",
      errorstat_NOAUTH: "count=5",
    };
    expect(parseRedisInfo(info({ ...master, ...counted })).counters).toEqual({
      fullCopies: 2,
      refusedLogins: 9,
      refusedConnections: 3,
    });
  });

  test.each([
    ["WRONGPASS invalid username-password pair or user is disabled.", "credentials"],
    ["NOAUTH Authentication required.", "credentials"],
    ["NOPERM this user has no permissions to run the 'info' command", "rights"],
    ["BUSY Redis is busy running a script.", "busy"],
    ["LOADING Redis is loading the dataset in memory", "loading"],
    ["ERR max number of clients reached", "too many clients"],
    ["ERR something else", "other"],
    ["", "other"],
  ] as const)("%s", (text, kind) => {
    expect(refusalOf(text)).toEqual({ kind, text });
  });
});
