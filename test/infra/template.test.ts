import { expect, test } from "vitest";
import { renderTemplate } from "../../infra/template.ts";

test("fills in placeholders and repeats blocks, an item's values first", () => {
  const text = "top {{name}}\n{{#items}}\n  {{index}} of {{name}}\n{{/items}}\nend\n";
  expect(renderTemplate("t", text, { name: "x", items: [{ index: 1 }, { index: 2, name: "y" }] })).toBe(
    "top x\n  1 of x\n  2 of y\nend\n",
  );
});

test("an empty list leaves nothing", () => {
  expect(renderTemplate("t", "a\n{{#items}}\n{{index}}\n{{/items}}\n", { items: [] })).toBe("a\n");
});

test.each([
  [
    "an unknown placeholder",
    "{{port}}",
    { prt: 1 },
    /t has \{\{port\}\}, but there is no such value; known are: prt/,
  ],
  ["an unknown list", "{{#items}}\n{{/items}}\n", {}, /t repeats \{\{#items\}\}/],
  ["a block that does not end", "{{#items}}\n", { items: [] }, /\{\{#items\}\}/],
  ["an unused value", "text", { port: 1 }, /t does not use: port/],
  ["a value that would start a line", "{{port}}", { port: "1\nuser x" }, /line break/],
  ["a value that is a placeholder", "{{port}}{{a}}", { port: "{{a}}", a: 1 }, /line break or "\{\{"/],
])("refuses %s", (_, text, values, message) => {
  expect(() => renderTemplate("t", text, values)).toThrow(message);
});
