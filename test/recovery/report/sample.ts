/** An incident for the tests of what is told about incidents. */
import type { Incident } from "../../../recovery/incidents/record.ts";

export const incident: Incident = {
  id: "20260101-120000-redis1",
  machine: "redis1",
  because: "redis1 is gone",
  situation: "machine-lost",
  noticedAt: "2026-01-01T12:00:00.000Z",
  steps: [],
};
