/** After every fault the desired state comes back, without a person. */
import { type Checker, inSeconds } from "./verdict.ts";

export const redundancy: Checker = {
  name: "full redundancy",
  check({ faults }) {
    const missing = faults.filter(({ healthyAt }) => healthyAt === undefined);
    const inVain = missing.filter(({ waitedInVainMs }) => waitedInVainMs !== undefined);
    const longest = Math.max(0, ...faults.map(({ at, healthyAt }) => (healthyAt ?? at) - at));
    return {
      verdict: inVain.length > 0 ? "fail" : missing.length > 0 || faults.length === 0 ? "unknown" : "pass",
      sentence: `reached again after ${faults.length - missing.length} of ${faults.length} faults, at the latest after ${inSeconds(longest)}`,
      examples: missing.map(({ number, title, waitedInVainMs }) =>
        waitedInVainMs === undefined
          ? `not waited for after fault ${number}: ${title}`
          : `not within ${inSeconds(waitedInVainMs)} after fault ${number}: ${title}`,
      ),
    };
  },
};
