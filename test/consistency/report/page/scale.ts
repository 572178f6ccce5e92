/** From times and durations to places in a picture. Pure. */

export type Scale = (value: number) => number;

export function linear(from: number, to: number, start: number, end: number): Scale {
  const span = to - from || 1;
  return (value) => start + ((Math.min(Math.max(value, from), to) - from) / span) * (end - start);
}

/** Durations from a millisecond to a minute: equal factors are equal distances. */
export function logarithmic(from: number, to: number, start: number, end: number): Scale {
  const scale = linear(Math.log(from), Math.log(to), start, end);
  return (value) => scale(Math.log(Math.max(value, from)));
}

/** Round steps that divide a span into at most `count` parts, in milliseconds. */
export function tickStep(spanMs: number, count: number): number {
  const steps = [100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 1800e3, 3600e3];
  return steps.find((step) => spanMs / step <= count) ?? 7200e3;
}

export function ticks(from: number, to: number, count: number): number[] {
  const step = tickStep(to - from, count);
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);
}

/** 95000 as "1:35"; with a fraction where ticks are closer than a second. */
export function elapsed(ms: number): string {
  const whole = Math.floor(ms / 1000);
  const fraction = ms % 1000 ? `.${Math.floor((ms % 1000) / 100)}` : "";
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}${fraction}`;
}
