import { describe, expect, test } from "vitest";
import * as addresses from "../../../lab/control-plane/addresses.ts";

describe("networks", () => {
  test.each([
    ["10.0.0.0/16", "10.0.1.0/24", true],
    ["10.0.1.0/24", "10.0.0.0/16", true],
    ["10.0.1.0/24", "10.0.2.0/24", false],
    ["10.0.1.0/25", "10.0.1.128/25", false],
  ])("%s and %s overlap: %s", (a, b, expected) => {
    expect(addresses.overlaps(a, b)).toBe(expected);
  });

  test.each([
    ["10.0.0.0/16", "10.0.255.0/24", true],
    ["10.0.0.0/16", "10.1.0.0/24", false],
    ["10.0.1.0/24", "10.0.0.0/16", false],
    ["10.0.1.0/24", "10.0.1.0/24", true],
  ])("%s contains %s: %s", (outer, inner, expected) => {
    expect(addresses.contains(outer, inner)).toBe(expected);
  });

  test.each(["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "x/8", "10.0.0.256/8"])("%s is none", (text) => {
    expect(() => addresses.parseCidr(text)).toThrow(/not an IPv4 network/);
  });

  test("resolver, gateway and mask are where AWS has them", () => {
    expect(addresses.resolverOf("10.42.0.0/16")).toBe("10.42.0.2");
    expect(addresses.gatewayOf("10.42.3.0/24")).toBe("10.42.3.1");
    expect(addresses.netmaskOf("10.42.0.0/20")).toBe("255.255.240.0");
    expect(addresses.netmaskOf("0.0.0.0/0")).toBe("0.0.0.0");
  });
});

describe("the next address", () => {
  test("begins behind the four that AWS keeps, and goes on from the last", () => {
    expect(addresses.nextAddress("10.0.1.0/24", new Set())).toBe("10.0.1.4");
    expect(addresses.nextAddress("10.0.1.0/24", new Set(["10.0.1.4"]), "10.0.1.9")).toBe("10.0.1.10");
  });

  test("goes round and never gives the broadcast address", () => {
    expect(addresses.nextAddress("10.0.1.0/24", new Set(), "10.0.1.254")).toBe("10.0.1.4");
    expect(addresses.nextAddress("10.0.1.0/24", new Set(["10.0.1.254"]), "10.0.1.253")).toBe("10.0.1.4");
  });

  test("is every free one in turn, until there is none", () => {
    const taken = new Set<string>();
    let last: string | undefined;
    for (;;) {
      const next = addresses.nextAddress("10.0.1.0/28", taken, last);
      if (next === undefined) break;
      expect(taken.has(next)).toBe(false);
      taken.add(next);
      last = next;
    }
    expect(taken.size).toBe(16 - 5);
  });
});
