import { describe, expect, test } from "vitest";
import { whyNotAllowed } from "../../../recovery/cli/rehearse-command.ts";
import { commandOf, faultOf, isReplacing } from "../../../recovery/rehearsal/fault.ts";
import { topologyOf } from "../world-of-facts.ts";

const parse = (kind: string, target: string, seconds = 10) => faultOf(kind, target, topologyOf(), seconds);

test("a hang that recovery rightly leaves alone proves nothing", () => {
  expect(() => parse("hang", "redis1:9001", 4)).toThrow("within recovery's patience (4 s)");
});

test.each([
  ["crash", "redis1:9001", "/usr/local/lib/barton/fault crash redis-server@9001.service"],
  ["hang", "redis2:9002", "/usr/local/lib/barton/fault hang redis-server@9002.service 10"],
  ["crash", "haproxy1:haproxy", "/usr/local/lib/barton/fault crash haproxy.service"],
  ["hang", "haproxy2", "/usr/local/lib/barton/fault hang haproxy.service 10"],
  ["vanish", "redis1", "/usr/local/lib/barton/fault vanish 900"],
  ["vanish", "haproxy2", "/usr/local/lib/barton/fault vanish 900"],
  ["poweroff", "redis1", undefined],
  ["poweroff", "app", undefined],
])("%s %s", (kind, target, command) => {
  const fault = parse(kind, target);
  expect(fault).toMatchObject({ kind, text: `${kind} ${target}`, machine: target.split(":")[0] });
  expect(commandOf(fault)).toBe(command);
  expect(isReplacing(fault)).toBe(kind === "vanish" || kind === "poweroff");
});

test.each([
  ["explode", "redis1", 'no fault "explode"; there are: crash, hang, poweroff, vanish'],
  ["vanish", "redis9", 'no machine "redis9"; there are: redis1'],
  ["vanish", "monit", "a rehearsal runs on monit"],
  ["vanish", "app", "of app only the power can be cut"],
  ["vanish", "redis1:9001", 'vanish is of a whole machine: "barton rehearse vanish redis1"'],
  ["crash", "redis1", "which process of redis1? It has: redis1:9001, redis1:9002"],
  ["crash", "redis1:9003", "It has: redis1:9001, redis1:9002"],
  ["crash", "redis1:9001:x", 'no machine "redis1"'],
  ["hang", "haproxy1:8001", 'haproxy1 has no process "8001"'],
  ["crash", "redis1:9001; reboot", "which process of redis1?"],
])("%s %s is refused with the reason", (kind, target, reason) => {
  expect(() => parse(kind, target)).toThrow(reason);
});

describe("who may rehearse", () => {
  test.each([
    [undefined, {}, "allows no rehearsals"],
    ["off", { yes: true }, "allows no rehearsals"],
    ["confirmed", { yes: true }, "--yes is for a lab"],
    ["confirmed", {}, undefined],
    ["free", { yes: true }, undefined],
  ])("barton:rehearsal %s with %j", (mode, flags, refusal) => {
    const why = whyNotAllowed(mode, flags);
    if (refusal === undefined) expect(why).toBeUndefined();
    else expect(why).toContain(refusal);
  });
});
