/**
 * Builds the Flink peer with Maven: our jobs as a jar, and beside it the jars that a Flink
 * distribution is made of. Where Java or Maven is missing there is no peer, and a line that says so.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const PROJECT = fileURLToPath(new URL('../../bench/peers/flink/', import.meta.url));
/** The first time it fetches 50 jars. */
const BUILD_TIMEOUT_MS = 15 * 60_000;
const JAVA_VERSION_MIN = 17;

const run = promisify(execFile);

export interface FlinkBuild {
  readonly jar: string;
  /** Class path of a standalone process. */
  readonly classPath: string;
  readonly log4jFile: string;
  /** `Flink 2.3.0, Java 17.0.15`. */
  readonly version: string;
}

/** Java's version as `java -version` tells it, such as `17.0.15`; undefined for what is too old. */
export function javaVersionIn(text: string): string | undefined {
  const version = /version "([^"]+)"/.exec(text)?.[1];
  return Number.parseInt(version ?? '', 10) >= JAVA_VERSION_MIN ? version : undefined;
}

/** The version of Flink that a pom.xml names as its property `flink.version`. */
export function flinkVersionIn(pom: string): string {
  return /<flink\.version>([^<]+)</.exec(pom)?.[1] ?? 'of unknown version';
}

/** @returns undefined, after a line to `note`, where the peer can't be built */
export async function buildFlink(note: (text: string) => void): Promise<FlinkBuild | undefined> {
  const java = await run('java', ['-version'])
    .then(({ stderr }) => javaVersionIn(stderr))
    .catch(() => undefined);
  if (java === undefined) {
    note(`flink is left out: there is no Java; install a JDK, ${JAVA_VERSION_MIN} or later`);
    return undefined;
  }
  try {
    await run('mvn', ['-version']);
  } catch {
    note('flink is left out: there is no Maven; install it (mvn)');
    return undefined;
  }
  note('flink: building the peer');
  await run('mvn', ['-q', '-B', 'package'], { cwd: PROJECT, timeout: BUILD_TIMEOUT_MS });
  const flink = flinkVersionIn(await readFile(path.join(PROJECT, 'pom.xml'), 'utf8'));
  return {
    jar: path.join(PROJECT, 'target', 'flink-peer.jar'),
    classPath: path.join(PROJECT, 'target', 'lib', '*'),
    log4jFile: path.join(PROJECT, 'conf', 'log4j2.properties'),
    version: `Flink ${flink}, Java ${java}`,
  };
}
