import { expect, test } from "vitest";
import { describeStatus, lagText } from "../../../recovery/cli/describe-status.ts";
import { statusOf } from "../../../recovery/report/status.ts";
import { World } from "../world-of-facts.ts";

const calm = { inProgress: false, incidents: [] };
const statusIn = (world: World) => statusOf(world.facts, world.decide(), calm);

test("the status tells how far a replica is behind its master", () => {
  const world = new World();
  const replica = world.server("redis2", 1);
  if (replica.info) replica.info.offset -= 700;
  expect(statusIn(world).shards.map(({ lagBytes }) => lagBytes)).toEqual([700, 0]);
  expect(describeStatus(statusIn(world))).toMatch(
    /1 {3}port 9001 {2}master redis1 {2}replica redis2 {2}link up {4}lag 700 B {4}haproxy1 → redis1/,
  );
});

test("without a replica there is no lag, and one that was asked later is not ahead", () => {
  const world = new World();
  const replica = world.server("redis2", 1);
  if (replica.info) replica.info.offset += 700;
  expect(statusIn(world).shards[0]?.lagBytes).toBe(0);
  world.server("redis2", 2).looks.monit = { state: "down", silence: "silent" };
  expect(statusIn(world).shards[1]?.lagBytes).toBeNull();
});

test.each([
  [null, "-"],
  [0, "0 B"],
  [1023, "1023 B"],
  [1536, "1.5 KB"],
  [3 * 1024 ** 2, "3.0 MB"],
])("a lag of %s bytes is %s", (bytes, text) => {
  expect(lagText(bytes)).toBe(text);
});

test("a file that cannot be written is told, with what that means and what to do", () => {
  const world = new World();
  expect(statusIn(world)).toMatchObject({ healthy: true, notKept: [] });
  const notKept = [{ path: "/var/lib/barton/memory.json", why: "ENOSPC: no space left", failures: 3 }];
  const status = statusOf(world.facts, world.decide(), { ...calm, notKept });
  expect(status).toMatchObject({ healthy: false, notKept });
  expect(status.sentence).toMatch(
    /^recovery cannot write \/var\/lib\/barton\/memory.json \(ENOSPC: no space left\) and tries again: it promotes, but switches no machine off, and after a restart of the monitor it may not know what it did; make room on monit's disk; /,
  );
});

test("what a person should do is said once for all shards that wait for the same", () => {
  const world = new World();
  for (const shard of world.shards)
    Object.assign(world.server("redis2", shard).info ?? {}, { refusesWrites: true });
  expect(describeStatus(statusIn(world))).toContain(
    "to do: shard 1 and shard 2, replica-disk-full: Make room on that machine's data volume, or make the volume larger.",
  );
  expect(statusIn(new World()).toDo).toEqual([]);
});
