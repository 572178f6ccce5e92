import { expect, test } from "vitest";
import { addressIn, parseCidr, subnetOf } from "../../infra/cidr.ts";

test("subnets and the resolver of a VPC", () => {
  expect(subnetOf("10.42.0.0/16", 1)).toBe("10.42.1.0/24");
  expect(subnetOf("192.168.252.0/22", 2)).toBe("192.168.254.0/24");
  expect(addressIn("10.42.0.0/16", 2)).toBe("10.42.0.2");
});

test("knows a block from something else, and whether its address is the network's", () => {
  expect(parseCidr("10.42.0.0/16")).toMatchObject({ prefix: 16, aligned: true });
  expect(parseCidr("10.42.0.1/16")).toMatchObject({ aligned: false });
  for (const text of ["10.42.0.0", "10.42.0.0/33", "10.42.0.256/16", "::/0"])
    expect(parseCidr(text)).toBeUndefined();
});
