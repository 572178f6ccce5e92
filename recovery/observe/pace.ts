/** How often to probe: `calm` at the configured interval, `hurry` at the fast one. */
export type Pace = "calm" | "hurry";
