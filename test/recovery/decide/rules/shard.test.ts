/** The questions about a shard by which the rows of its tables are written: those that no situation shows alone. */
import { describe, expect, test } from "vitest";
import {
  areBothOut,
  candidateOf,
  copyText,
  doesNoServerAnswer,
  fenceTrouble,
  isFirstStart,
  isMasterLost,
  isMasterToLeave,
  lastMasterTrouble,
  masterOf,
  mustFirstStartWait,
  whyNobodyIsPromotable,
  whyNoRelief,
  winnerOf,
} from "../../../../recovery/decide/rules/shard.ts";
import {
  demoteStale,
  powerOffsForCandidate,
  takeOver,
} from "../../../../recovery/decide/rules/shard-plans.ts";
import { type ShardView, viewShard } from "../../../../recovery/decide/view/view.ts";
import { defaultLimits } from "../../../../recovery/settings.ts";
import { condemnedPhase, down, failing, masterInfo, replicaInfo, World } from "../../world-of-facts.ts";

const viewOf = ({ facts, memory }: World): ShardView => {
  const [shard] = facts.topology.shards;
  if (!shard) throw new Error("no shard");
  return viewShard({ facts, memory, limits: defaultLimits }, shard);
};
const lost = () => new World(1).lookAll("redis1", down("silent"));

test("what needs one master, two masters or a candidate says so when there is none", () => {
  expect(() => winnerOf(viewOf(new World(1)))).toThrow("shard 1 does not have two masters");
  expect(() => masterOf(viewOf(lost()))).toThrow("shard 1 has no single master");
  expect(() => takeOver(viewOf(new World(1)))).toThrow("shard 1 has no candidate");
  expect(powerOffsForCandidate(viewOf(new World(1)))).toEqual([]);
  expect(fenceTrouble(viewOf(new World(1)))).toBeUndefined();
  expect(copyText(candidateOf(viewOf(new World(1))))).toBe("nobody");
  expect(lastMasterTrouble(viewOf(new World(1).brandNew()))).toBe("no server is known");
});

test("a stale master is told to follow its counterpart", () => {
  expect(demoteStale(viewOf(new World(1)))).toEqual([
    { do: "follow", shard: 1, machine: "redis1", master: "redis2" },
  ]);
});

describe("a master that is to leave", () => {
  const leaving = (change: (world: World) => unknown) => {
    const world = new World(1).order("redis1");
    change(world);
    return isMasterToLeave(viewOf(world));
  };

  test("is succeeded by a replica that answers, is in sync, writes, and has the present epoch", () => {
    expect(leaving(() => {})).toBe(true);
    expect(leaving((world) => world.look("redis2", 1, failing("silent")))).toBe(false);
    expect(leaving((world) => delete world.remembered(1).inSync)).toBe(false);
    expect(leaving((world) => (world.remembered(1).epoch = 2))).toBe(false);
    expect(
      leaving((world) => Object.assign(world.server("redis2", 1).info ?? {}, { refusesWrites: true })),
    ).toBe(false);
  });

  test("and not by one that leaves as well; a condemned machine leaves first", () => {
    expect(leaving((world) => world.order("redis2"))).toBe(false);
    expect(leaving((world) => world.order("redis2").replacing("redis1", condemnedPhase))).toBe(true);
    expect(leaving((world) => world.replacing("redis2", condemnedPhase))).toBe(false);
  });
});

test("a master whose disk is full is not relieved by a condemned replica", () => {
  expect(whyNoRelief(viewOf(new World(1)))).toBeUndefined();
  expect(whyNoRelief(viewOf(new World(1).replacing("redis2", condemnedPhase)))).toBe(
    "redis2 is being replaced",
  );
});

describe("the first start", () => {
  const fresh = (change: (world: World) => unknown) => {
    const world = new World(1).brandNew();
    change(world);
    const view = viewOf(world);
    return isFirstStart(view) || mustFirstStartWait(view);
  };

  test("is one when no data, no memory and no master are there, and some server answers", () => {
    expect(fresh(() => {})).toBe(true);
    expect(fresh((world) => (world.remembered(1).epoch = 1))).toBe(false);
    expect(fresh((world) => Object.assign(world.server("redis1", 1).info ?? {}, { epoch: 1 }))).toBe(false);
    expect(fresh((world) => delete world.server("redis1", 1).info?.epoch)).toBe(false);
    expect(fresh((world) => (world.server("redis1", 1).info = masterInfo({ epoch: 0 })))).toBe(false);
    const silent = (world: World) => {
      world.lookAll("redis1", failing("silent")).lookAll("redis2", failing("silent"));
    };
    expect(fresh(silent)).toBe(false);
  });
});

describe("the candidate", () => {
  /** Two replicas that answer, and nobody is master. */
  const leaderless = (offset1: number, offset2: number) => {
    const world = new World(1);
    world.server("redis1", 1).info = replicaInfo("redis2", 9001, { offset: offset1 });
    world.server("redis2", 1).info = replicaInfo("redis1", 9001, { offset: offset2 });
    world.remembered(1).master = undefined;
    return world;
  };

  test("is the better copy of two", () => {
    expect(candidateOf(viewOf(leaderless(2, 1)))?.machine).toBe("redis1");
    expect(candidateOf(viewOf(leaderless(1, 2)))?.machine).toBe("redis2");
  });

  test("is nobody while there is a master, or the other server was not looked at yet", () => {
    expect(candidateOf(viewOf(new World(1)))).toBeUndefined();
    const world = leaderless(1, 2);
    world.server("redis1", 1).looks.monit = failing("silent");
    expect(candidateOf(viewOf(world))).toBeUndefined();
  });

  test("why nobody is one: a reason for each server that answers", () => {
    const world = leaderless(1, 1);
    for (const machine of ["redis1", "redis2"] as const)
      Object.assign(world.server(machine, 1).info ?? {}, { loading: true });
    expect(whyNobodyIsPromotable(viewOf(world))).toBe(
      "redis1 is still loading its data; redis2 is still loading its data",
    );
  });

  test("takes over from a master that is out, not from one in doubt", () => {
    expect(isMasterLost(viewOf(lost()))).toBe(true);
    const world = new World(1).look("redis1", 1, failing("silent"));
    expect(isMasterLost(viewOf(world))).toBe(false);
    expect(isMasterLost(viewOf(leaderless(1, 2)))).toBe(false);
  });
});

test("nobody answers, and both are out: two questions", () => {
  const of = (world: World) => [doesNoServerAnswer(viewOf(world)), areBothOut(viewOf(world))];
  expect(of(new World(1))).toEqual([false, false]);
  expect(of(lost())).toEqual([false, false]);
  expect(of(lost().lookAll("redis2", failing("silent")))).toEqual([true, false]);
  expect(of(lost().lookAll("redis2", down("silent")))).toEqual([true, true]);
});
