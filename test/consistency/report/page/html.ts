/** Small parts of HTML and SVG. Everything that comes from outside goes through `text`. */

export const text = (value: unknown): string =>
  String(value)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");

/** `<name key="value">content</name>`; the content is HTML already. */
export function tag(name: string, attributes: Record<string, string | number>, content = ""): string {
  const written = Object.entries(attributes)
    .map(([key, value]) => ` ${key}="${typeof value === "number" ? Number(value.toFixed(2)) : text(value)}"`)
    .join("");
  return `<${name}${written}>${content}</${name}>`;
}

/** What the browser shows while the pointer rests on an element. */
export const tooltip = (value: string): string => `<title>${text(value)}</title>`;

/** A table; cells are HTML already. */
export function table(name: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], cell: "th" | "td") =>
    `<tr>${cells.map((each) => `<${cell}>${each}</${cell}>`).join("")}</tr>`;
  const heading = head.length > 0 ? `<thead>${line(head, "th")}</thead>` : "";
  return (
    `<div class="scroll"><table id="${name}">${heading}` +
    `<tbody>${rows.map((row) => line(row, "td")).join("")}</tbody></table></div>`
  );
}

export const seconds = (ms: number, digits = 2): string => `${(ms / 1000).toFixed(digits)} s`;

/** A time of day with milliseconds, in UTC as the machines' logs have it. */
export const clockTime = (at: number): string => new Date(at).toISOString().slice(11, 23);
