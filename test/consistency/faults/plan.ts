/** Which fault comes when: those that were asked for, or a random sequence from a seed. Pure. */
import type { RedisMachine } from "../../../recovery/topology.ts";
import type { Random } from "../../simulation/random.ts";
import { catalogue, type FaultKind, kindNamed, type Scene } from "./catalogue.ts";

/** One entry of `--fault`. */
export interface Wanted {
  kind: FaultKind;
  target?: string;
}

/** Reads `KIND` or `KIND:MACHINE`; throws an error that says what is wrong with it. */
export function parseWanted(text: string): Wanted {
  const [name = "", target, ...rest] = text.split(":");
  const kind = kindNamed(name);
  if (target === undefined) return { kind };
  if (rest.length === 0 && kind.targets?.includes(target)) return { kind, target };
  const targets = kind.targets?.map((each) => `${name}:${each}`).join(", ");
  throw new Error(
    targets === undefined
      ? `the fault ${name} chooses its targets itself`
      : `${JSON.stringify(text)} is no fault; use ${name}, or ${targets}`,
  );
}

/** The machine to which masters have to be moved first, because the fault is to hit one there and there is none. */
export function needsMaster({ kind, target }: Wanted, shards: Scene["shards"]): RedisMachine | undefined {
  if (!kind.hitsMaster || target === undefined) return undefined;
  return shards.some(({ master }) => master === target) ? undefined : (target as RedisMachine);
}

/**
 * The faults of a run, one by one. With `wanted`: each of them in turn, `repeat` times over. Without: by chance, for as
 * long as the caller likes.
 */
export function* planned(wanted: readonly Wanted[], repeat: number, random: Random): Generator<Wanted> {
  if (wanted.length > 0) {
    for (let round = 0; round < repeat; round++) yield* wanted;
    return;
  }
  const lots = catalogue.flatMap((kind) => Array<FaultKind>(kind.weight).fill(kind));
  for (;;) yield { kind: random.pick(lots) };
}
