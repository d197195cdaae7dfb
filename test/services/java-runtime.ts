/**
 * Which Java can run a service of the tests: looked for where machines keep one, told by the `release`
 * file beside it, without starting it. Nothing is installed.
 */
import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';

const INSTALLED_FOLDER = '/usr/lib/jvm';

/** The `java` program of the first development kit that is at least as new, or undefined. */
export function findJava(majorVersionMin: number): string | undefined {
  return candidates().find((java) => (majorVersionOf(java) ?? 0) >= majorVersionMin);
}

/** What a person would start comes first. */
function candidates(): string[] {
  const { env } = process;
  const homes = Object.keys(env).filter((name) => /^JAVA_HOME(_|$)/.test(name));
  return [
    ...(env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'java')),
    ...homes.map((name) => join(env[name] ?? '', 'bin', 'java')),
    ...foldersIn(INSTALLED_FOLDER).map((name) => join(INSTALLED_FOLDER, name, 'bin', 'java')),
  ];
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function majorVersionOf(java: string): number | undefined {
  try {
    const folder = dirname(realpathSync(java));
    if (!existsSync(join(folder, 'javac'))) return undefined;
    const release = readFileSync(join(folder, '..', 'release'), 'utf8');
    const version = /^JAVA_VERSION="(\d+)/m.exec(release)?.[1];
    return version === undefined ? undefined : Number(version);
  } catch {
    return undefined;
  }
}
