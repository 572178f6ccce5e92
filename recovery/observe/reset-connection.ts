/** Ends a TCP connection so that nothing of what was sent arrives later. */
import { Socket } from "node:net";

/**
 * Ends a connection by a reset. An orderly end would let the kernel go on sending what the peer has not acknowledged: a command
 * that recovery no longer waits for would be executed when a cut of the network ends. What a process that hangs has received
 * already it still executes.
 */
export function resetConnection(stream: unknown): void {
  if (!(stream instanceof Socket)) return;
  // A socket that is not connected yet has sent nothing. One whose kernel takes no more data would be closed only when it does.
  if (stream.connecting || stream.writableLength > 0) stream.destroy();
  else stream.resetAndDestroy();
}
