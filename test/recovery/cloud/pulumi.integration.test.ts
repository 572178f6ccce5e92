/**
 * Recovery's engine with the real pulumi, over a control plane that never answers a creation: pulumi waits for it after a
 * SIGINT, for ever.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Executor } from "../../../recovery/act/executor.ts";
import type { World } from "../../../recovery/act/world.ts";
import { systemClock } from "../../../recovery/clock.ts";
import type { Engine } from "../../../recovery/cloud/engine.ts";
import { type PulumiLimits, pulumiEngine } from "../../../recovery/cloud/pulumi.ts";
import { membersOf, processOf } from "../../../recovery/cloud/run-command.ts";
import type { Journal } from "../../../recovery/incidents/journal.ts";
import { createLog } from "../../../recovery/log.ts";
import { machineNames } from "../../../recovery/topology.ts";
import { type FakeControlPlane, startFakeControlPlane } from "../../lab/provider/fake-control-plane.ts";
import { newProject, type Project } from "../../lab/provider/pulumi.ts";
import { topologyOf } from "../world-of-facts.ts";

let folder: string;
let lab: FakeControlPlane;
let project: Project;
const lines: string[] = [];

/** Every machine is the same security group, which the first `up` does not make yet. */
function program(withGroup: boolean): string {
  const urn = "urn:pulumi:local::barton::aws:ec2/securityGroup:SecurityGroup::late";
  const machines = machineNames.map((name) => [
    name,
    { ...topologyOf().machines[name], urn, recordUrn: urn, attachmentUrn: undefined },
  ]);
  const topology = { ...topologyOf(), machines: Object.fromEntries(machines) };
  return `
    import * as aws from "@pulumi/aws";
    const vpc = new aws.ec2.Vpc("main", { cidrBlock: "10.42.0.0/16" });
    ${withGroup ? 'new aws.ec2.SecurityGroup("late", { vpcId: vpc.id });' : ""}
    export const topology = ${JSON.stringify(topology)};
  `;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "barton-hanging-"));
  lab = await startFakeControlPlane(folder);
  project = await newProject({ BARTON_LAB_ENDPOINT: lab.endpoint });
  for (const [name, value] of Object.entries(project.env)) vi.stubEnv(name, value);
  await project.run(["up", "--yes", "--skip-preview"], program(false));
  await project.run(["stack", "output"], program(true));
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await project?.remove();
  await lab?.close();
  await rm(folder, { recursive: true, force: true });
});

function engineWith(up: PulumiLimits["up"]): Engine {
  return pulumiEngine({
    stack: "local",
    projectDir: project.folder,
    programDir: project.folder,
    log: createLog({ write: (text) => lines.push(text) }, {}),
    clock: systemClock,
    mayJudgeLocks: () => true,
    limits: { short: { limitMs: 60_000, graceMs: 1_000 }, up },
  });
}

/** The process that holds the stack's lock. */
async function lockHolder(): Promise<number> {
  const text = await project.fails(["up", "--yes", "--skip-preview"]);
  return Number(/\(pid (\d+)\)/.exec(text)?.[1]);
}

test("an up that hangs is killed with its plugins, its subject is in trouble, and the next try clears its lock", async () => {
  const held = lab.holdNext();
  let engine = engineWith({ limitMs: 20_000, graceMs: 1_000 });
  const launched: unknown[] = [];
  const executor = new Executor({
    world: {
      board: { refresh: async () => {}, learn: () => {} },
      cloud: { describe: async () => [] },
      engine: { launch: (...machines: Parameters<Engine["launch"]>) => engine.launch(...machines) },
      clock: systemClock,
      log: createLog({ write: (text) => lines.push(text) }, {}),
      remember: (event: unknown) => launched.push(event),
    } as unknown as World,
    journal: { step: () => () => {} } as unknown as Journal,
    reconsider: () => decision,
    kept: async () => true,
    onEnd: () => {},
  });
  const decision = {
    subject: "replacement" as const,
    steps: [{ do: "launch" as const, machines: ["redis2" as const] }],
    situation: "ready-to-launch" as const,
    because: "",
    operator: "",
    settled: false,
    opens: false,
  };
  executor.consider([decision]);
  await held.arrived;
  const holder = await lockHolder();
  expect(processOf(holder)?.command).toMatch(/^pulumi/);
  // Pulumi, its language host, the program and our provider.
  expect(membersOf(holder).length).toBeGreaterThanOrEqual(3);
  expect([...executor.busy]).toEqual(["replacement"]);
  await executor.idle();
  expect(membersOf(holder)).toEqual([]);
  expect(executor.troubles.get("replacement")).toMatchObject({
    failures: 1,
    message: "pulumi up did not end within 20 s and was killed",
  });
  expect(launched).toEqual([]);

  engine = engineWith({ limitMs: 120_000, graceMs: 1_000 });
  const topology = await engine.launch(["redis2"]);
  expect(topology?.domain).toBe(topologyOf().domain);
  expect(lines.join("")).toContain("the lock of a dead run is taken away");
  const { resources, text } = await project.state();
  expect(resources.map(({ urn }) => urn.split("::").at(-1))).toContain("late");
  expect(JSON.parse(text).deployment.pending_operations ?? []).toEqual([]);
}, 240_000);
