/** The commands that make a server line of a proxy accept new connections. */

/**
 * For a server without checks, whatever somebody did to it: `state ready` ends maintenance and draining, but leaves a
 * weight of 0 and a health that was set by hand.
 */
export function readyCommands(server: string): string[] {
  return ["weight 100%", "health up", "state ready"].map((what) => `set server ${server} ${what}`);
}
