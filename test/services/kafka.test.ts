import test, { type ExecutionContext } from 'ava';
import { KAFKA_VERSIONS } from './install-kafka.js';
import { KafkaService, kafkaAvailability, type KafkaOptions } from './kafka.js';

async function started(t: ExecutionContext, options: KafkaOptions): Promise<KafkaService> {
  const kafka = await KafkaService.start(options);
  t.teardown(() => kafka.stop());
  return kafka;
}

for (const version of KAFKA_VERSIONS) {
  const found = kafkaAvailability(version);
  if (found.available) testBrokers(version);
  else test.skip(`Kafka ${version} did not run: ${found.reason}`, (t) => t.pass());
}

function testBrokers(version: (typeof KAFKA_VERSIONS)[number]): void {
  test.serial(`a broker of Kafka ${version} keeps its topics when it is killed`, async (t) => {
    const kafka = await started(t, { version });
    await kafka.createTopic('kept', 3);
    await kafka.kill();
    await kafka.restart();
    t.deepEqual(await kafka.admin.listTopics(), ['kept']);
  });
}
