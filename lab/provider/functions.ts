/** The provider's functions (`aws.getRegion()`…). Unknown functions are refused by name. */
import type { Properties, Value } from "../plugin/values.ts";
import { accountId, zonesOf } from "../schema/names.ts";
import type { ControlPlane } from "./control-plane-client.ts";

type Answer = (region: string) => Record<string, Value>;

const functions: Record<string, Answer> = {
  "aws:index/getRegion:getRegion": (region) => ({
    id: region,
    name: region,
    region,
    description: "the lab",
    endpoint: `ec2.${region}.amazonaws.com`,
  }),
  "aws:index/getCallerIdentity:getCallerIdentity": () => ({
    id: accountId,
    accountId,
    arn: `arn:aws:iam::${accountId}:user/lab`,
    userId: "AIDALAB",
  }),
  "aws:index/getAvailabilityZones:getAvailabilityZones": (region) => ({
    id: region,
    region,
    names: zonesOf(region),
    zoneIds: zonesOf(region).map((_, index) => `${region}-az${index + 1}`),
    groupNames: [region],
  }),
  "aws:index/getPartition:getPartition": () => ({
    id: "aws",
    partition: "aws",
    dnsSuffix: "amazonaws.com",
    reverseDnsPrefix: "com.amazonaws",
  }),
};

/** Functions that look at the lab, and the arguments that it understands. */
const looking: Record<string, readonly string[]> = {
  "aws:ec2/getInstances:getInstances": ["filters", "instanceStateNames"],
};

/** The result of a function; an unknown one, or an argument that would change the answer, is an error by name. */
export async function callFunction(
  token: string,
  args: Properties,
  region: string,
  lab: ControlPlane,
): Promise<Record<string, Value>> {
  const understood = looking[token];
  if (understood) return look(token, understood, args, region, lab);
  const answer = functions[token];
  if (!answer) {
    throw new Error(
      `the lab does not emulate the function "${token}"; it emulates: ${[...Object.keys(functions), ...Object.keys(looking)].join(", ")}. ` +
        "To add it: lab/provider/functions.ts",
    );
  }
  const result = answer(region);
  for (const [name, value] of Object.entries(args.values)) {
    if (value === null || value === undefined || value === result[name]) continue;
    if (name === "state" && value === "available") continue;
    throw new Error(`the lab does not emulate the argument "${name}" of the function "${token}"`);
  }
  return result;
}

async function look(
  token: string,
  understood: readonly string[],
  { values }: Properties,
  region: string,
  lab: ControlPlane,
): Promise<Record<string, Value>> {
  const given = Object.fromEntries(Object.entries(values).filter(([, value]) => (value ?? null) !== null));
  for (const [name, value] of Object.entries(given)) {
    if (understood.includes(name) || (name === "region" && value === region)) continue;
    throw new Error(`the lab does not emulate the argument "${name}" of the function "${token}"`);
  }
  return { id: region, region, ...given, ...(await lab.call(token, given)) };
}
