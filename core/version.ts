/**
 * The versions that processes compare before they work together. The engine version is that of
 * package.json (a test holds the two equal); the protocol version changes with control.proto.
 */

export const ENGINE_VERSION = '0.1.0';

/** Version of the messages between coordinator and worker. */
export const CONTROL_PROTOCOL_VERSION = 1;

/** Whether two engine versions work together: equal major and minor. */
export function isSameEngine(left: string, right: string): boolean {
  const prefix = (version: string): string => version.split('.').slice(0, 2).join('.');
  return prefix(left) === prefix(right);
}
