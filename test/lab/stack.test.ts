import { describe, expect, test } from "vitest";
import { tellingLine } from "../../lab/stack.ts";

describe("what a line of pulumi's output tells a person", () => {
  test.each([
    [" +  aws:ec2:Instance redis1 created (2s)", "machine redis1 created (2s)"],
    [" +  aws:ec2:AmiFromInstance app-image created (0.50s)", "image app-image created (0.50s)"],
    [" ++ aws:ec2:Instance redis1 replaced (3s)", "machine redis1 replaced (3s)"],
    [" +  command:remote:Command app-finish created (17s)", "command app-finish created (17s)"],
    ["    error: update failed", "error: update failed"],
    [" +  aws:vpc:SecurityGroupIngressRule app-from-x created (0.1s)", undefined],
    [
      " +  command:remote:Command app-finish creating (3s) attempt 1 to reach the machine failed: ssh",
      undefined,
    ],
    ["Resources:", undefined],
  ])("%s", (line, told) => {
    expect(tellingLine(line)).toBe(told);
  });
});
