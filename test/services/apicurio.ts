/**
 * A real schema registry for tests: Apicurio, which speaks Confluent's interface, with all that it
 * holds in memory, on a port that the system chose, always ended. The test command fetches it with
 * Maven and keeps it; without it or without Java, tests that need it are skipped and say so.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { APICURIO_FOLDER, APICURIO_JAVA_MIN } from './install-apicurio.js';
import { findJava } from './java-runtime.js';
import {
  killService,
  spawnGuarded,
  startService,
  type StartedService,
} from './loopback-service.js';

export type ApicurioAvailability =
  | { readonly available: true; readonly java: string }
  | { readonly available: false; readonly reason: string };

const CONFLUENT_PATH = '/apis/ccompat/v7';
const HEAP = '-Xmx256m';
const READY_TIMEOUT_MS = 60_000;

/** Whether tests can run a schema registry here. */
export function apicurioAvailability(): ApicurioAvailability {
  const java = findJava(APICURIO_JAVA_MIN);
  if (java === undefined) {
    return { available: false, reason: `there is no JDK ${APICURIO_JAVA_MIN} or newer` };
  }
  if (existsSync(APICURIO_FOLDER)) return { available: true, java };
  const reason = 'there is no Apicurio, which npm test fetches if there is Maven';
  return { available: false, reason };
}

/** A running registry without schemas. */
export class ApicurioService {
  private constructor(
    /** Of Confluent's interface: `http://HOST:PORT/PATH` */
    readonly url: string,
    private readonly started: StartedService,
  ) {}

  static async start(): Promise<ApicurioService> {
    const found = apicurioAvailability();
    if (!found.available) throw new Error(found.reason);
    const started = await startService('Apicurio', 2, ([port = 0, managementPort = 0]) =>
      spawnGuarded(found.java, [
        ...[HEAP, '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'],
        ...['-Dquarkus.http.host=127.0.0.1', `-Dquarkus.http.port=${port}`],
        // Without a port of its own it takes 9000, and two at once are one too many.
        ...['-Dquarkus.management.host=127.0.0.1', `-Dquarkus.management.port=${managementPort}`],
        ...['-jar', join(APICURIO_FOLDER, 'quarkus-run.jar')],
      ]),
    );
    const url = `http://127.0.0.1:${started.ports[0]}${CONFLUENT_PATH}`;
    const service = new ApicurioService(url, started);
    const end = performance.now() + READY_TIMEOUT_MS;
    while (performance.now() < end) {
      const answers = await fetch(`${url}/subjects`).then(
        ({ ok }) => ok,
        () => false,
      );
      if (answers) return service;
      // It takes connections before it is ready, and tells nobody when it is.
      await delay(50);
    }
    await service.stop();
    throw new Error(`Apicurio did not answer within ${READY_TIMEOUT_MS} ms`);
  }

  stop(): Promise<void> {
    return killService(this.started.process);
  }
}
