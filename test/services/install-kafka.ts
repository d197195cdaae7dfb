/**
 * Where the Kafka brokers of the tests are kept, and the command that brings them there from Maven
 * Central. The test command runs it early, beside the compiler: most of a minute, once for each version.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** The lines of Kafka that tests run against, and the release that stands for each. */
const RELEASES = { '3.9': '3.9.2', '4': '4.4.0' } as const;
const SCALA = '2.13';
const LOGGER = '1.7.36';
const COPY_GOAL = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies';

export type KafkaVersion = keyof typeof RELEASES;
export const KAFKA_VERSIONS = Object.keys(RELEASES) as readonly KafkaVersion[];

const CACHE_FOLDER = join(
  process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
  'millrace',
  'kafka',
);

/** The folder of a version's jars, once they are there. */
export function kafkaJars(version: KafkaVersion): string {
  return join(CACHE_FOLDER, RELEASES[version]);
}

/** Below the step's own, which would leave Maven behind. */
const COPY_TIMEOUT_SECONDS = 200;

/** The tools' API of 4.4.0 was never published; a broker runs without it. */
const UNPUBLISHED = { '3.9.2': 'nothing', '4.4.0': 'kafka-tools-api' } as const;

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>millrace</groupId><artifactId>kafka-of-tests</artifactId><version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_${SCALA}</artifactId>
      <version>\${kafka}</version>
      <exclusions>
        <exclusion>
          <groupId>org.apache.kafka</groupId><artifactId>\${unpublished}</artifactId>
        </exclusion>
      </exclusions>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId>
      <version>${LOGGER}</version>
    </dependency>
  </dependencies>
</project>
`;

/** The command that copies what is not there yet. Two at once do not disturb each other. */
export function installKafka(versions = KAFKA_VERSIONS): readonly [string, ...string[]] {
  const releases = versions.map((version) => RELEASES[version]);
  return [...INSTALL, ...releases.map((release) => `${release}:${UNPUBLISHED[release]}`)];
}

const INSTALL = [
  'sh',
  '-c',
  `cache="$1"; pom="$2"; shift 2
   for each; do
     release="\${each%:*}"; test -d "$cache/$release" && continue
     command -v java mvn > /dev/null || { echo 'there is no java or no mvn on the PATH'; exit 1; }
     build="$cache/$release.build-$$"
     mkdir -p "$build" && printf %s "$pom" > "$build/pom.xml" &&
       timeout ${COPY_TIMEOUT_SECONDS} mvn -q -B -f "$build/pom.xml" ${COPY_GOAL} \\
         -Dkafka="$release" -Dunpublished="\${each#*:}" -DincludeScope=runtime -DoutputDirectory="$build/jars" &&
       { test -d "$cache/$release" || mv "$build/jars" "$cache/$release"; }
     status=$?
     rm -rf "$build"
     test $status -eq 0 || exit $status
   done`,
  'sh',
  CACHE_FOLDER,
  POM,
] as const;
