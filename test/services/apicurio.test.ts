import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry';
import test from 'ava';
import { ApicurioService, apicurioAvailability } from './apicurio.js';

const SCHEMA = {
  type: SchemaType.AVRO,
  schema: '{"type":"record","name":"Order","namespace":"t","fields":[{"name":"id","type":"long"}]}',
} as const;

const found = apicurioAvailability();
if (found.available) {
  test('a schema has the same id each time, in what is encoded as well', async (t) => {
    const service = await ApicurioService.start();
    t.teardown(() => service.stop());
    const registry = new SchemaRegistry({ host: service.url });
    const { id } = await registry.register(SCHEMA, { subject: 'orders-value' });
    t.is((await registry.register(SCHEMA, { subject: 'orders-value' })).id, id);
    const encoded = await registry.encode(id, { id: 7 });
    t.deepEqual([encoded.readUInt8(0), encoded.readInt32BE(1)], [0, id]);
    t.like(await registry.decode(encoded), { id: 7 });
  });
} else {
  test.skip(`Apicurio did not run: ${found.reason}`, (t) => t.pass());
}
