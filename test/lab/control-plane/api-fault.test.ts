import { describe, expect, test } from "vitest";
import {
  type ApiCall,
  latenessOf,
  passApi,
  refusalOf,
  startsAnInstance,
} from "../../../lab/control-plane/api-fault.ts";
import type { ApiFault, Fault } from "../../../lab/control-plane/store.ts";

const call = (method: string, path: string, body = ""): ApiCall => ({ method, path, body });
const launch = call("POST", "/resources/ec2/instance", '{"inputs":{}}');
const look = call("GET", "/resources/ec2/instance/i-1");
const fault = (mode: ApiFault["mode"]): Fault => ({ kind: "api", mode });

describe("what needs capacity", () => {
  test.each([
    [launch, true],
    [look, false],
    [call("DELETE", "/resources/ec2/instance/i-1"), false],
    [call("PATCH", "/resources/ec2/instance/i-1", '{"inputs":{}}'), false],
    [call("POST", "/resources/ec2transitgateway/instanceState", '{"inputs":{"state":"running"}}'), true],
    [call("POST", "/resources/ec2transitgateway/instanceState", '{"inputs":{"state":"stopped"}}'), false],
    [call("POST", "/", "Action=StartInstances&Version=2016-11-15"), true],
    [call("POST", "/", "Action=TerminateInstances&InstanceId.1=i-1"), false],
  ])("%j: %s", (asked, expected) => {
    expect(startsAnInstance(asked)).toBe(expected);
  });
});

describe("an API with a fault", () => {
  test("failing: refuses all; full: only what needs capacity; slow: nothing", () => {
    expect(refusalOf([fault("failing")], look)).toMatchObject({ code: "RequestLimitExceeded", status: 503 });
    expect(refusalOf([fault("full")], launch)).toMatchObject({ code: "InsufficientInstanceCapacity" });
    expect(refusalOf([fault("full")], look)).toBeUndefined();
    expect(refusalOf([fault("slow")], launch)).toBeUndefined();
    expect(latenessOf([{ kind: "api", mode: "slow", lateSeconds: 20 }, fault("full")])).toBe(20);
    expect(latenessOf([])).toBe(0);
  });

  test("slow: a held call goes on when it is healed, and does nothing for a caller who has left", async () => {
    let faults: Fault[] = [{ kind: "api", mode: "slow", lateSeconds: 60 }];
    const held = passApi(
      () => faults,
      look,
      () => false,
    );
    faults = [];
    expect(await held).toBe(true);
    expect(
      await passApi(
        () => [{ kind: "api", mode: "slow", lateSeconds: 60 }],
        launch,
        () => true,
      ),
    ).toBe(false);
  });
});
