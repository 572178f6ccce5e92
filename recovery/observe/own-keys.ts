/**
 * Recovery's two numbers in the data of each shard, the epoch and the heartbeat, and the commands that read and write them.
 *
 * They are in a database of their own, which the clients cannot select: `FLUSHDB`, `DBSIZE`, `RANDOMKEY` and `SCAN` of a client see
 * its own keys only. They are written by scripts for two reasons. Redis runs a script with the flag `allow-oom` also when its memory
 * is at `maxmemory`, where it refuses a plain SET; a promotion must work then. And the epoch can only rise: a command that arrives
 * late must not take a later promotion's epoch back. A script has the rights of its user, no more.
 */

/** The key of the epoch. */
export const epochKey = "barton:epoch";
/** The key of the heartbeat (act/beat.ts). */
export const beatKey = "barton:beat";
/** The database of both; the clients' are 0 to 15 (infra/roles/redis/users.acl). */
export const ownDatabase = 16;

type Command = [string, ...string[]];

const script = (lines: string[]) =>
  ["#!lua flags=allow-oom", `redis.call("SELECT", ${ownDatabase})`, ...lines].join("\n");

const raising = script([
  'local present = tonumber(redis.call("GET", KEYS[1])) or 0',
  'if tonumber(ARGV[1]) > present then redis.call("SET", KEYS[1], ARGV[1]) end',
  'return redis.call("GET", KEYS[1])',
]);
const beating = script(['return redis.call("INCR", KEYS[1])']);

/** Raises the epoch to this number; the reply is the epoch that is there afterwards, which is higher where a later one was. */
export function raiseEpoch(epoch: number): Command {
  return ["EVAL", raising, "1", epochKey, String(epoch)];
}

/** One heartbeat more. */
export function raiseBeat(): Command {
  return ["EVAL", beating, "1", beatKey];
}

/** What a connection sends before it reads one of the two keys. */
export function selectOwnDatabase(): Command {
  return ["SELECT", String(ownDatabase)];
}
