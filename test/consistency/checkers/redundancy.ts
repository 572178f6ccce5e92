/** After every fault the desired state comes back, without a person. */
import { type Checker, inSeconds } from "./verdict.ts";

export const redundancy: Checker = {
  name: "full redundancy",
  check({ faults }) {
    const missing = faults.filter(({ healthyAt }) => healthyAt === undefined);
    const longest = Math.max(0, ...faults.map(({ at, healthyAt }) => (healthyAt ?? at) - at));
    return {
      verdict: missing.length > 0 ? "fail" : faults.length === 0 ? "unknown" : "pass",
      sentence: `reached again after ${faults.length - missing.length} of ${faults.length} faults, at the latest after ${inSeconds(longest)}`,
      examples: missing.map(({ number, title }) => `not after fault ${number}: ${title}`),
    };
  },
};
