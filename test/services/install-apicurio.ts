/**
 * Where Apicurio, the schema registry of the tests, is kept, and the command that brings it there from
 * Maven Central. The test command runs it early, beside the compiler: half a minute, once for each version.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';
import { findJava } from './java-runtime.js';

const VERSION = '3.3.3';
const ARTIFACT = `io.apicurio:apicurio-registry-app:${VERSION}:tar.gz:all`;
const COPY_GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy';
/** Below the step's own, which would leave Maven behind. */
const COPY_TIMEOUT_SECONDS = 420;

/** What it is compiled for. */
export const APICURIO_JAVA_MIN = 21;

/** The folder of the unpacked server, once it is there. */
export const APICURIO_FOLDER = join(
  process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
  'millrace',
  `apicurio-${VERSION}`,
);

/** Fetches it unless it is there or nothing could run it. Two at once do not disturb each other. */
export const INSTALL_APICURIO = [
  'sh',
  '-c',
  `test -d "$1" && exit 0
   test -n "$2" || { echo 'there is no JDK ${APICURIO_JAVA_MIN} or newer'; exit 1; }
   command -v mvn > /dev/null || { echo 'there is no mvn on the PATH'; exit 1; }
   build="$1.build-$$"
   mkdir -p "$build/server" &&
     timeout ${COPY_TIMEOUT_SECONDS} mvn -q -B ${COPY_GOAL} \\
       -Dartifact=${ARTIFACT} -DoutputDirectory="$build" &&
     tar -xzf "$build"/*.tar.gz -C "$build/server" &&
     { test -d "$1" || mv "$build/server" "$1"; }
   status=$?
   rm -rf "$build"
   exit $status`,
  'sh',
  APICURIO_FOLDER,
  findJava(APICURIO_JAVA_MIN) ?? '',
] as const;
