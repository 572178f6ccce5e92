/** How clients connect, with the settings of ioredis that they would have in production. */
import { Redis, type RedisOptions } from "ioredis";

export interface Endpoint {
  host: string;
  port: number;
  username: string;
  password: string;
}

/** A connection, and what is known of how it fares. */
export interface Connection {
  redis: Redis;
  /** Whether this connection has ever been made: before that nothing was sent. */
  wasMade: () => boolean;
  /** What the socket said last, for the error text of an operation. */
  lastError: () => string | undefined;
}

/**
 * Nothing is sent twice: what was in flight when a connection broke is an error, at once. (With
 * `autoResendUnfulfilledCommands: false` alone ioredis forgets it, and its caller waits for ever; that
 * `maxRetriesPerRequest` is 0 makes it answer.)
 */
const shared: RedisOptions = {
  protocol: 2,
  disableClientInfo: true,
  enableReadyCheck: false,
  connectTimeout: 10_000,
  keepAlive: 10_000,
  noDelay: true,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
};

/** For one request: one attempt to connect, one error. */
export function connectOnce(endpoint: Endpoint): Connection {
  return observed(new Redis({ ...endpoint, ...shared, retryStrategy: () => null }));
}

/** To be kept: connects anew by itself whenever it breaks; what is asked meanwhile waits for it. */
export function connectLasting(endpoint: Endpoint): Connection {
  return observed(
    new Redis({
      ...endpoint,
      ...shared,
      retryStrategy: (attempts) => Math.min(10 * 2 ** attempts, 500),
      // A server that was demoted says so: the next connection goes to the master.
      reconnectOnError: (error) => error.message.startsWith("READONLY"),
    }),
  );
}

function observed(redis: Redis): Connection {
  let made = false;
  let last: string | undefined;
  redis.on("connect", () => {
    made = true;
  });
  redis.on("error", (error: Error) => {
    last = error.message;
  });
  return { redis, wasMade: () => made, lastError: () => last };
}
