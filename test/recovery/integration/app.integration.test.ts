/** App falls silent, to everybody or to monit alone, with real proxies that hear it. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { canSilence, restoreAll, silence, silenceBetween } from "./silence.ts";
import { TestWorld } from "./world.ts";

let world: TestWorld;

beforeEach(async () => {
  world = await TestWorld.healthy({ shards: 1 });
});
afterEach(async () => {
  restoreAll();
  await world.close();
});

const unsettled = () => world.status?.healthy === false && world.status.sentence;

describe.runIf(canSilence)("silence", () => {
  test("app that vanishes is replaced, and the incident says who does not hear it", async () => {
    const old = world.machine("app").address;
    silence(old);
    await world.until("that it is not well", unsettled, 3_000);
    await world.until("the launch", () => world.calls.includes("launch app"));
    const status = await world.untilHealthy();
    expect(world.machine("app").address).not.toBe(old);
    expect(world.calls).toEqual(["taint app", "power off i-app-0", "launch app"]);
    expect(status.incidents.at(-1)).toMatchObject({
      machine: "app",
      situation: "lost",
      because: "app does not answer monit, and haproxy1 and haproxy2 do not hear it: app is condemned",
    });
  });

  test("app that only monit cannot see is not replaced, and people are told", async () => {
    silenceBetween("127.0.0.1", world.machine("app").address);
    await world.until("that it is kept", () =>
      world.status?.sentence.includes("monit cannot see app, but haproxy1 and haproxy2 hear it: it is kept"),
    );
    expect(world.status?.healthy).toBe(false);
    restoreAll();
    await world.untilHealthy();
    expect(world.calls).toEqual([]);
  });
});

test("app whose proxy process is gone is kept: its machine answers", async () => {
  await world.machine("app").crash(0);
  await world.until("that it is not well", () =>
    world.status?.sentence.includes("app's proxy process is gone, which is no verdict yet"),
  );
  await world.until("that it is kept", () =>
    world.status?.sentence.includes("app's proxy process is gone: it is kept"),
  );
  world.machine("app").restartProxy();
  await world.untilHealthy();
  expect(world.calls).toEqual([]);
});
