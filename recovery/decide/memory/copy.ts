/**
 * A deep copy of plain data: objects, arrays and what has no parts. Memory is copied in every cycle; this is several times
 * faster than `structuredClone`, which must be ready for more than that.
 */
export function copyOf<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(copyOf) as T;
  const copy: Record<string, unknown> = {};
  for (const key in value) copy[key] = copyOf(value[key]);
  return copy as T;
}
