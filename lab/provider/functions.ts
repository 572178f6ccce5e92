/** The provider's functions (`aws.getRegion()`…): those that need no look at the lab; others are refused by name. */
import type { Properties, Value } from "../plugin/values.ts";
import { accountId, zonesOf } from "../schema/names.ts";

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

/** The result of a function; an unknown one, or an argument that would change the answer, is an error by name. */
export function callFunction(token: string, args: Properties, region: string): Record<string, Value> {
  const answer = functions[token];
  if (!answer) {
    throw new Error(
      `the lab does not emulate the function "${token}"; it emulates: ${Object.keys(functions).join(", ")}. ` +
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
