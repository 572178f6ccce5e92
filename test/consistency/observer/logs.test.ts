import { expect, test } from "vitest";
import { hideIn } from "./logs.ts";

test("secrets are taken out of a line, wherever and however often they stand", () => {
  const hide = hideIn(["s3cret$", "other"]);
  expect(hide("AUTH s3cret$ and s3cret$, other")).toBe("AUTH (hidden) and (hidden), (hidden)");
  expect(hide("nothing here")).toBe("nothing here");
});
